"""Where the voxels that a model sees lie in the scan that they were made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmttm.config.volume import Intensity
from lmttm.data.cases import volume_of
from lmttm.data.preparation import Geometry, box_of, from_prepared
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
    """A case as the model sees it.

    Attributes:
        volume: `(D H W)` uint8, or `(C D H W)` of several scans.
        notes: What is worth a warning, as sentences.
        place: Where the volume lies in the first scan.
    """

    volume: NDArray[np.uint8]
    notes: tuple[str, ...]
    place: Placement


def prepared(
    paths: Sequence[Path], geometry: Geometry, intensities: Sequence[Intensity]
) -> Prepared:
    """Prepares a case as `volume_of` does; says where the volume lies as well."""
    first, *others = paths
    scan = read(first)
    volume, notes = volume_of(
        chain([scan], map(read, others)), geometry, intensities, [str(path) for path in paths]
    )
    return Prepared(volume, notes, placement(scan, geometry, str(first)))


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
    way = from_prepared(box_of(scan, geometry, name), geometry)
    to_prepared = np.linalg.inv(affine @ way) @ source.affine
    return Placement(source, to_prepared)
