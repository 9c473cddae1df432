"""usage: torch_train.py NETWORK BATCH THREADS SECONDS LEAST_RUNS nchw|channels-last

NETWORK is one of networks.py or of torchvision. One line of JSON: a training step's times, peak memory; {"unknown": true} for another.
"""
import json
import resource
import sys
import time
import warnings

import torch
from torch.nn import functional as F

from networks import make

warnings.filterwarnings("ignore")
name, batch, threads, seconds, least, layout = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), sys.argv[6]
torch.set_num_threads(threads)
network = make(name)
if network is None:
    print(json.dumps({"unknown": True}))
    sys.exit(0)
model, channels, side, classes = network
model.train()
images, labels = torch.rand(batch, channels, side, side), torch.randint(0, classes, (batch,))
if layout == "channels-last":
    model, images = model.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)


def step():
    optimizer.zero_grad(set_to_none=True)
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


step()
first_at = time.time()
times, end = [], time.perf_counter() + seconds
while time.perf_counter() < end or len(times) < least:
    begin = time.perf_counter()
    step()
    times.append((time.perf_counter() - begin) * 1e3)
times.sort()
print(json.dumps({"min_ms": times[0], "median_ms": times[len(times) // 2], "runs": len(times), "first_at_ms": first_at * 1e3, "inputs_ms": 0, "version": torch.__version__,
                  "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
