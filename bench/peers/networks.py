"""The networks of bench/compare in PyTorch, layer by layer what fovea builds under the same name."""
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


# fovea's name -> (constructor, channels, side); 10 classes each
NETWORKS = {
    "lenet5_tutorial": (lambda: LeNet5(0), 1, 28),
    "lenet5_modern": (lambda: LeNet5(2), 1, 28),
    "lenet_caffe": (CaffeLeNet, 1, 28),
    "cifar_resnet20": (CifarResNet20, 3, 32),
}
# torchvision's pictures are 224 on a side, but for these
SIDES = {"inception_v3": 299, "efficientnet_b1": 240, "efficientnet_b2": 288, "efficientnet_b3": 300, "efficientnet_b4": 380, "efficientnet_b5": 456, "efficientnet_b6": 528,
         "efficientnet_b7": 600}


def make(name):
    """model, channels, side, classes; None for a name that neither this file nor torchvision knows."""
    torch.manual_seed(0)
    if name in NETWORKS:
        constructor, channels, side = NETWORKS[name]
        return constructor(), channels, side, 10
    import torchvision

    constructor = getattr(torchvision.models, name, None)
    if not callable(constructor):
        return None
    # Where torchvision trains with auxiliary heads they are left out here, as the loss would be another one; their starting values take seconds to draw.
    heads = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return constructor(weights=None, **heads), 3, SIDES.get(name, 224), 1000
