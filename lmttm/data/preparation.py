"""From a scan to the bytes that the model sees: the one way for training and prediction.

1. Read (`scans.py`): any format, turned to RAS, so that the axes (x, y, z) run to the patient's
   right, front and head. NumPy arrays have no orientation, and voxels of 1 mm.
2. Axes: (D, H, W) = (x, y, z), unless `volume.axes` permutes them.
3. Region: the largest centred box of the shape `size` with voxels of equal edges (`cube`), the
   whole scan padded to such a box (`pad`), the whole scan with each axis fitted on its own
   (`stretch`), or a box given by `volume.centre` and `volume.extent` in mm. An array of exactly
   the model's shape is taken as it is. Beyond the scan the box has the scan's least value.
4. Resampling: smoothed against aliasing, linear interpolation; or the nearest voxel.
5. Intensity: padding and what is not finite count as the least value. A window is mapped to
   0..255. Which window is settled on the training split (`content.py`) and stored in the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.config.paths import as_path
from lmttm.config.schema import Config
from lmttm.config.shape import Shape
from lmttm.data.content import (
    HU_WINDOW,
    PERCENTILES,
    Content,
    content_of,
    levels_of,
    percentile_window,
    stride,
    without_padding,
)
from lmttm.data.resampling import Box, resampled
from lmttm.data.scan import Scan
from lmttm.data.scans import find_scans, read
from lmttm.errors import InputError
from lmttm.storage import printable

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


@dataclass(frozen=True)
class Intensity:
    """How values become bytes.

    Attributes:
        kind: masks, bytes, hu, percentiles, window, or each (the window of each scan is found
            in its own values).
        window: Values that become 0 and 255, where the kind has such.
    """

    kind: str
    window: tuple[float, float] | None = None


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
    order = ["xyz".index(axis) for axis in geometry.axes]
    voxels = scan.voxels.transpose(order)
    spacing = np.take(scan.spacing, order)
    content, notes = content_of(voxels, name), scan.notes
    if content.low == content.high:
        notes = (*notes, f"all its voxels are {content.low:g}")
    grid = {"edges": tuple(voxels.shape), "spacing": tuple(spacing.tolist())}
    plain = geometry.region == "cube" and not geometry.extent and not geometry.centre
    if voxels.shape == geometry.shape and plain:
        values = _clean(voxels, content)
        content = replace(content, levels=levels_of(values, content))
        return Region(values, content, notes, **grid)
    box = _box(voxels.shape, spacing, geometry, name)
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
    return Region(values, replace(content, levels=levels_of(values, content)), notes, **grid)


def _clean(voxels: NDArray[Any], content: Content) -> NDArray[Any]:
    if content.padding or voxels.dtype.kind == "f":
        return without_padding(voxels, content).astype(np.float32)
    return np.ascontiguousarray(voxels)


def _box(edges: Shape, spacing: NDArray[np.float64], geometry: Geometry, name: str) -> Box:
    reach = spacing * edges  # mm, from face to face
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


def box_of(scan: Scan, geometry: Geometry, name: str = "the scan") -> Box:
    """The box of the scan that `cut` takes, along D, H, W; in voxels of the scan."""
    order = ["xyz".index(axis) for axis in geometry.axes]
    depth, height, width = (scan.voxels.shape[axis] for axis in order)
    plain = geometry.region == "cube" and not geometry.extent and not geometry.centre
    if (depth, height, width) == geometry.shape and plain:
        return Box(geometry.shape, np.zeros(3), np.ones(3))
    return _box((depth, height, width), np.take(scan.spacing, order), geometry, name)


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


def to_bytes(region: Region, intensity: Intensity) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Maps a region to bytes; step 5 above.

    Args:
        region: As `cut` gives it.
        intensity: As the training split settled it.

    Returns:
        `(D H W)` uint8, and the notes of the region, more where its values do not fit.
    """
    (low, high), notes = _window(region.content, intensity)
    values = region.values
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return np.ascontiguousarray(values), (*region.notes, *notes)
    scaled = (values.astype(np.float64) - low) / max(high - low, 1e-12)
    return np.rint(255 * scaled.clip(0, 1)).astype(np.uint8), (*region.notes, *notes)


def notes_on(content: Content, intensity: Intensity) -> tuple[str, ...]:
    """What is worth a warning where values of this content become bytes this way."""
    return _window(content, intensity)[1]


def _window(content: Content, intensity: Intensity) -> tuple[tuple[float, float], tuple[str, ...]]:
    if intensity.kind == "masks" and content.two_valued:
        if content.low == content.high:  # all background, or all shape
            return (content.low - 1, content.low) if content.low > 0 else (0.0, 1.0), ()
        return (content.low, content.high), ()
    if intensity.kind in ("masks", "bytes"):
        notes = ("it is no mask, as the training volumes are",) * (intensity.kind == "masks")
        if content.byte_window:
            return content.byte_window, notes
        low, high = own = _own_window(content)
        found = f"its values run from {content.low:g} to {content.high:g}, those in training "
        return own, (*notes, f"{found}from 0 to 255: mapped from {low:g} to {high:g}")
    if intensity.kind == "each":
        return _own_window(content), ()
    return intensity.window or HU_WINDOW, ()


def _own_window(content: Content) -> tuple[float, float]:
    """A window for a scan that has to speak for itself."""
    if content.is_labels and content.high > 1:
        return (0.0, content.high)
    if content.is_hounsfield and not content.byte_window:
        return HU_WINDOW
    return content.byte_window or percentile_window([content.levels])


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


def intensity_of(config: Config) -> Intensity:
    """How a configuration makes bytes of values; each scan's own way where that is open."""
    volume = config.volume
    if volume.window is None:
        return Intensity(volume.intensity if volume.settled else "each")
    kind = volume.intensity if volume.settled else "window"
    return Intensity(kind, (volume.window[0], volume.window[1]))


def load_volume(path: str | Path, config: Config) -> NDArray[np.uint8]:
    """Reads a scan as the model of a run sees it: training and prediction take the same way.

    Args:
        path: A scan; see `lmttm.data.scans.read`.
        config: The configuration of the run, with its settled section `volume`.

    Returns:
        `(D H W)` uint8.

    Raises:
        InputError: The scan cannot be used.
    """
    return volume_of(as_path(path), geometry_of(config), intensity_of(config))[0]


def prepare_all(
    paths: Sequence[str | Path], config: Config
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, tuple[str, ...]], dict[str, str]]:
    """Prepares scans as `load_volume` does; one that cannot be used stops none of the others.

    Args:
        paths: Scans, or folders of scans.
        config: The configuration of a run.

    Returns:
        By the path of each scan its volume and what is worth a warning, and for each other why
        it cannot be used.
    """
    volumes, notes, failures = {}, {}, {}
    geometry, intensity = geometry_of(config), intensity_of(config)
    for path in [scan for given in paths for scan in find_scans(as_path(given))]:
        name = printable(path)
        try:
            volumes[name], notes[name] = volume_of(path, geometry, intensity)
        except InputError as error:
            failures[name] = printable(str(error))
    return volumes, notes, failures


def volume_of(
    path: Path, geometry: Geometry, intensity: Intensity, name: str | None = None
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Reads a scan and prepares it; the bytes `(D H W)` and what is worth a warning."""
    name = name or str(path)
    return to_bytes(cut(read(path), geometry, name), intensity)
