"""torchvision's CPU pipeline on Pillow images in one thread; numpy for pictures in memory. Prints {"peer": images per second}.

  make PHOTOS FOLDER        500 x 375 JPEGs in two class folders
  eval | train FOLDER S     from those files; S seconds
  cifar FOLDER S            32 x 32 pictures in memory (random bytes: the work does not depend on them)
"""
import json
import pathlib
import sys
import time

import numpy as np
import torch
import torchvision.transforms as T
from PIL import Image

torch.set_num_threads(1)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def make(photos, folder):
    files = sorted(path for path in pathlib.Path(photos).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:64]
    for i, path in enumerate(files):
        target = pathlib.Path(folder) / ("even" if i % 2 == 0 else "odd")
        target.mkdir(parents=True, exist_ok=True)
        Image.open(path).convert("RGB").resize((500, 375), Image.BICUBIC).save(target / f"{i:03}.jpg", quality=90)


def rate(step, count, seconds):
    """Of the fastest tenth of a second: what fovea's bench reports too."""
    best, begin, at = 0.0, time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        window, done = time.perf_counter(), 0
        while time.perf_counter() - window < 0.1:
            done += step(at % count)
            at += 1
        best = max(best, done / (time.perf_counter() - window))
    return best


def from_files(transform, folder, seconds):
    files = sorted(pathlib.Path(folder).rglob("*.jpg"))
    return {"torchvision": rate(lambda i: transform(Image.open(files[i]).convert("RGB")) is not None, len(files), seconds)}


def cifar(seconds):
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (2048, 32, 32, 3), dtype=np.uint8)
    images = [Image.fromarray(p) for p in pixels]
    transform = T.Compose([T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)])
    mean, std = (np.array(v, dtype=np.float32)[:, None, None] for v in (MEAN, STD))

    def batch(i):
        """128 pictures, arrays at once; each has a place and a side of its own."""
        part = pixels[i * 128:(i + 1) * 128]
        padded = np.pad(part, ((0, 0), (4, 4), (4, 4), (0, 0)))
        out = np.empty((128, 3, 32, 32), dtype=np.float32)
        for n, (x, y, side) in enumerate(zip(generator.integers(0, 9, 128), generator.integers(0, 9, 128), generator.integers(0, 2, 128))):
            cut = padded[n, y:y + 32, x:x + 32]
            out[n] = (cut[:, ::-1] if side else cut).transpose(2, 0, 1)
        out *= 1 / 255
        out -= mean
        out /= std
        return 128

    return {"torchvision": rate(lambda i: transform(images[i]) is not None, len(images), seconds), "numpy, whole batches": rate(batch, 16, seconds)}


command = sys.argv[1]
if command == "make":
    make(*sys.argv[2:4])
else:
    seconds = float(sys.argv[3])
    evaluation = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize(MEAN, STD)])
    training = T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)])
    print(json.dumps(cifar(seconds) if command == "cifar" else from_files(evaluation if command == "eval" else training, sys.argv[2], seconds)))
