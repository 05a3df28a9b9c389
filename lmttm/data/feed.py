"""Batches on a device, of volumes that are there or that are loaded while the device computes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from lmttm.data.dataset import Split, stack

Rows = Tensor | slice
_Loaded = tuple[Tensor, Tensor | None, Tensor]


def feed(
    split: Split, order: Sequence[Rows], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """What a model takes of a split, batch by batch, with the labels.

    Args:
        split: Its volumes lie on the device, or on the host.
        order: The volumes of each batch; indices lie where the volumes do.
        device: Where the batches are wanted.

    Yields:
        `(b c D H W)` float32 and labels `(b)`.
    """
    if split.images.device != device:
        yield from one_ahead(split, order, device)
        return
    for rows in order:
        yield split.inputs(rows), split.labels[rows]


def one_ahead(
    split: Split, order: Sequence[Rows], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """As `feed`, where the volumes lie on the host: a thread loads one batch ahead.

    It gathers them, in memory from which the device copies by itself: nobody waits for the copy.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = [thread.submit(_loaded, split, rows, device) for rows in order[:1]]
        for number in range(len(order)):
            images, distances, labels = coming.pop().result()
            coming = [thread.submit(_loaded, split, r, device) for r in order[number + 1 :][:1]]
            there = None if distances is None else distances.to(device, non_blocking=True)
            inputs = stack(images.to(device, non_blocking=True), there)
            yield inputs, labels.to(device, non_blocking=True)


def _loaded(split: Split, rows: Rows, device: torch.device) -> _Loaded:
    distances = None if split.distances is None else split.distances[rows]
    tensors = split.images[rows], distances, split.labels[rows]
    if device.type != "cuda":
        return tensors
    images, distances, labels = (None if t is None else pinned(t) for t in tensors)
    assert images is not None
    assert labels is not None
    return images, distances, labels


def pinned(tensor: Tensor) -> Tensor:
    """A copy in memory that the system never moves, from which a GPU copies by itself."""
    return tensor.contiguous().pin_memory()
