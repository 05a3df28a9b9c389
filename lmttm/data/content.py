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
_MOST_PADDINGS = 4  # different values that stand for padding in one scan
_AIR = (-1100.0, -600.0)  # where the least value of a CT lies, in HU
_LUNG_TO_FAT = (-600.0, -200.0)  # HU that few voxels of a CT have
_MOST_LABELS = 15
_ROUNDING = 1e-5  # what a slope in single precision adds to 1 or to 255, as a share
_LARGEST = 1e30  # beyond it single precision cannot compute


@dataclass(frozen=True)
class Content:
    """The values of a scan, without padding.

    Attributes:
        low: Least value.
        high: Largest value.
        two_valued: Whether it has at most two different values.
        is_hounsfield: Whether the values run from air to above water.
        is_labels: Whether the values are whole numbers from 0 to 15, as those of a label map.
        levels: Its percentiles 0, 0.1, ... 100 in the region that the model sees.
        padding: Values that stand for "nothing was measured here".
        holes: Whether there is padding, or voxels that are not finite.
    """

    low: float
    high: float
    two_valued: bool
    is_hounsfield: bool = False
    is_labels: bool = False
    levels: tuple[float, ...] = ()
    padding: tuple[float, ...] = ()
    holes: bool = False

    @property
    def byte_window(self) -> tuple[float, float] | None:
        """What becomes 0 and 255 where the values are bytes, or bytes divided by 255."""
        for end in (1.0, 255.0):
            if -_ROUNDING * end <= self.low and self.high <= (1 + _ROUNDING) * end:
                return (0.0, end)
        return None


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
        InputError: No voxel is finite, or values are too large to be intensities.
    """
    low, high = _range(voxels, ())
    if not np.isfinite(low):
        raise InputError(f"{name} holds no finite voxel")
    step = stride(voxels.size)
    seen = voxels[::step, ::step, ::step]
    seen = seen[np.isfinite(seen)] if seen.dtype.kind == "f" else seen.ravel()
    holes = voxels.dtype.kind == "f" and not all(map(_is_finite, slabs(voxels, _SLAB)))
    few = bool(((seen == low) | (seen == high)).all())
    two = few and _all_in(voxels, (low, high))
    padding = () if two else _padding(voxels, seen, low, high)
    if padding:
        low, high = _range(voxels, padding)
        two = _all_in(voxels, (low, high, *padding))
    if max(abs(low), abs(high)) > _LARGEST:
        raise InputError(f"{name} holds values from {low:g} to {high:g}, which are no intensities")
    return Content(
        low,
        high,
        two,
        is_hounsfield=_is_hounsfield(seen, low, high),
        is_labels=low >= 0 and high <= _MOST_LABELS and bool((seen == np.floor(seen)).all()),
        padding=padding,
        holes=holes or bool(padding),
    )


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
    """Constants far below all other values, or one above them that fills all corners.

    A number that a byte can hold is none: 0 is the background of many images. Below those of
    air there may be several, one of which fills a part of the scan.
    """
    found: tuple[float, ...] = ()
    skipped: tuple[float, ...] = ()
    value, rest, needed = low, seen, _PADDED * seen.size
    while value < _AIR[0] or not (skipped or 0 <= value <= 255):
        others = rest[rest != value]
        if len(skipped) == _MOST_PADDINGS or not others.size:
            break
        skipped = (*skipped, value)
        common = seen.size - others.size >= needed
        if common and _is_apart(value, others.min(), np.percentile(others, PERCENTILES[1])):
            found = skipped
        value, rest = float(others.min()), others
    ends = [slice(None, None, max(1, edge - 1)) for edge in voxels.shape]
    if not 0 <= high <= 255 and (voxels[ends[0], ends[1], ends[2]] == high).all():
        others = seen[seen != high]
        common = others.size and seen.size - others.size >= needed
        if common and _is_apart(high, others.max(), np.percentile(others, 100 - PERCENTILES[1])):
            found = (*found, high)
    return found


def _is_apart(value: float, near: float, far: float) -> bool:
    """Whether a value is far from the others, which run from near to far."""
    return abs(float(near) - value) > _GAP * max(abs(float(far) - float(near)), 1e-12)


def _is_hounsfield(seen: NDArray[Any], low: float, high: float) -> bool:
    """Whether values look like a CT, of which noise may lie below air."""
    if high < 50 or low > _AIR[1]:
        return False
    if low >= _AIR[0]:
        return True
    measured = seen[seen > low]  # without padding
    air, between = (((measured >= a) & (measured <= b)).sum() for a, b in (_AIR, _LUNG_TO_FAT))
    below = (measured < _AIR[0]).sum()
    return bool(air > max(below, between, _PADDED * seen.size))


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
        `masks`, `bytes`, `window` (of label maps), `hu` or `percentiles`, and the values that
        become 0 and 255.
    """
    if all(content.two_valued for content in contents):
        return "masks", (0.0, 1.0)
    if all(content.byte_window for content in contents):
        highest = max(content.high for content in contents)
        if highest <= 1 + _ROUNDING or highest > 127:
            return "bytes", (0.0, 255.0)
    if all(content.is_labels for content in contents):  # rare labels are no extremes
        return "window", (0.0, max(content.high for content in contents))
    if np.median([content.is_hounsfield for content in contents]) >= 0.5:
        return "hu", HU_WINDOW
    return "percentiles", percentile_window([content.levels for content in contents])


def percentile_window(levels: Sequence[Sequence[float]]) -> tuple[float, float]:
    """A window that spares the extremes of scans, given their percentiles 0, 0.1, ... 100.

    Where nearly all voxels have one value, such as those outside a small lesion, it is the
    whole range.
    """
    values = np.concatenate(levels)
    low, high = np.percentile(values, PERCENTILES)
    if not low < high:
        low, high = values.min(), values.max()
    return float(low), float(high) if low < high else float(low) + 1
