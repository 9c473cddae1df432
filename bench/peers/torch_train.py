"""usage: torch_train.py NETWORK WEIGHTS.safetensors ANSWERS.safetensors THREADS SECONDS LEAST_RUNS nchw|channels-last

A training step with fovea's weights on the input of ANSWERS (fovea bench --answers), after the network's answer to it, in evaluation,
was found equal to the output there. One line of JSON: the difference, a step's times, peak memory; {"unknown": true} for a network that
neither networks.py nor torchvision has.
"""
import sys
import warnings

import torch
from torch.nn import functional as F

import tensors
from networks import load, make, timed

warnings.filterwarnings("ignore")
name, weights, answers, threads, seconds, least, layout = sys.argv[1:8]
torch.set_num_threads(int(threads))
network = make(name)
if network is None:
    print('{"unknown": true}')
    sys.exit(0)
model, classes = load(network[0], weights), network[1]
held = tensors.read(answers)
shape, values = held["image"]
images, labels = torch.frombuffer(values, dtype=torch.float32).reshape(shape), torch.randint(0, classes, (shape[0],))
if layout == "channels-last":
    model, images = model.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)
with torch.inference_mode():
    difference = tensors.relative_l2(model.eval()(images).flatten().tolist(), held["out"][1])
model.train()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)


def step():
    optimizer.zero_grad(set_to_none=True)
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


timed(step, float(seconds), int(least), difference)
