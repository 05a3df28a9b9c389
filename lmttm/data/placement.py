"""Where the voxels that a model sees lie in the scan that they were made of."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmttm.data.preparation import Geometry, Intensity, box_of, cut, to_bytes
from lmttm.data.scan import Grid, Scan
from lmttm.data.scans import read


@dataclass(frozen=True)
class Placement:
    """The grid of a scan's file, and its way to the prepared volume.

    Attributes:
        source: The grid of the file; of an array without a geometry its own, in mm.
        to_prepared: `(4 4)`, from voxels of the file to voxels D, H, W of the prepared volume.
    """

    source: Grid
    to_prepared: NDArray[np.float64]


@dataclass(frozen=True)
class Prepared:
    """A scan as the model sees it.

    Attributes:
        volume: `(D H W)` uint8.
        notes: What is worth a warning, as sentences.
        place: Where the volume lies in the scan.
    """

    volume: NDArray[np.uint8]
    notes: tuple[str, ...]
    place: Placement


def prepared(
    path: Path, geometry: Geometry, intensity: Intensity, name: str | None = None
) -> Prepared:
    """Reads a scan and prepares it as `volume_of` does; says where the volume lies as well."""
    name = name or str(path)
    scan = read(path)
    volume, notes = to_bytes(cut(scan, geometry, name), intensity)
    return Prepared(volume, notes, placement(scan, geometry, name))


def placement(scan: Scan, geometry: Geometry, name: str = "the scan") -> Placement:
    """Finds where a prepared volume lies.

    Args:
        scan: As `read` gives it.
        geometry: What `cut` cuts out of it.
        name: What an error calls the scan.

    Returns:
        The placement.
    """
    affine = np.diag([*scan.spacing, 1.0]) if scan.affine is None else scan.affine
    source = scan.source or Grid(scan.voxels.shape, affine)
    box = box_of(scan, geometry, name)
    to_turned = np.eye(4)  # from prepared voxels to x, y, z of the scan
    to_turned[:3, :3] = 0
    for place, axis in enumerate(geometry.axes):
        row = "xyz".index(axis)
        to_turned[row, place] = box.step[place]
        to_turned[row, 3] = box.first[place]
    to_prepared = np.linalg.inv(affine @ to_turned) @ source.affine
    return Placement(source, to_prepared)
