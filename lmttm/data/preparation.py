"""From a scan to the bytes that the model sees: the one way for training and prediction.

1. Read (`scans.py`): any format, turned to RAS, so that the axes (x, y, z) run to the patient's
   right, front and head. NumPy arrays have no orientation, and voxels of 1 mm.
2. Axes: (D, H, W) = (x, y, z), unless `volume.axes` permutes them.
3. Region: the largest centred box of the shape `size` with voxels of equal edges (`cube`), the
   whole scan padded to such a box (`pad`), the whole scan with each axis fitted on its own
   (`stretch`), or a box given by `volume.centre` and `volume.extent` in mm. An array of exactly
   the model's shape is taken as it is. Beyond the scan the box has the scan's least value.
4. Resampling: smoothed against aliasing, linear interpolation; or the nearest voxel.
5. Intensity (`intensity.py`): padding and what is not finite count as the least value. A window
   is mapped to 0..255. Which window is settled on the training split (`content.py`) and stored in
   the run.

Of a case of several scans the first one defines the region, and the others are sampled at the
same places in the patient (`alignment.py`); each is a channel, with a window of its own.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.config.schema import Config
from lmttm.config.shape import Shape
from lmttm.data.content import (
    PERCENTILES,
    Content,
    content_of,
    levels_of,
    stride,
    without_padding,
)
from lmttm.data.resampling import Box, resampled
from lmttm.data.scan import Scan
from lmttm.errors import InputError

LARGEST_LOSS = 0.3  # share of the foreground outside the region that is worth a warning


@dataclass(frozen=True)
class Geometry:
    """Which part of a scan the model sees, and on which grid.

    Attributes:
        shape: Voxels along D, H, W.
        axes: Which of x, y, z become D, H, W.
        region: cube, pad or stretch.
        centre: Of the box, in mm along D, H, W from the middle of the first voxel; None for
            the scan's own.
        extent: Edges of the box along D, H, W in mm; None to follow `region`.
        nearest: Whether voxels are picked instead of interpolated.
    """

    shape: Shape
    axes: str = "xyz"
    region: str = "cube"
    centre: tuple[float, float, float] | None = None
    extent: tuple[float, float, float] | None = None
    nearest: bool = False

    @property
    def order(self) -> tuple[int, int, int]:
        """The numbers of the axes x, y, z that become D, H, W."""
        depth, height, width = ("xyz".index(axis) for axis in self.axes)
        return depth, height, width


@dataclass(frozen=True)
class Region:
    """The part of a scan that the model sees, in the scan's own values.

    Attributes:
        values: `(D H W)`; float32 where it was resampled.
        content: What the values of the whole scan are.
        notes: What is worth a warning, as sentences.
        edges: Voxels of the whole scan along D, H, W.
        spacing: Edges of its voxels in mm.
    """

    values: NDArray[Any]
    content: Content
    notes: tuple[str, ...] = ()
    edges: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()


def cut(scan: Scan, geometry: Geometry, name: str = "the scan") -> Region:
    """Cuts out of a scan what the model sees; steps 2 to 4 above.

    Args:
        scan: As `read` gives it.
        geometry: What to cut.
        name: What an error calls the scan.

    Returns:
        The region, in the values of the scan.

    Raises:
        InputError: The box lies outside the scan, or no voxel is finite.
    """
    voxels = scan.voxels.transpose(geometry.order)
    content = content_of(voxels, name)
    if _is_whole(scan, geometry):
        return region_of(scan, geometry, _clean(voxels, content), content, scan.notes)
    box, notes = box_of(scan, geometry, name), scan.notes
    lost = _lost(voxels, content, box)
    if lost > LARGEST_LOSS:
        notes = (*notes, f"{lost:.0%} of its foreground lies outside the region that is used")
    values = resampled(
        voxels,
        box,
        values=lambda slab: without_padding(slab, content),
        outside=content.low,
        nearest=geometry.nearest,
    )
    if geometry.region == "pad" or geometry.extent:
        content = replace(content, holes=True)  # what lies beyond the scan
    return region_of(scan, geometry, values, content, notes)


def region_of(
    scan: Scan,
    geometry: Geometry,
    values: NDArray[Any],
    content: Content,
    notes: tuple[str, ...],
) -> Region:
    """The region of a scan, of values that were sampled of it."""
    if content.low == content.high:
        notes = (*notes, f"all its voxels are {content.low:g}")
    return Region(
        values,
        replace(content, levels=levels_of(values, content)),
        notes,
        edges=tuple(scan.voxels.shape[axis] for axis in geometry.order),
        spacing=tuple(scan.spacing[axis] for axis in geometry.order),
    )


def _clean(voxels: NDArray[Any], content: Content) -> NDArray[Any]:
    if content.padding or voxels.dtype.kind == "f":
        return without_padding(voxels, content).astype(np.float32)
    return np.ascontiguousarray(voxels)


def box_of(scan: Scan, geometry: Geometry, name: str = "the scan") -> Box:
    """The box of the scan that `cut` takes, along D, H, W; in voxels of the scan."""
    if _is_whole(scan, geometry):
        return Box(geometry.shape, np.zeros(3), np.ones(3))
    spacing = np.take(scan.spacing, geometry.order)
    reach = spacing * np.take(scan.voxels.shape, geometry.order)  # mm, from face to face
    shape = np.array(geometry.shape)
    if geometry.extent is not None:
        extent = np.array(geometry.extent)
    elif geometry.region == "stretch":
        extent = reach
    else:
        voxel = (reach / shape).max() if geometry.region == "pad" else (reach / shape).min()
        extent = voxel * shape
    middle = (reach - spacing) / 2
    centre = middle if geometry.centre is None else np.asarray(geometry.centre)
    if (abs(centre - middle) >= (reach + extent) / 2).any():
        raise InputError(f"{name}: the box at {tuple(centre.tolist())} mm lies outside the volume")
    step = extent / shape / spacing
    return Box(geometry.shape, centre / spacing - step * (shape - 1) / 2, step)


def from_prepared(box: Box, geometry: Geometry) -> NDArray[np.float64]:
    """The way `(4 4)` from voxels D, H, W of a prepared volume to voxels x, y, z of its scan."""
    way = np.zeros((4, 4))
    way[3, 3] = 1
    for place, axis in enumerate(geometry.order):
        way[axis, place] = box.step[place]
        way[axis, 3] = box.first[place]
    return way


def _is_whole(scan: Scan, geometry: Geometry) -> bool:
    """Whether the region is the scan as it is, voxel for voxel."""
    plain = geometry.region == "cube" and not geometry.extent and not geometry.centre
    return plain and scan.voxels.transpose(geometry.order).shape == geometry.shape


def _lost(voxels: NDArray[Any], content: Content, box: Box) -> float:
    """Share of the foreground that lies outside the box."""
    step = stride(voxels.size, 100_000)
    values = without_padding(voxels[::step, ::step, ::step], content)
    if content.is_hounsfield:
        threshold = -500.0
    else:
        threshold = content.low + 0.1 * (np.percentile(values, PERCENTILES[1]) - content.low)
    foreground = values > threshold
    total = foreground.sum()
    for axis in range(3):
        at = np.arange(values.shape[axis]) * step
        low = box.first[axis] - box.step[axis] / 2
        inside = (at >= low) & (at <= low + box.step[axis] * box.shape[axis])
        foreground = foreground & inside.reshape([-1 if a == axis else 1 for a in range(3)])
    return float(1 - foreground.sum() / total) if total else 0.0


def geometry_of(config: Config) -> Geometry:
    """The geometry that a configuration describes, but for places that a table gives."""
    volume = config.volume
    centre = volume.centre if isinstance(volume.centre, list) else None
    extent = volume.extent
    if isinstance(extent, float):
        extent = [extent] * 3
    return Geometry(
        shape=config.shape,
        axes=volume.axes,
        region=volume.region,
        centre=None if centre is None else (centre[0], centre[1], centre[2]),
        extent=(extent[0], extent[1], extent[2]) if isinstance(extent, list) else None,
        nearest=volume.resampling == "nearest",
    )
