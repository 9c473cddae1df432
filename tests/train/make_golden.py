# Learning rates (and momenta) of PyTorch's schedulers, one per line of fixtures/schedules.txt:  NAME lr [momentum] at every step.
# usage: python3 make_golden.py > fixtures/schedules.txt        (made with PyTorch 1.13.1)
import warnings, torch
from torch.optim import lr_scheduler as S
warnings.filterwarnings("ignore")
def optimizer(lr, momentum=0.9): return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=momentum)
def lines(name, lr, make, steps, momentum=False, metric=None):
    o = optimizer(lr); s = make(o); values = []
    for k in range(steps):
        g = o.param_groups[0]
        values.append(repr(float(g["lr"])) + ((":" + repr(float(g["momentum"]))) if momentum else ""))
        o.step(); s.step(metric[k]) if metric else s.step()
    print(name, *values)
lines("step", 0.1, lambda o: S.StepLR(o, 3), 10)
lines("multistep", 0.1, lambda o: S.MultiStepLR(o, [2, 5, 6], gamma=0.5), 9)
lines("exponential", 0.2, lambda o: S.ExponentialLR(o, 0.9), 8)
lines("cosine", 0.3, lambda o: S.CosineAnnealingLR(o, 20, eta_min=0.01), 20)
lines("cosine_restarts", 0.3, lambda o: S.CosineAnnealingWarmRestarts(o, 4, T_mult=2, eta_min=0.001), 30)
lines("cosine_equal_restarts", 0.3, lambda o: S.CosineAnnealingWarmRestarts(o, 5), 16)
lines("one_cycle", 0.1, lambda o: S.OneCycleLR(o, max_lr=0.4, total_steps=50), 50, True)
lines("one_cycle_linear", 0.1, lambda o: S.OneCycleLR(o, max_lr=0.05, total_steps=21, pct_start=0.4, anneal_strategy="linear", div_factor=10, final_div_factor=100, cycle_momentum=False), 21, True)
lines("polynomial", 0.1, lambda o: S.PolynomialLR(o, total_iters=12, power=2.0), 14)
lines("warm_up", 0.4, lambda o: S.LinearLR(o, start_factor=0.25, total_iters=6), 9)
metric = [1.0, 0.9, 0.9, 0.9, 0.9, 0.8, 0.79999, 0.79998, 0.79997, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
lines("plateau", 0.1, lambda o: S.ReduceLROnPlateau(o, patience=2, cooldown=1), len(metric), metric=metric)
lines("plateau_max", 0.1, lambda o: S.ReduceLROnPlateau(o, mode="max", patience=1, factor=0.5, threshold=0.01, threshold_mode="abs", min_lr=0.02), len(metric), metric=metric)
