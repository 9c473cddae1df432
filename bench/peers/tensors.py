"""Tensors of a safetensors file, with nothing but the standard library: f32 ones only."""
import array
import json
import struct


def each(path):
    """(name, shape, array of float) one after another, in the file's order: large files are never held whole."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        start = file.tell()
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] != "F32":
                continue
            begin, end = entry["data_offsets"]
            file.seek(start + begin)
            values = array.array("f")
            values.frombytes(file.read(end - begin))
            yield name, entry["shape"], values


def read(path):
    return {name: (shape, values) for name, shape, values in each(path)}


def relative_l2(a, b):
    """|a - b| / |b| of two arrays; None where it is no number (another length, a value that is not finite)."""
    if len(a) != len(b):
        return None
    difference, norm = sum((x - y) ** 2 for x, y in zip(a, b)), sum(y * y for y in b)
    ratio = (difference / norm) ** 0.5 if norm > 0 else float("nan")
    return ratio if ratio == ratio and ratio != float("inf") else None
