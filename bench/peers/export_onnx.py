"""usage: export_onnx.py DIR BATCH...   Writes DIR/NETWORK-BATCH.onnx for every network of networks.py."""
import sys
import warnings

import torch

from networks import NETWORKS, make

warnings.filterwarnings("ignore")
for name in NETWORKS:
    for batch in map(int, sys.argv[2:]):
        model, channels, side = make(name)
        torch.onnx.export(model.eval(), torch.rand(batch, channels, side, side), f"{sys.argv[1]}/{name}-{batch}.onnx", opset_version=13, input_names=["image"], output_names=["out"])
