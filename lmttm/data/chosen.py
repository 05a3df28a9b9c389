"""Volumes chosen out of others without a copy, as folds choose theirs out of two splits."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_PART = 64  # volumes that are looked at together: they may lie in a file, and exceed memory


class Chosen:
    """Some volumes out of one or more tensors, in an order of their own.

    Args:
        sources: `(N D H W)` or `(N C D H W)` each, or volumes that are themselves chosen; all of
            one shape.
        rows: Which volumes `(N)`, counted through all sources.
    """

    def __init__(self, sources: Sequence["Images"], rows: Tensor) -> None:
        self.sources = sources
        self.rows = rows

    @property
    def shape(self) -> tuple[int, ...]:
        """As a tensor's, such as `(N, D, H, W)`."""
        return (len(self.rows), *self.sources[0].shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the volumes are."""
        return self.sources[0].device

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: int | slice | Tensor) -> Tensor:
        """Copies one volume `(D H W)`, or some `(n D H W)`."""
        if isinstance(which, int):
            return self[torch.tensor([which])][0]
        rows = self.rows[which]
        result = torch.empty((len(rows), *self.shape[1:]), dtype=torch.uint8)
        start = 0
        for source in self.sources:
            inside = (rows >= start) & (rows < start + len(source))
            result[inside] = source[rows[inside] - start]
            start += len(source)
        return result

    def to(self, device: torch.device) -> "Images":
        """The volumes in a device's memory; on the host they stay as they are."""
        if device.type == "cpu":
            return self
        result = torch.empty(self.shape, dtype=torch.uint8, device=device)
        for number, part in enumerate(in_parts(self)):
            result[number * _PART :][: len(part)] = part.to(device)
        return result


Images = Tensor | Chosen


def some(images: Images, rows: slice) -> Images:
    """Some of the volumes, without a copy."""
    if isinstance(images, Tensor):
        return images[rows]
    return Chosen(images.sources, images.rows[rows])


def joined(parts: Sequence[Images]) -> Images:
    """All volumes of several, one after the other, without a copy."""
    return Chosen(parts, torch.arange(sum(map(len, parts))))


def in_parts(images: Images) -> Iterator[Tensor]:
    """The volumes in order, some at a time, for what must not have all in memory."""
    for start in range(0, len(images), _PART):
        yield images[start : start + _PART]


def grey_values(images: Images, channel: int = 0) -> set[int]:
    """The grey values of volumes, or the first few of them where there are more than two.

    Args:
        images: `(N D H W)`, or `(N C D H W)` of several grey channels.
        channel: Which of several.
    """
    seen = np.zeros(256, dtype=bool)
    for part in in_parts(images):
        for volume in (part if part.ndim == 4 else part[:, channel]).cpu().numpy():
            seen[volume] = True
            if seen.sum() > 2:
                return set(np.flatnonzero(seen).tolist())
    return set(np.flatnonzero(seen).tolist())


class Arrays:
    """Volumes `(D H W)` as arrays, each when it is wanted: of several channels the first.

    Args:
        images: `(N D H W)` or `(N C D H W)`.
    """

    def __init__(self, images: Images) -> None:
        self.images = images

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        volume: NDArray[Any] = np.asarray(self.images[int(index)].cpu())
        return volume if volume.ndim == 3 else volume[0]
