"""Optimizers, and the learning rate of each step."""

import inspect
import math
from collections.abc import Callable

import torch
from torch import nn

from lmttm.config.kinds import OPTIMIZERS, find


def make_optimizer(
    model: nn.Module, *, name: str, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimizer that `lmttm.config.kinds` lists under a name, over a model's parameters."""
    kind: Callable[..., torch.optim.Optimizer] = find(OPTIMIZERS[name])
    parameters = list(model.parameters())
    # The fused form can leave a step out without the host's knowing: see `Trainer`.
    can_fuse = "fused" in inspect.signature(kind).parameters
    fused = {"fused": True} if parameters[0].is_cuda and can_fuse else {}
    return kind(parameters, lr=lr, weight_decay=weight_decay, **fused)


def warmup_length(warmup: int | float, total_steps: int) -> int:
    """Steps of a warm-up that is given as their number or, below 1, as a share of all steps."""
    return round(warmup * total_steps) if warmup < 1 else int(warmup)


def learning_rate(
    step: int, *, lr: float, warmup_steps: int, total_steps: int, schedule: str
) -> float:
    """The learning rate of a step.

    Args:
        step: Steps taken before it, over all epochs.
        lr: The rate after the warm-up.
        warmup_steps: Steps over which it rises from lr / warmup_steps to lr.
        total_steps: Steps of the whole training.
        schedule: `constant`, or `cosine` down to 0 at the end.

    Returns:
        The rate.
    """
    if step < warmup_steps:
        return lr * (step + 1) / warmup_steps
    if schedule == "constant":
        return lr
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return lr * 0.5 * (1 + math.cos(math.pi * progress))
