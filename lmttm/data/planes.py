"""The geometry of a stack of slices, checked slice by slice.

A stack forms a volume where all slices have one orientation and one grid, and lie at even
distances above each other. A tilted gantry shifts them sideways, and a change of the distance
leaves them uneven; both are undone by resampling. Everything else is refused, by name.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.data.scan import Scan, oriented
from lmttm.errors import InputError

_PARALLEL = 0.9998  # cosine between directions that count as one (1.1 degrees)
_SAME_PLACE = 1e-3  # mm
_EVEN = 0.02  # deviation from even distances that counts as none, in distances
_STEEPEST = 1.0  # sideways mm of a tilted stack for each mm along it (45 degrees)
_SHORTEST_RUN = 3  # wider distances in a row that are a choice, not missing slices


@dataclass(frozen=True)
class Plane:
    """Where a slice lies, in mm towards the patient's left, back and head (as DICOM counts).

    Attributes:
        name: What an error calls it.
        position: `(3)`, the middle of its first pixel.
        across: `(3)`, the direction in which columns count.
        down: `(3)`, the direction in which rows count.
        spacing: Distances of rows and of columns, in mm.
        shape: Rows and columns.
    """

    name: str
    position: NDArray[np.float64]
    across: NDArray[np.float64]
    down: NDArray[np.float64]
    spacing: tuple[float, float]
    shape: tuple[int, int]


@dataclass(frozen=True)
class Stack:
    """The grid that slices form.

    Attributes:
        order: The slices along the normal.
        heights: `(n)` mm along the normal, rising.
        shifts: `(n 2)`, rows and columns by which each slice lies beside the first.
        first: The lowest slice.
    """

    order: list[int]
    heights: NDArray[np.float64]
    shifts: NDArray[np.float64]
    first: Plane


def arrange(planes: Sequence[Plane], name: str) -> Stack:
    """Finds the grid of slices given in any order.

    Args:
        planes: At least two slices.
        name: What an error calls the scan.

    Returns:
        The grid.

    Raises:
        InputError: The slices form no volume; the text names the one that does not belong.
    """
    _refuse_unlike(planes, name)
    first = planes[0]
    normal = np.cross(first.across, first.down)
    places = np.array([plane.position @ normal for plane in planes])
    order = np.argsort(places, kind="stable").tolist()
    heights = places[order]
    gaps = np.diff(heights)
    if gaps.min() <= _SAME_PLACE:
        at = int(gaps.argmin())
        raise InputError(
            f"{name} has two slices at the same place: {planes[order[at]].name} and "
            f"{planes[order[at + 1]].name} (several times or echoes in one series?)"
        )
    lowest = planes[order[0]]
    beside = np.array([planes[i].position - lowest.position for i in order])
    sideways = np.stack([beside @ first.down, beside @ first.across], axis=1)
    _refuse_drift(sideways, heights, [planes[i].name for i in order], first.spacing, name)
    _refuse_missing(gaps, [planes[i].name for i in order], name)
    return Stack(order, heights, sideways / first.spacing, lowest)


def _refuse_unlike(planes: Sequence[Plane], name: str) -> None:
    """All slices must have the orientation and the grid that most of them have."""

    def kind(plane: Plane) -> tuple[float, ...]:
        return tuple(np.round([*plane.across, *plane.down], 1).tolist())

    usual = Counter(map(kind, planes)).most_common(1)[0][0]
    like = next(plane for plane in planes if kind(plane) == usual)
    for plane in planes:
        turned = min(plane.across @ like.across, plane.down @ like.down) < _PARALLEL
        if turned:
            raise InputError(
                f"{name} is no volume: the slice {plane.name} is turned against {like.name} "
                "(a scout, or projections?); leave out what is no part of the stack"
            )
        if plane.shape != like.shape:
            raise InputError(
                f"{name} is no volume: the slice {plane.name} has {plane.shape} rows and columns, "
                f"{like.name} has {like.shape}"
            )
        if not np.allclose(plane.spacing, like.spacing, rtol=0.01):
            raise InputError(
                f"{name} is no volume: the pixels of {plane.name} are {plane.spacing} mm apart, "
                f"those of {like.name} {like.spacing} mm"
            )


def _refuse_drift(
    sideways: NDArray[np.float64],
    heights: NDArray[np.float64],
    names: list[str],
    spacing: tuple[float, float],
    name: str,
) -> None:
    """Slices may lie on a slanted line (a tilted gantry), but on one line."""
    along = heights - heights[0]
    slope = along @ sideways / (along @ along)
    off = abs(sideways - along[:, None] * slope).max(axis=1)
    worst = int(off.argmax())
    if off[worst] > max(0.5 * min(spacing), 0.1):
        raise InputError(
            f"{name} is no volume: the slice {names[worst]} lies {off[worst]:.3g} mm beside the "
            "line of the others"
        )
    if np.linalg.norm(slope) > _STEEPEST:
        raise InputError(
            f"{name} is no volume: its slices drift {np.linalg.norm(slope):.2g} mm sideways for "
            f"each mm from {names[0]} to {names[-1]}"
        )


def _refuse_missing(gaps: NDArray[np.float64], names: list[str], name: str) -> None:
    """A few wide gaps among even ones are lost slices; many are another distance."""
    usual = float(np.median(gaps))
    wide = np.flatnonzero(gaps > 1.5 * usual)
    for run in np.split(wide, np.flatnonzero(np.diff(wide) > 1) + 1):
        if 0 < len(run) < _SHORTEST_RUN:
            at = int(run[0])
            raise InputError(
                f"{name} lacks slices: a gap of {gaps[at]:.3g} mm between {names[at]} and "
                f"{names[at + 1]}, elsewhere {usual:.3g} mm"
            )


def to_scan(pixels: NDArray[Any], stack: Stack) -> Scan:
    """Makes a regular volume of the slices, and turns it to RAS.

    Args:
        pixels: `(n rows columns)`, in the order of the stack.
        stack: Their grid.

    Returns:
        The scan; its notes say what was resampled.
    """
    first, notes = stack.first, []
    rows, columns = first.spacing
    corner = first.position
    if abs(stack.shifts).max() > 0.1:
        pixels, before = _sheared(pixels, stack.shifts)
        corner = corner - first.down * before[0] * rows - first.across * before[1] * columns
        moved = np.linalg.norm(stack.shifts[-1] * first.spacing)
        notes.append(f"its slices drift {moved:.0f} mm (a tilted gantry): resampled")
    gaps = np.diff(stack.heights)
    step = float(np.median(gaps))
    even = stack.heights[0] + np.arange(len(stack.heights)) * gaps.mean()
    if abs(even - stack.heights).max() <= max(_EVEN * step, 0.01):
        step = float(gaps.mean())
    else:
        pixels = _levelled(pixels, stack.heights, step)
        notes.append(
            f"its slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart: resampled to "
            f"{step:.3g} mm"
        )
    affine = np.eye(4)
    affine[:3, 0] = first.down * rows
    affine[:3, 1] = first.across * columns
    affine[:3, 2] = np.cross(first.across, first.down) * step
    affine[:3, 3] = corner
    affine[:2] *= -1  # DICOM counts to the left and to the back
    return oriented(pixels.transpose(1, 2, 0), affine, tuple(notes))


def _sheared(
    pixels: NDArray[Any], shifts: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Moves each slice by its shift, on a grid that holds all of them."""
    from scipy import ndimage

    before = np.ceil(np.maximum(0, -shifts.min(axis=0))).astype(np.int64)
    behind = np.ceil(np.maximum(0, shifts.max(axis=0))).astype(np.int64)
    shape = tuple(np.array(pixels.shape[1:]) + before + behind)
    moved = np.empty((len(pixels), *shape), np.float32)
    outside = float(np.nanmin(pixels))
    for index, (plane, shift) in enumerate(zip(pixels, shifts, strict=True)):
        ndimage.affine_transform(
            plane.astype(np.float32),
            np.ones(2),
            -(before + shift),
            output=moved[index],
            order=1,
            mode="constant",
            cval=outside,
        )
    return moved, before


def _levelled(
    pixels: NDArray[Any], heights: NDArray[np.float64], step: float
) -> NDArray[np.float32]:
    """Interpolates between slices, at even distances."""
    count = int(np.floor((heights[-1] - heights[0]) / step + 1e-6)) + 1
    wanted = heights[0] + step * np.arange(count)
    upper = np.clip(np.searchsorted(heights, wanted), 1, len(heights) - 1)
    share = (wanted - heights[upper - 1]) / (heights[upper] - heights[upper - 1])
    result = np.empty((count, *pixels.shape[1:]), np.float32)
    for index, (above, part) in enumerate(zip(upper, np.clip(share, 0, 1), strict=True)):
        result[index] = (1 - part) * pixels[above - 1] + part * pixels[above]
    return result
