"""usage: torch_train.py NETWORK BATCH THREADS SECONDS nchw|channels-last   One line of JSON: a training step's times, peak memory."""
import json
import resource
import sys
import time

import torch
from torch.nn import functional as F

from networks import make

name, batch, threads, seconds, layout = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
torch.set_num_threads(threads)
model, channels, side = make(name)
model.train()
images, labels = torch.rand(batch, channels, side, side), torch.randint(0, 10, (batch,))
if layout == "channels-last":
    model, images = model.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)


def step():
    optimizer.zero_grad(set_to_none=True)
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


for _ in range(3):
    step()
times, end = [], time.perf_counter() + seconds
while time.perf_counter() < end or len(times) < 3:
    begin = time.perf_counter()
    step()
    times.append((time.perf_counter() - begin) * 1e3)
times.sort()
print(json.dumps({"min_ms": times[0], "median_ms": times[len(times) // 2], "runs": len(times), "version": torch.__version__,
                  "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
