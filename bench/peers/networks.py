"""The networks of bench/compare in PyTorch, layer by layer what fovea builds under the same name; their weights; how they are timed."""
import json
import resource
import time

import tensors
import torch
from torch import nn
from torch.nn import functional as F


class LeNet5(nn.Module):
    """6 and 16 maps, 120-84-10; `pad` 2 is fovea's lenet5_modern, 0 its lenet5_tutorial."""

    def __init__(self, pad):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=pad), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400 if pad else 256, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class CaffeLeNet(nn.Module):
    """20 and 50 maps, 500-10, no activation after the convolutions."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.ip1, self.ip2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2)
        return self.ip2(F.relu(self.ip1(x.flatten(1))))


class ResidualBlock(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        self.stride, self.extra = stride, channels - channels_in

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        if self.extra:  # a shortcut without parameters: every second pixel, new channels zero
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))
        return F.relu(y + x, inplace=True)


class CifarResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        layers, width = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)], 16
        for channels in (16, 32, 64):
            for block in range(3):
                layers.append(ResidualBlock(width, channels, 2 if channels > 16 and block == 0 else 1))
                width = channels
        self.features, self.linear = nn.Sequential(*layers), nn.Linear(64, 10)

    def forward(self, x):
        return self.linear(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


# fovea's name -> constructor; 10 classes each
NETWORKS = {"lenet5_tutorial": lambda: LeNet5(0), "lenet5_modern": lambda: LeNet5(2), "lenet_caffe": CaffeLeNet, "cifar_resnet20": CifarResNet20}


def make(name):
    """The network and its count of classes; None for a name that neither this file nor torchvision knows."""
    torch.manual_seed(0)
    if name in NETWORKS:
        return NETWORKS[name](), 10
    import torchvision

    constructor = getattr(torchvision.models, name, None)
    if not callable(constructor):
        return None
    # Where torchvision trains with auxiliary heads they are left out here, as the loss would be another one; their starting values take seconds to draw.
    heads = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return constructor(weights=None, **heads), 1000


def load(model, path):
    """The network with the weights of fovea's file: by name, or in order where networks.py has other names."""
    own = [(name, value) for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")]
    by_name, count = dict(own), 0
    with torch.no_grad():
        for name, shape, values in tensors.each(path):
            if name not in by_name and name.lower().startswith("aux"):
                continue  # a head that make() leaves out
            target = by_name.get(name, own[count][1] if count < len(own) else None)
            if target is None or list(target.shape) != shape:
                raise SystemExit(f"'{path}' is of another network: its '{name}' {shape} has no place")
            target.copy_(torch.frombuffer(values, dtype=torch.float32).reshape(shape))
            count += 1
    if count != len(own):
        raise SystemExit(f"'{path}' is of another network: {count} tensors for {len(own)}")
    return model


# Float32 rounding adds up over two hundred layers; both programs fold, fuse and use Winograd's kernels differently.
LARGEST_DIFFERENCE = 1e-4


def timed(step, seconds, least, difference):
    """Prints the one line of JSON; with an answer off by more than LARGEST_DIFFERENCE, or none, there is no time."""
    document = {"difference": difference, "version": torch.__version__}
    if difference is not None and difference <= LARGEST_DIFFERENCE:
        step()
        first_at, times, end = time.time(), [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < least:
            begin = time.perf_counter()
            step()
            times.append((time.perf_counter() - begin) * 1e3)
        times.sort()
        document |= {"min_ms": times[0], "median_ms": times[len(times) // 2], "runs": len(times), "first_at_ms": first_at * 1e3, "inputs_ms": 0}
    print(json.dumps(document | {"peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
