"""Train one epoch, evaluate a split. Knows batches and losses, but no particular model."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from lmttm.data import Split, batches
from lmttm.errors import RunError

# On a GPU the host looks at the losses only this often, so that it never holds the GPU up.
_LOOK_EVERY = {"cpu": 1, "cuda": 50}


def make_optimizer(
    model: nn.Module, *, name: str, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Torch's optimizer of that name (Adam, AdamW or RMSprop) over a model's parameters."""
    return getattr(torch.optim, name)(model.parameters(), lr=lr, weight_decay=weight_decay)


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


def shuffling(seed: int, epoch: int) -> torch.Generator:
    """The generator that shuffles an epoch: another one for each seed and each epoch."""
    # Mixed down to 32 bits, since torch's generator on the CPU ignores the others.
    mixed = np.random.SeedSequence((seed, epoch)).generate_state(1)[0]
    return torch.Generator().manual_seed(int(mixed))


def train_epoch(
    model: nn.Module,
    split: Split,
    *,
    prepare: Callable[[Tensor], Tensor],
    augment: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    lr_at: Callable[[int], float],
    epoch: int,
    seed: int,
    batch_size: int,
    clip_norm: float,
    progress: bool,
) -> float:
    """Passes once over the training split, in an order that the seed and the epoch fix.

    Args:
        model: Its `run(volumes)` gives logits and the final memory; `initial_memory.store`
            takes the latter after each optimizer step.
        split: The training split, on the model's device.
        prepare: uint8 volumes `(b D H W)` -> what the model takes.
        augment: Random changes of a prepared batch.
        optimizer: Of the model's parameters.
        lr_at: The learning rate of a step, counted over all epochs.
        epoch: Index of the epoch, from 0.
        seed: Seed of the run.
        batch_size: Volumes of a step.
        clip_norm: Largest norm of the gradient; 0 for no clipping.
        progress: Whether a progress bar is shown.

    Returns:
        The mean loss (cross-entropy) over the volumes.

    Raises:
        RunError: A loss is not finite.
    """
    model.train()
    order = list(batches(len(split), batch_size, shuffling(seed, epoch)))
    first_step = epoch * len(order)
    losses: list[Tensor] = []
    finite = math.nan
    look_every = _LOOK_EVERY.get(split.images.device.type, 1)
    with tqdm(
        order, desc="  steps", unit="step", leave=False, dynamic_ncols=True, disable=not progress
    ) as bar:
        for number, chosen in enumerate(bar):
            lr = lr_at(first_step + number)
            for group in optimizer.param_groups:
                group["lr"] = lr
            chosen = chosen.to(split.images.device)
            volumes = augment(prepare(split.images[chosen]))
            result = model.run(volumes)
            loss = F.cross_entropy(result.logits, split.labels[chosen])
            losses.append(loss.detach() * len(chosen))
            if (number + 1) % look_every == 0 or number + 1 == len(order):
                for value in torch.stack(losses[-look_every:]).tolist():
                    if not math.isfinite(value):
                        raise RunError(
                            f"the loss is not finite at epoch {epoch + 1}, step {number + 1} "
                            f"(learning rate {lr:.3g}, last finite loss {finite:.4g}); "
                            "lower train.lr or set train.clip_norm"
                        )
                    finite = value / len(chosen)
                bar.set_postfix(loss=f"{finite:.4f}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if clip_norm:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            model.initial_memory.store(result.memory, result.step_logits.shape[1])
    return torch.stack(losses).sum().item() / len(split)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    split: Split,
    *,
    prepare: Callable[[Tensor], Tensor],
    batch_size: int,
    progress: bool = False,
) -> Tensor:
    """Classifies a whole split in file order, in fp32.

    Args:
        model: Volumes -> logits.
        split: The split, on the model's device.
        prepare: uint8 volumes `(b D H W)` -> what the model takes.
        batch_size: Volumes at a time; without influence on the result.
        progress: Whether a progress bar is shown.

    Returns:
        Logits `(N classes)`, float32, on the CPU.
    """
    model.eval()
    order = list(batches(len(split), batch_size))
    bar = tqdm(
        order, desc=split.name, unit="batch", leave=False, dynamic_ncols=True, disable=not progress
    )
    return torch.cat([model(prepare(split.images[chosen])) for chosen in bar]).float().cpu()
