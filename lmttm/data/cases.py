"""Cases: the scans that a model sees together, one for each grey channel.

A case is named by its scans, in the order of the columns path, path_2, ... of a table and with
commas between: `t1.nii.gz,t2.nii.gz`. A case of one scan is that scan.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmttm.config.paths import as_path
from lmttm.config.schema import Config
from lmttm.config.volume import Intensity, VolumeConfig
from lmttm.data.alignment import cut_case
from lmttm.data.intensity import intensities_of, to_bytes
from lmttm.data.preparation import Geometry, Region, geometry_of
from lmttm.data.scan import Scan
from lmttm.data.scans import find_scans, read
from lmttm.data.tables import Entry, path_columns
from lmttm.errors import InputError
from lmttm.storage import printable

Given = str | Path | Sequence[str | Path]


def load_volume(path: Given, config: Config) -> NDArray[np.uint8]:
    """Reads a case as the model of a run sees it: training and prediction take the same way.

    Args:
        path: A scan; see `lmttm.data.scans.read`. For several channels the scans of a case: a
            list of them, or a text with commas between.
        config: The configuration of the run, with its settled section `volume`.

    Returns:
        `(D H W)` uint8, or `(C D H W)` for several channels.

    Raises:
        InputError: A scan cannot be used.
    """
    paths = scans_of(path)
    _check_number(paths, config.model.in_channels)
    return read_case(paths, geometry_of(config), intensities_of(config))[0]


def scans_of(given: Given) -> tuple[Path, ...]:
    """The paths that name a case; a file that is there may have commas in its name."""
    if not isinstance(given, str | Path):
        return tuple(map(as_path, given))
    text = os.fspath(given)
    if "," not in text or os.path.lexists(text) or isinstance(given, Path):
        return (as_path(given),)
    return tuple(as_path(part.strip()) for part in text.split(","))


def name_of(paths: Sequence[Path]) -> str:
    """What a case is called: its scans, with commas between."""
    return ",".join(map(printable, paths))


def find_cases(paths: tuple[Path, ...], channels: int) -> list[tuple[Path, ...]]:
    """The cases that somebody means.

    Args:
        paths: A case; or, where a case is one scan, also a folder of scans.
        channels: Scans of a case.

    Raises:
        InputError: It has another number of scans, or one of them is a folder of several.
    """
    if channels == len(paths) == 1:
        return [(scan,) for scan in find_scans(paths[0])]
    _check_number(paths, channels)
    found = [find_scans(path) for path in paths]
    for path, scans in zip(paths, found, strict=True):
        if len(scans) > 1:
            raise InputError(f"{path} must be one scan of a case, got a folder of {len(scans)}")
    return [tuple(scan for scans in found for scan in scans)]


_PLACE = {"centre": "centre_d, centre_h, centre_w", "extent": "extent"}  # columns by key of volume


def place_faults(entry: Entry, volume: VolumeConfig, *, untrained: bool = False) -> Iterator[str]:
    """Why a place of a case's own contradicts a run, which takes all scans at one place.

    Args:
        entry: The case.
        volume: As the training settled it.
        untrained: Whether there is none yet, so that null leaves the place to the table.
    """
    for key, columns in _PLACE.items():
        wanted = getattr(volume, key)
        if getattr(entry, key) is None or wanted == "table" or (untrained and wanted is None):
            continue
        yield entry.about(
            f"{columns} must be empty, as the {'configuration' if untrained else 'run'} takes all "
            f"scans with volume.{key}={'null' if wanted is None else wanted}"
        )


def place_notes(entry: Entry | None, volume: VolumeConfig) -> tuple[str, ...]:
    """What is worth a warning where a case has no place, as those of the training had.

    Args:
        entry: The case; None for a scan that no table can place.
        volume: As the training settled it.
    """
    return tuple(
        f"it has no {columns} of its own, as scans of the training had: its region is another"
        for key, columns in _PLACE.items()
        if getattr(volume, key) == "table" and (entry is None or getattr(entry, key) is None)
    )


def settled_places(entries: Sequence[Entry], volume: VolumeConfig, name: str) -> VolumeConfig:
    """The section `volume` with `table` where a set's tables place its scans.

    Args:
        entries: All rows of the set.
        volume: As it was configured.
        name: What an error calls the set.

    Raises:
        InputError: Tables place scans and the configuration does so as well, or it leaves it to
            tables that do not.
    """
    for key, columns in _PLACE.items():
        placed, wanted = any(getattr(e, key) is not None for e in entries), getattr(volume, key)
        if placed and wanted not in (None, "table"):
            raise InputError(f"{name}: volume.{key} must be null beside {columns}, got {wanted}")
        if wanted == "table" and not placed:
            raise InputError(f"{name}: volume.{key}=table needs {columns} in the table")
        if placed:
            volume = volume.model_copy(update={key: "table"})
    return volume


def at_place(geometry: Geometry, entry: Entry) -> Geometry:
    """The geometry for a case whose table gives it a place of its own."""
    if entry.centre is not None:
        geometry = replace(geometry, centre=entry.centre)
    if entry.extent is not None:
        geometry = replace(geometry, extent=(entry.extent,) * 3)
    return geometry


def _check_number(paths: Sequence[Path], channels: int) -> None:
    if len(paths) == channels:
        return
    name = name_of(paths)
    if channels == 1:
        raise InputError(f"{name}: the model takes one scan for each case, got {len(paths)}")
    raise InputError(
        f"{name}: the model takes {channels} scans for each case, with commas between and in the "
        f"order {','.join(path_columns(channels))} of the table that it was trained with, "
        f"got {len(paths)}"
    )


def read_case(
    paths: Sequence[Path], geometry: Geometry, intensities: Sequence[Intensity]
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Reads a case and prepares it; the bytes and what is worth a warning."""
    return volume_of(map(read, paths), geometry, intensities, [str(path) for path in paths])


def volume_of(
    scans: Iterable[Scan],
    geometry: Geometry,
    intensities: Sequence[Intensity],
    names: Sequence[str],
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Prepares the scans of a case; the bytes `(D H W)` or `(C D H W)`, and notes."""
    return bytes_of(cut_case(scans, geometry, names), intensities)


def bytes_of(
    regions: Sequence[Region], intensities: Sequence[Intensity]
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Maps the regions of a case to bytes; `(D H W)` of one, else `(C D H W)`, and notes."""
    found = [to_bytes(*pair) for pair in zip(regions, intensities, strict=True)]
    if len(found) == 1:
        return found[0]
    columns = path_columns(len(found))
    notes = [
        f"{column}: {note}"
        for column, (_, of_scan) in zip(columns, found, strict=True)
        for note in of_scan
    ]
    return np.stack([volume for volume, _ in found]), tuple(notes)
