"""Makes the PyTorch files in fixtures/ (needs torch; the tests need only the files)."""
import collections
import os
import torch

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")
base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 8
state = collections.OrderedDict()
state["conv.weight"] = base
state["conv.view"] = base[1].t()          # a transposed view: offset 12, strides 1 4
state["half"] = torch.tensor([1.5, -0.25, 65504.0], dtype=torch.float16)
state["brain"] = torch.tensor([1.5, -3.0], dtype=torch.bfloat16)
state["double"] = torch.tensor([[0.1, 0.2]], dtype=torch.float64)
state["long"] = torch.tensor([-1, 1 << 40], dtype=torch.int64)
state["short"] = torch.tensor([-7, 300], dtype=torch.int16)
state["flag"] = torch.tensor([True, False, True])
state["bn.num_batches_tracked"] = torch.tensor(5)
state["parameter"] = torch.nn.Parameter(torch.tensor([2.0]))
checkpoint = {"state_dict": state, "best_prec1": 91.7, "epoch": 3, "arch": "tiny", "history": [1, 2.5, "x"]}
torch.save(checkpoint, os.path.join(HERE, "checkpoint.pth"))
torch.save(checkpoint, os.path.join(HERE, "checkpoint_old.pth"), _use_new_zipfile_serialization=False)


class Attack:
    def __reduce__(self):
        return os.system, ("true",)


torch.save({"weight": torch.zeros(1), "extra": Attack()}, os.path.join(HERE, "attack.pth"), _use_new_zipfile_serialization=False)
