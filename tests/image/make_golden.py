#!/usr/bin/env python3
"""Writes fixtures/ and the golden numbers beside it with Pillow (9.4 was used). Run by hand; a changed file needs a reason in the commit."""
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

here = Path(__file__).parent / "fixtures"
FILTERS = [("nearest", Image.NEAREST), ("box", Image.BOX), ("bilinear", Image.BILINEAR), ("hamming", Image.HAMMING), ("bicubic", Image.BICUBIC),
           ("lanczos", Image.LANCZOS)]


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def pattern(kind, width, height, channels):
    """Integers only, so that C++ makes the same bytes (tests/image/pattern.h)."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    if kind == "noise":  # hard edges and every frequency
        v = ((x * x * (c + 3) + y * y * 5 + x * y * (7 - c)) // 3) % 256
    else:  # "photo": smooth shading, a bright disc, dark stripes, a little grain
        v = (x * (3 + c) + y * 2) % 200
        v = np.where((x - width // 3) ** 2 + (y - height // 2) ** 2 < (height // 3) ** 2, 255 - v // 4, v)
        v = np.where((x + 2 * y) % 23 < 2, 10 + c, v)
        v = np.clip(v + (x * 7 + y * 13 + c * 5) % 9 - 4, 0, 255)
    v = v.astype(np.uint8)
    return Image.fromarray(v if channels == 3 else v[:, :, 0])


def resize_numbers():
    lines = []
    sizes = [((61, 47), (20, 15)), ((61, 47), (61, 13)), ((61, 47), (30, 47)), ((61, 47), (122, 94)), ((61, 47), (97, 31)), ((61, 47), (1, 1)), ((7, 5), (64, 33)),
             ((1, 1), (5, 4)), ((200, 120), (32, 32)), ((200, 120), (199, 121)), ((3, 100), (2, 7))]
    for kind in ("noise", "photo"):
        for channels in (3, 1):
            for source, target in sizes:
                image = pattern(kind, *source, channels)
                for name, code in FILTERS:
                    result = image.resize(target, code)
                    row = result.crop((0, target[1] // 2, min(target[0], 8), target[1] // 2 + 1)).tobytes()
                    lines.append(f"{kind} {channels} {source[0]} {source[1]} {target[0]} {target[1]} {name} {fnv(result.tobytes())} {row.hex()}")
    (here / "resize.txt").write_text("\n".join(lines) + "\n")


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_by_hand(width, height, depth, colour, interlace, raw):
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)) + png_chunk(b"IDAT", zlib.compress(raw))
            + png_chunk(b"IEND", b""))


def files():
    made = {}

    def save(name, image, **options):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG" if name.endswith("jpg") else "PNG", **options)
        made[name] = buffer.getvalue()

    photo = pattern("photo", 37, 29, 3)
    save("rgb420.jpg", photo, quality=85, subsampling=2)
    save("rgb444.jpg", photo, quality=90, subsampling=0)
    save("rgb422.jpg", photo, quality=70, subsampling=1)
    save("progressive.jpg", photo, quality=80, progressive=True)
    save("grey.jpg", pattern("photo", 37, 29, 1), quality=85)
    save("cmyk.jpg", photo.convert("CMYK"), quality=85)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"exif{orientation}.jpg", pattern("photo", 13, 9, 3), quality=85, exif=exif)
    save("rgb.png", pattern("noise", 19, 11, 3))
    save("grey.png", pattern("noise", 19, 11, 1))
    save("bits1.png", pattern("noise", 19, 11, 1).convert("1"))
    save("palette.png", photo.quantize(16))
    save("palette_transparent.png", photo.quantize(16), transparency=3)
    alpha = photo.copy()
    alpha.putalpha(pattern("noise", 37, 29, 1))
    save("rgba.png", alpha)
    save("grey_alpha.png", alpha.convert("LA"))
    for name, data in made.items():
        (here / name).write_bytes(data)
    expected = []
    for name in sorted(made):
        image = ImageOps.exif_transpose(Image.open(here / name))
        expected.append(f"{name} {image.width} {image.height} {fnv(image.convert('RGB').tobytes())} {fnv(image.convert('L').tobytes())}")

    # Pillow writes neither of these; the expected pixels are the ones put in (16 bit: the high bytes).
    noise = np.array(pattern("noise", 19, 11, 3))
    wide = b"".join(b"\0" + bytes(b for v in row.reshape(-1) for b in (int(v), 255 - int(v))) for row in noise)
    grey = np.array(pattern("noise", 19, 11, 1))
    wide_grey = b"".join(b"\0" + bytes(b for v in row for b in (int(v), 255 - int(v))) for row in grey)
    adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # x, y, step x, step y
    laced = b"".join(b"\0" + bytes(row) for x, y, dx, dy in adam7 for row in noise[y::dy, x::dx].reshape(len(noise[y::dy]), -1))
    for name, data, pixels in (("rgb16.png", png_by_hand(19, 11, 16, 2, 0, wide), noise), ("grey16.png", png_by_hand(19, 11, 16, 0, 0, wide_grey), grey),
                               ("interlaced.png", png_by_hand(19, 11, 8, 2, 1, laced), noise)):
        (here / name).write_bytes(data)
        image = Image.fromarray(pixels)
        expected.append(f"{name} {image.width} {image.height} {fnv(image.convert('RGB').tobytes())} {fnv(image.convert('L').tobytes())}")
    (here / "decoded.txt").write_text("\n".join(sorted(expected)) + "\n")


if __name__ == "__main__":
    here.mkdir(exist_ok=True)
    resize_numbers()
    files()
