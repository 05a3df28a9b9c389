"""What the numbers of a scan are: a mask, bytes, Hounsfield units or something else.

A scan is judged by its values alone, never by its format or header: the same scan in two
formats gets the same answer. Padding around a round field of view is no value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.data.scan import slabs
from lmttm.errors import InputError

HU_WINDOW = (-160.0, 240.0)
PERCENTILES = (0.5, 99.5)
_SAMPLE = 1_000_000  # voxels by which a large scan is judged
_SLAB = 1_000_000  # voxels that are looked at in one go
_LEVELS = np.linspace(0, 100, 1001)  # percentiles that are kept of a scan
_PADDED = 0.001  # least share of the voxels that padding fills
_GAP = 0.25  # least distance of padding from the values, in ranges of these
_AIR = (-1100.0, -600.0)  # where the least value of a CT lies, in HU


@dataclass(frozen=True)
class Content:
    """The values of a scan, without padding.

    Attributes:
        low: Least value.
        high: Largest value.
        two_valued: Whether it has at most two different values.
        levels: Its percentiles 0, 0.1, ... 100 in the region that the model sees.
        padding: Values that stand for "nothing was measured here".
        holes: Whether there is padding, or voxels that are not finite.
    """

    low: float
    high: float
    two_valued: bool
    levels: tuple[float, ...] = ()
    padding: tuple[float, ...] = ()
    holes: bool = False

    @property
    def is_bytes(self) -> bool:
        """Whether all values fit a byte, or are bytes divided by 255."""
        return self.low >= 0 and self.high <= 255

    @property
    def is_hounsfield(self) -> bool:
        """Whether the values run from air to above water."""
        return _AIR[0] <= self.low <= _AIR[1] and self.high >= 50


def levels_of(values: NDArray[Any], content: Content) -> tuple[float, ...]:
    """The percentiles 0, 0.1, ... 100 of a region, without the holes that got the least value."""
    if content.holes:
        measured = values[values > content.low + 1e-6 * (content.high - content.low)]
        values = measured if measured.size else values
    return tuple(np.percentile(values, _LEVELS).tolist())


def stride(num_voxels: int, largest: int = _SAMPLE) -> int:
    """Distance of the voxels of an even grid that holds at most about `largest` of them."""
    return max(1, int(np.ceil((num_voxels / largest) ** (1 / 3))))


def content_of(voxels: NDArray[Any], name: str) -> Content:
    """Judges a scan.

    Args:
        voxels: `(x y z)` of any real type.
        name: What an error calls the scan.

    Returns:
        Its content; `levels` is empty.

    Raises:
        InputError: No voxel is finite.
    """
    low, high = _range(voxels, ())
    if not np.isfinite(low):
        raise InputError(f"{name} holds no finite voxel")
    step = stride(voxels.size)
    seen = voxels[::step, ::step, ::step]
    seen = seen[np.isfinite(seen)] if seen.dtype.kind == "f" else seen
    few = bool(((seen == low) | (seen == high)).all())
    finite = voxels.dtype.kind != "f" or all(map(_is_finite, slabs(voxels, _SLAB)))
    if few and _all_in(voxels, (low, high)):
        return Content(low, high, two_valued=True, holes=not finite)
    padding = _padding(voxels, seen.ravel(), low, high)
    if padding:
        low, high = _range(voxels, padding)
        two = _all_in(voxels, (low, high, *padding))
        return Content(low, high, two_valued=two, padding=padding, holes=True)
    return Content(low, high, two_valued=False, holes=not finite)


def _is_finite(slab: NDArray[Any]) -> bool:
    """Whether all values are; two passes without a copy, as NaN is contagious."""
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(slab.min()) and np.isfinite(slab.max()))


def _range(voxels: NDArray[Any], padding: tuple[float, ...]) -> tuple[float, float]:
    """Least and largest finite value that is no padding; infinite where there is none."""
    low, high = np.inf, -np.inf
    for slab in slabs(voxels, _SLAB):
        if padding or not _is_finite(slab):
            valid = np.isfinite(slab)
            for value in padding:
                valid &= slab != value
            slab = slab[valid]
        if slab.size:
            low, high = min(low, float(slab.min())), max(high, float(slab.max()))
    return low, high


def _all_in(voxels: NDArray[Any], values: tuple[float, ...]) -> bool:
    for slab in slabs(voxels, _SLAB):
        known = ~np.isfinite(slab) if slab.dtype.kind == "f" else np.zeros(slab.shape, bool)
        for value in values:
            known |= slab == value
        if not known.all():
            return False
    return True


def _padding(
    voxels: NDArray[Any], seen: NDArray[Any], low: float, high: float
) -> tuple[float, ...]:
    """A constant far below all values, or above them where it fills all corners.

    A number that a byte can hold is none: 0 is the background of many images.
    """
    found = []
    ends = [slice(None, None, max(1, edge - 1)) for edge in voxels.shape]
    corners = voxels[ends[0], ends[1], ends[2]]
    for value, sign, needed in ((low, 1, False), (high, -1, True)):
        if 0 <= value <= 255:
            continue
        share = (seen == value).mean() if seen.size else 0.0
        rest = seen[seen != value] * float(sign)
        if share < _PADDED or not rest.size or (needed and not (corners == value).all()):
            continue
        near, far = float(rest.min()), float(np.percentile(rest, PERCENTILES[1]))
        if near - value * sign > _GAP * max(far - near, 1e-12):
            found.append(value)
    return tuple(found)


def without_padding(slab: NDArray[Any], content: Content) -> NDArray[np.float64]:
    """A part of a scan as floats; padding and what is not finite becomes the least value."""
    values = slab.astype(np.float64)
    for value in content.padding:
        values[slab == value] = content.low
    if slab.dtype.kind == "f" and content.holes:
        values[~np.isfinite(values)] = content.low
    return values


def decide(contents: Sequence[Content]) -> tuple[str, tuple[float, float]]:
    """How the scans of a training split become bytes, and the window that does it.

    Args:
        contents: Of each training scan, with its `levels`.

    Returns:
        `masks`, `bytes`, `hu` or `percentiles`, and the values that become 0 and 255.
    """
    if all(content.two_valued for content in contents):
        return "masks", (0.0, 1.0)
    if all(content.is_bytes for content in contents):
        highest = max(content.high for content in contents)
        if highest <= 1 or highest > 127:
            return "bytes", (0.0, 255.0)
    if np.median([content.is_hounsfield for content in contents]) >= 0.5:
        return "hu", HU_WINDOW
    low, high = np.percentile(np.concatenate([c.levels for c in contents]), PERCENTILES)
    return "percentiles", (float(low), float(high))
