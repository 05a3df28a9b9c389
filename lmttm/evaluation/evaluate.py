"""Classifies a whole split in file order."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lmttm.data.dataset import Split


@torch.no_grad()
def evaluate(
    model: nn.Module,
    split: Split,
    *,
    batch_size: int,
    flips: Sequence[Sequence[int]] = ((),),
    progress: bool = False,
) -> Tensor:
    """Classifies a whole split in file order, in fp32.

    Args:
        model: Volumes -> logits.
        split: The split, on the model's device.
        batch_size: Volumes at a time; without influence on the result.
        flips: Sets of axes of a batch `(b c D H W)`; the logits are averaged over the
            volumes mirrored along each set. See `lmttm.data.augment.all_flips`.
        progress: Whether a progress bar is shown.

    Returns:
        Logits `(N classes)`, float32, on the CPU.
    """
    model.eval()
    logits = []
    for start in tqdm(
        range(0, len(split), batch_size),
        desc=split.name,
        unit="batch",
        leave=False,
        dynamic_ncols=True,
        disable=not progress,
    ):
        volumes = split.inputs(slice(start, start + batch_size))
        logits.append(torch.stack([model(volumes.flip(tuple(axes))) for axes in flips]).mean(dim=0))
    return torch.cat(logits).float().cpu()
