"""usage: torch_infer.py NETWORK WEIGHTS.safetensors ANSWERS.safetensors THREADS SECONDS LEAST_RUNS eager|frozen nchw|channels-last

Runs the input of ANSWERS (fovea bench --answers) with fovea's weights and compares the result with the output there before anything is
timed. One line of JSON: the difference, times of one inference, peak memory; {"unknown": true} for a network that neither networks.py
nor torchvision has. `frozen` is TorchScript: traced, frozen, optimised for inference.
"""
import sys
import warnings

import torch

import tensors
from networks import load, make, timed

warnings.filterwarnings("ignore")
name, weights, answers, threads, seconds, least, form, layout = sys.argv[1:9]
torch.set_num_threads(int(threads))
network = make(name)
if network is None:
    print('{"unknown": true}')
    sys.exit(0)
model = load(network[0], weights).eval()
held = tensors.read(answers)
shape, values = held["image"]
image = torch.frombuffer(values, dtype=torch.float32).reshape(shape)
if layout == "channels-last":
    model, image = model.to(memory_format=torch.channels_last), image.contiguous(memory_format=torch.channels_last)
with torch.inference_mode():
    if form == "frozen":
        model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, image)))
        model(image)  # the profiling run of TorchScript's executor
    difference = tensors.relative_l2(model(image).flatten().tolist(), held["out"][1])
    timed(lambda: model(image), float(seconds), int(least), difference)
