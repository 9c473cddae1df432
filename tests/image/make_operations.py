#!/usr/bin/env python3
"""Writes fixtures/operations.txt with Pillow and torchvision (9.4 and 0.14 were used): colours, affine maps and blurs of the patterns of
make_golden.py. Run by hand; a changed file needs a reason in the commit."""
from make_golden import fnv, here, pattern
from PIL import Image
import torchvision.transforms.functional as F
from torchvision.transforms import InterpolationMode as Mode

MODES = [("nearest", Mode.NEAREST), ("bilinear", Mode.BILINEAR)]


def operations(image):
    for name in ("brightness", "contrast", "saturation", "sharpness"):
        for factor in (0.0, 0.3, 0.77, 1.0, 1.9):
            yield f"{name} {factor}", getattr(F, f"adjust_{name}")(image, factor)
    for turn in (-0.5, -0.1, 0.0, 0.25, 0.5):
        yield f"hue {turn}", F.adjust_hue(image, turn)
    yield "grey 0", F.rgb_to_grayscale(image, num_output_channels=3 if image.mode == "RGB" else 1)
    yield "invert 0", F.invert(image)
    for bits in (1, 4, 8):
        yield f"posterize {bits}", F.posterize(image, bits)
    for threshold in (0.0, 100.5, 256.0):
        yield f"solarize {threshold}", F.solarize(image, threshold)
    yield "autocontrast 0", F.autocontrast(image)
    yield "equalize 0", F.equalize(image)
    for mode, code in MODES:
        for angle in (0.0, 7.5, 90.0, -33.0, 200.0):
            yield f"rotate-{mode} {angle}", F.rotate(image, angle, code)
        # angle, shift x, shift y, scale, shear x, shear y
        for a in ((0, 0, 0, 1, 0, 0), (10, 3, -2, 1.1, 5, 0), (-25, 0, 4, 0.7, -8, 3), (0, 5, 5, 1, 0, 0), (0, 0, 0, 0.5, 0, 0), (0, 0, 0, 1, 20, 0)):
            yield f"affine-{mode} " + ",".join(f"{v}" for v in a), F.affine(image, a[0], a[1:3], a[3], a[4:6], code)


lines = []
for kind in ("noise", "photo"):
    for channels in (3, 1):
        for size in ((61, 47), (2, 2), (1, 9)):
            for name, result in operations(pattern(kind, *size, channels)):
                row = result.crop((0, size[1] // 2, min(size[0], 8), size[1] // 2 + 1)).tobytes()
                lines.append(f"{kind} {channels} {size[0]} {size[1]} {name} {fnv(result.tobytes())} {row.hex()}")
(here / "operations.txt").write_text("\n".join(lines) + "\n")
