"""Cuts a box out of a volume, smooths it against aliasing and samples it on another grid.

All three steps act on one axis at a time, so they are one matrix for each axis. The volume is
read slab by slab, and of each slab only what the box needs: no copy of it is made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SLAB = 4_000_000  # voxels that are floats at a time


@dataclass(frozen=True)
class Box:
    """A box of a volume, along D, H, W.

    Attributes:
        shape: Voxels that it gets.
        first: Place of the middle of its first voxel, in voxels of the volume.
        step: Distance of its voxels, in voxels of the volume.
    """

    shape: tuple[int, int, int]
    first: NDArray[np.float64]
    step: NDArray[np.float64]


def resampled(
    voxels: NDArray[Any],
    box: Box,
    *,
    values: Callable[[NDArray[Any]], NDArray[np.float64]],
    outside: float,
    nearest: bool = False,
) -> NDArray[np.float32]:
    """Samples a box.

    Args:
        voxels: `(D H W)`.
        box: The box.
        values: Makes floats of a part of the voxels.
        outside: The value where the box reaches more than one voxel beyond the volume.
        nearest: Whether each voxel takes the value of the nearest one, without smoothing.

    Returns:
        The box, `(D H W)`.
    """
    matrices, starts = [], []
    for edge, first, step, count in zip(voxels.shape, box.first, box.step, box.shape, strict=True):
        matrix = _matrix(edge, first + step * np.arange(count), step, nearest)
        used = np.flatnonzero(matrix.any(axis=0))
        low, high = (used[0], used[-1] + 1) if used.size else (0, 1)
        matrices.append(matrix[:, low:high])
        starts.append(slice(int(low), int(high)))
    needed = voxels[starts[0], starts[1], starts[2]]
    depth, height, width = matrices
    result = np.zeros(box.shape)
    planes = max(1, _SLAB // needed[0].size)
    for at in range(0, len(needed), planes):
        slab = values(needed[at : at + planes])
        slab = height @ (slab @ width.T)
        result += np.tensordot(depth[:, at : at + planes], slab, axes=1)
    for axis, (edge, first, step) in enumerate(zip(voxels.shape, box.first, box.step, strict=True)):
        places = first + step * np.arange(box.shape[axis])
        beyond = (places < -1) | (places > edge)
        result[(slice(None),) * axis + (beyond,)] = outside
    return result.astype(np.float32)


def _matrix(
    edge: int, places: NDArray[np.float64], step: float, nearest: bool
) -> NDArray[np.float64]:
    """What each voxel of a line `(edge)` adds to each place."""
    from scipy.ndimage import gaussian_filter1d

    inside = places.clip(0, edge - 1)
    rows = np.arange(len(places))
    matrix = np.zeros((len(places), edge))
    if nearest:
        matrix[rows, np.rint(inside).astype(int)] = 1
        return matrix
    below = np.floor(inside).astype(int)
    above = np.minimum(below + 1, edge - 1)
    np.add.at(matrix, (rows, below), 1 - (inside - below))
    np.add.at(matrix, (rows, above), inside - below)
    width = max(0.0, step - 1) / 2
    if width:
        matrix = matrix @ gaussian_filter1d(np.eye(edge), width, axis=0, mode="nearest")
    return matrix
