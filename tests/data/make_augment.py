#!/usr/bin/env python3
"""Writes fixtures/augment.txt with torchvision (0.14 was used): AutoAugment's lists, every operation of the policies at its strengths, blurs
and elastic fields, on the patterns of tests/image/make_golden.py. Run by hand; a changed file needs a reason in the commit."""
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.functional as F
from torchvision.transforms import AutoAugment, AutoAugmentPolicy, InterpolationMode, RandAugment, TrivialAugmentWide
from torchvision.transforms.autoaugment import _apply_op

here = Path(__file__).parent
sys.path.insert(0, str(here.parent / "image"))
from make_golden import fnv, pattern  # noqa: E402

lines = []
for name, policy in (("imagenet", AutoAugmentPolicy.IMAGENET), ("cifar10", AutoAugmentPolicy.CIFAR10), ("svhn", AutoAugmentPolicy.SVHN)):
    for pair in AutoAugment(policy).policies:
        lines.append(f"policy {name} " + " ".join(f"{op} {p:g} {-1 if bin is None else bin}" for op, p, bin in pair))

width, height = 61, 47
image = pattern("photo", width, height, 3)
spaces = {"rand": (31, RandAugment()._augmentation_space(31, (height, width))), "auto": (10, AutoAugment()._augmentation_space(10, (height, width))),
          "trivial": (31, TrivialAugmentWide()._augmentation_space(31))}
for name, (bins, space) in spaces.items():
    for op, (strengths, is_signed) in space.items():
        for bin in range(bins) if strengths.ndim else (0,):
            strength = float(strengths[bin]) if strengths.ndim else 0.0
            for sign in (1, -1) if is_signed else (1,):
                lines.append(f"op {name} {op} {bin} {sign} {strength:.6g} {fnv(_apply_op(image, op, sign * strength, InterpolationMode.NEAREST, None).tobytes())}")

for kind, channels, size, sigma in (("noise", 3, 5, 1.1), ("photo", 1, 9, 2.0), ("photo", 3, 3, 0.3)):
    blurred = F.gaussian_blur(pattern(kind, 19, 13, channels), [size, size], [sigma, sigma])
    lines.append(f"blur {kind} {channels} {size} {sigma} {blurred.tobytes().hex()}")

for kind, channels, alpha, sigma, fill in (("noise", 3, 6.0, 1.5, 0), ("photo", 1, 15.0, 1.0, 0), ("photo", 3, 40.0, 1.5, 99)):
    w, h = 19, 13
    y, x = np.mgrid[0:h, 0:w]
    noise = [torch.tensor((((x * 37 + y * 101 + x * y * 13 + k * 7) % 256) / 127.5 - 1).astype(np.float32))[None, None] for k in (0, 1)]
    size = int(8 * sigma + 1) // 2 * 2 + 1
    field = torch.cat([F.gaussian_blur(n, [size, size], [sigma, sigma]) * alpha / side for n, side in zip(noise, (w, h))], 1).permute(0, 2, 3, 1)
    moved = F.elastic_transform(pattern(kind, w, h, channels), field, InterpolationMode.BILINEAR, fill)
    lines.append(f"elastic {kind} {channels} {alpha} {sigma} {fill} {moved.tobytes().hex()}")
(here / "fixtures").mkdir(exist_ok=True)
(here / "fixtures" / "augment.txt").write_text("\n".join(lines) + "\n")
