"""Classifies a whole split in file order."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lmttm.data.dataset import Split
from lmttm.data.feed import feed
from lmttm.data.views import View


@torch.no_grad()
def evaluate(
    model: nn.Module,
    split: Split,
    *,
    batch_size: int,
    views: Sequence[View] = (View(),),
    progress: bool = False,
) -> Tensor:
    """Classifies a whole split in file order, in fp32.

    Args:
        model: Volumes -> logits.
        split: The split, on the model's device or on the host.
        batch_size: Volumes at a time; without influence on the result.
        views: The logits are averaged over these views of each volume.
        progress: Whether a progress bar is shown.

    Returns:
        Logits `(N classes)`, float32, on the CPU.
    """
    model.eval()
    logits = []
    order = [slice(start, start + batch_size) for start in range(0, len(split), batch_size)]
    place = next(model.parameters(), split.labels).device
    for volumes, _ in tqdm(
        feed(split, order, place),
        total=len(order),
        desc=split.name,
        unit="batch",
        leave=False,
        dynamic_ncols=True,
        disable=not progress,
    ):
        logits.append(torch.stack([model(view.of(volumes)) for view in views]).mean(dim=0))
    return torch.cat(logits).float().cpu()
