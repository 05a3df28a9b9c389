"""A scan in memory: voxels in a known orientation, and the values that they mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.errors import InputError

_SLAB = 250_000  # voxels that have a wide type at a time
LARGEST = 2**31  # voxels: a header that claims more is broken
# In mm, and in bits of a smaller edge. Powers of two, so that 360/512 mm stay as they are.
_FINEST, _BITS = 2.0**-14, 10
_SHEAR = 0.02  # cosine between two axes of a voxel that counts as perpendicular


@dataclass(frozen=True)
class Grid:
    """Where voxels lie.

    Attributes:
        shape: Voxels along i, j, k.
        affine: `(4 4)`, from i, j, k to mm towards right, front and head.
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class Scan:
    """A volume as a file holds it.

    Attributes:
        voxels: `(x y z)` of any real type; the axes run nearest to the patient's right, front
            and head where the file knows them.
        spacing: Edges of a voxel in mm, along x, y, z.
        notes: What was repaired or is unusual, as sentences.
        affine: `(4 4)`, from x, y, z in voxels to mm; None where the file does not know it.
        source: The grid of the file, before its axes were turned; likewise.
        located: Whether the affine leads to the patient; a header without coordinates has only
            the conventional one, about the middle of the scan.
    """

    voxels: NDArray[Any]
    spacing: tuple[float, float, float]
    notes: tuple[str, ...] = ()
    affine: NDArray[np.float64] | None = None
    source: Grid | None = None
    located: bool = True


def oriented(
    voxels: NDArray[Any], affine: NDArray[np.float64], notes: tuple[str, ...] = ()
) -> Scan:
    """Turns voxels by quarters and flips until their axes run nearest to RAS.

    Args:
        voxels: `(i j k)`.
        affine: `(4 4)`, from i, j, k to mm towards right, front and head.
        notes: Notes of the reader.

    Returns:
        The scan; its voxels are a view.

    Raises:
        InputError: A voxel has no edge.
    """
    from nibabel import orientations

    nibabel: Any = orientations  # it has no types

    edges = np.asarray(affine, dtype=np.float64)[:3, :3]
    lengths = np.linalg.norm(edges, axis=0)
    if not np.isfinite(edges).all() or (lengths <= 0).any():
        raise InputError(f"voxels must have an edge, got a spacing of {tuple(lengths.tolist())} mm")
    turns = nibabel.io_orientation(affine)
    if not np.isfinite(turns).all():
        raise InputError("two axes of a voxel must not run in the same direction")
    directions = edges / lengths
    cosines = directions.T @ directions - np.eye(3)
    if abs(cosines).max() > _SHEAR:
        angle = np.degrees(np.arcsin(abs(cosines).max()))
        notes = (*notes, f"the axes of its voxels are {angle:.0f} degrees from perpendicular")
    # NIfTI stores 0.7 mm as 0.69999999, DICOM as 0.7: the same scan must get the same bytes.
    finest = np.minimum(_FINEST, 2.0 ** (np.floor(np.log2(lengths)) - _BITS))
    exact = np.rint(lengths / finest) * finest
    spacing = exact[np.argsort(turns[:, 0])]
    turned = nibabel.apply_orientation(voxels, turns)
    return Scan(
        turned,
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        notes,
        affine @ nibabel.inv_ornt_aff(turns, voxels.shape),
        Grid(voxels.shape, np.asarray(affine, dtype=np.float64)),
    )


def rescaled(stored: NDArray[Any], slope: float, offset: float) -> NDArray[Any]:
    """What stored numbers mean: `slope * stored + offset`; whole numbers stay whole.

    The same scan in two formats thereby has the same values to the last bit, whatever
    offset each format chose to store it with.
    """
    if slope == 1 and offset == 0:
        return stored
    whole = float(slope).is_integer() and float(offset).is_integer()
    if stored.dtype.kind in "iu" and whole and stored.size:
        ends = [int(slope) * int(end) + int(offset) for end in (stored.min(), stored.max())]
        for kind in (np.int16, np.int32):
            if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
                wide = np.int64 if stored.dtype.itemsize > 2 else np.int32
                return _linear(stored, int(slope), int(offset), wide, kind)
    return _linear(stored, float(slope), float(offset), np.float64, np.float32)


def _linear(
    stored: NDArray[Any], slope: float, offset: float, wide: type[Any], kind: type[Any]
) -> NDArray[Any]:
    """`slope * stored + offset`, computed in a wide type of which few voxels exist at a time."""
    if not stored.ndim or not stored.size:
        return (stored.astype(wide) * slope + offset).astype(kind)
    result = np.empty_like(stored, dtype=kind)  # its axes lie in memory as those of `stored`
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large becomes infinite
        for part, place in zip(slabs(stored, _SLAB), slabs(result, _SLAB), strict=True):
            slab = part.astype(wide)
            slab *= slope
            slab += offset
            place[:] = slab
    return result


def slabs(voxels: NDArray[Any], largest: int) -> Iterator[NDArray[Any]]:
    """Cuts an array into parts that lie in one piece of memory, where the array does.

    Args:
        voxels: Of at least one axis; not empty.
        largest: Voxels of a part, at most, if it is more than one plane thick.

    Yields:
        Views, with the axes in another order where that is faster.
    """
    parts = np.moveaxis(voxels, int(np.argmax(np.abs(voxels.strides))), 0)
    planes = max(1, largest // parts[0].size)
    for at in range(0, len(parts), planes):
        yield parts[at : at + planes]
