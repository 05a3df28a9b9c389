"""Lays the scans of a case over each other: the first one defines the region.

Where the files know where their voxels lie, another scan is sampled at the same places in the
patient, whatever its own grid: finer or coarser, larger or smaller, or turned. Where they do not
know it (NumPy, Analyze, NIfTI without coordinates), equal shapes are taken for equal grids, and
others are refused.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lmttm.data.content import Content, content_of, without_padding
from lmttm.data.preparation import (
    LARGEST_LOSS,
    Geometry,
    Region,
    box_of,
    cut,
    from_prepared,
    region_of,
)
from lmttm.data.resampling import Box, resampled
from lmttm.data.scan import Scan
from lmttm.errors import InputError

_SAME = 0.01  # voxels by which two grids may differ and be one


def cut_case(scans: Iterable[Scan], geometry: Geometry, names: Sequence[str]) -> tuple[Region, ...]:
    """Cuts out of each scan of a case what the model sees.

    Args:
        scans: As `read` gives them.
        geometry: What to cut out of the first one.
        names: What errors and notes call them.

    Returns:
        The regions, all on the grid of the first one's.

    Raises:
        InputError: One cannot be used, or not be laid over the first.
    """
    scan_of = iter(scans)
    first = next(scan_of)
    regions = [cut(first, geometry, names[0])]
    for scan, name in zip(scan_of, names[1:], strict=True):
        regions.append(_cut_onto(first, scan, geometry, names[0], name))
    return tuple(regions)


def _cut_onto(first: Scan, scan: Scan, geometry: Geometry, first_name: str, name: str) -> Region:
    if _one_grid(first, scan, first_name, name):
        return cut(replace(scan, spacing=first.spacing), geometry, name)
    assert first.affine is not None
    assert scan.affine is not None
    to_first = from_prepared(box_of(first, geometry, first_name), geometry)
    way = np.linalg.inv(scan.affine) @ first.affine @ to_first
    way, to_first = (matrix[[*geometry.order]] for matrix in (way, to_first))  # along D, H, W
    voxels = scan.voxels.transpose(geometry.order)
    edges = tuple(first.voxels.shape[axis] for axis in geometry.order)
    wanted = _within(to_first, geometry.shape, edges, 0.5)
    covered = wanted & _within(way, geometry.shape, voxels.shape, 0.5)
    if not covered.any():
        raise InputError(
            f"{name} lies beside the region of {first_name}; the scans of a case must be of one "
            "patient in one position"
        )
    notes, missing = scan.notes, 1 - covered.sum() / wanted.sum()
    if missing > LARGEST_LOSS:
        notes = (*notes, f"it does not reach {missing:.0%} of the region of {first_name}")
    content = content_of(voxels, name)
    values = _sampled(voxels, way, geometry, content)
    content = replace(content, holes=content.holes or not covered.all())
    return region_of(scan, geometry, values, content, notes)


def _one_grid(first: Scan, scan: Scan, first_name: str, name: str) -> bool:
    """Whether the voxels of two scans lie at the same places.

    Raises:
        InputError: That cannot be known.
    """
    shapes = first.voxels.shape, scan.voxels.shape
    kinds = [(s.affine is not None, s.affine is not None and s.located) for s in (first, scan)]
    if kinds[0] != kinds[1]:
        without, other = (first_name, name) if kinds[0] < kinds[1] else (name, first_name)
        raise InputError(
            f"{without} does not say where its voxels lie as {other} does, so they cannot be laid "
            "over each other; save both in one format, with coordinates"
        )
    if first.affine is None or scan.affine is None or not scan.located:
        if shapes[0] != shapes[1]:
            raise InputError(
                f"{name} must have the shape {shapes[0]} of {first_name}, got {shapes[1]}: neither "
                "file says where its voxels lie"
            )
        return True
    way = (np.linalg.inv(scan.affine) @ first.affine)[:3]
    corners = np.array([(*c, 1) for c in itertools.product(*((0, edge - 1) for edge in shapes[0]))])
    return shapes[0] == shapes[1] and bool((abs(corners @ way.T - corners[:, :3]) < _SAME).all())


def _within(
    way: NDArray[np.float64], shape: Sequence[int], edges: Sequence[int], margin: float
) -> NDArray[np.bool_]:
    """Which voxels of a prepared volume lie in a scan, or at most a margin beyond its voxels."""
    inside = np.ones(shape, dtype=bool)
    d, h, w = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for row, edge in zip(way, edges, strict=True):
        place = row[0] * d + row[1] * h + row[2] * w + row[3]
        inside &= (place >= -margin) & (place <= edge - 1 + margin)
    return inside


def _sampled(
    voxels: NDArray[np.generic], way: NDArray[np.float64], geometry: Geometry, content: Content
) -> NDArray[np.float32]:
    """The values of a scan `(D H W)` where a prepared volume has its voxels."""
    steps = np.diagonal(way[:, :3])
    sway = abs(way[:, :3] - np.diag(steps)) @ (np.array(geometry.shape) - 1)
    if (steps > 0).all() and (sway < _SAME).all():
        return resampled(
            voxels,
            Box(geometry.shape, way[:, 3], steps),
            values=lambda slab: without_padding(slab, content),
            outside=content.low,
            nearest=geometry.nearest,
        )
    return _sampled_obliquely(voxels, way, geometry, content)


def _sampled_obliquely(
    voxels: NDArray[np.generic], way: NDArray[np.float64], geometry: Geometry, content: Content
) -> NDArray[np.float32]:
    """The same where the axes of the two grids are not parallel."""
    from scipy import ndimage

    matrix, offset = way[:, :3], way[:, 3]
    widths = np.maximum(0, np.linalg.norm(matrix, axis=1) - 1) / 2 * (not geometry.nearest)
    reach = matrix * (np.array(geometry.shape) - 1)
    margin = np.ceil(4 * widths) + 1
    edges = np.array(voxels.shape)
    low = (offset + reach.clip(max=0).sum(axis=1) - margin).clip(0, edges - 1).astype(int)
    high = (offset + reach.clip(min=0).sum(axis=1) + margin).clip(0, edges - 1).astype(int) + 1
    needed = voxels[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    values = np.empty(needed.shape, dtype=np.float32)
    for place, plane in zip(values, needed, strict=True):
        place[:] = without_padding(plane, content)
    if widths.any():
        ndimage.gaussian_filter(values, widths, mode="nearest", output=values)
    result: NDArray[np.float32] = ndimage.affine_transform(
        values,
        matrix,
        offset - low,
        output_shape=geometry.shape,
        order=0 if geometry.nearest else 1,
        mode="nearest",
    )
    result[~_within(way, geometry.shape, voxels.shape, 1)] = content.low
    return result
