"""Finds and reads scans: files of many formats, folders of DICOM slices."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lmttm.data import arrays, dicom, itk, nifti
from lmttm.data.dicom_header import SUFFIXES, Header, header_of, is_damaged
from lmttm.data.scan import Scan, slabs
from lmttm.errors import InputError, one_line

# By the end of a file's name; the first reader that lists it takes it.
_READERS: tuple[tuple[tuple[str, ...], Callable[[Path], Scan]], ...] = (
    (nifti.SUFFIXES, nifti.read_nifti),
    (arrays.SUFFIXES, arrays.read_numpy),
    (itk.SUFFIXES, itk.read_itk),
)
_SLAB = 1_000_000  # voxels that are looked at in one go
# Parts of a scan whose header is another file.
_HEADERS = {".img": ".hdr", ".img.gz": ".hdr.gz", ".rec": ".par", ".brik": ".head"}


def read(path: Path) -> Scan:
    """Reads a scan, oriented to RAS where the file knows an orientation.

    Args:
        path: A file of nibabel's or SimpleITK's family, a NumPy file, a DICOM file of many
            frames, or a folder (of any depth) that holds the slices of one DICOM series.

    Returns:
        The scan. Its voxels are real numbers; some may be NaN, outside the field of view.

    Raises:
        InputError: It is missing, not a 3D volume, or unreadable.
    """
    if not path.exists():
        raise InputError(f"{path} is not there")
    try:
        scan = _read(path)
        voxels = scan.voxels
        if voxels.ndim != 3:  # an axis of one voxel, before or behind, is none
            voxels = voxels.reshape([edge for edge in voxels.shape if edge != 1])
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from None
    except Exception as error:  # a damaged or hostile file may raise anything
        said = one_line(error).replace(f"File {path} ", "it ")  # nibabel names it once more
        raise InputError(f"{path} cannot be read as a volume: {said}") from None
    if voxels.ndim != 3 or min(voxels.shape) < 2:
        raise InputError(f"{path} must hold a 3D volume, got the shape {scan.voxels.shape}")
    if voxels.dtype == bool:
        voxels = voxels.view(np.uint8)
    if voxels.dtype == np.int8 and (voxels.min(), voxels.max()) == (-1, 0):
        voxels = voxels.view(np.uint8)  # a mask of 255, which signed bytes cannot hold
    if voxels.dtype.kind not in "uif":
        raise InputError(f"{path} must hold real numbers, got {voxels.dtype}")
    if voxels.dtype.kind == "f" and not any(np.isfinite(s).any() for s in slabs(voxels, _SLAB)):
        raise InputError(f"{path} holds no finite voxel")
    return replace(scan, voxels=voxels)


def _read(path: Path) -> Scan:
    if path.is_dir():
        return dicom.read_dicom(files_in(path), str(path))
    if (reader := _reader(path)) is not None:
        return reader(path)
    if header_of(path) is not None:
        return dicom.read_dicom([path], str(path))
    raise InputError(
        f"{path} is not a NIfTI, NRRD, MetaImage, NumPy or DICOM file, or a folder of DICOM"
    )


def _reader(path: Path) -> Callable[[Path], Scan] | None:
    name = path.name.lower()
    return next((reader for ends, reader in _READERS if name.endswith(ends)), None)


def stem_of(path: Path) -> str:
    """The name of a scan without the ending that tells its format; that of a folder is whole."""
    endings = [end for ends, _ in _READERS for end in ends] + [*SUFFIXES]
    name = path.name
    known = [end for end in endings if name.lower().endswith(end)]
    return name if path.is_dir() or not known else name[: -max(map(len, known))]


def files_in(folder: Path) -> list[Path]:
    """All files of a folder and its sub-folders, but for hidden ones, sorted."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    )


def find_scans(path: Path) -> list[Path]:
    """The scans that a path leads to.

    Args:
        path: A file, or a folder: of one DICOM series (one scan, itself), of files such as
            NIfTI (each a scan), or of sub-folders of either.

    Returns:
        Paths for `read`, sorted; the path itself where nothing below it looks like a scan.
    """
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    slices: list[Header] = []
    damaged: list[Path] = []
    for file in files_in(path):
        name = file.name.lower()
        if any(name.endswith(end) and _has_header(file, end, to) for end, to in _HEADERS.items()):
            continue
        if _reader(file) is not None:
            found.append(file)
        elif (header := header_of(file)) is not None:
            slices.append(header)
        elif is_damaged(file):
            damaged.append(file)
    if not found and len({header.text("SeriesInstanceUID") for header in slices}) < 2:
        return [path]
    folders = {header.path.parent for header in slices}
    for folder in folders:
        here = [header for header in slices if header.path.parent == folder]
        if all(header.num_frames > 1 for header in here):
            found += [header.path for header in here]
        else:
            found.append(folder)
    found += [file for file in damaged if file.parent not in folders]  # for `read` to refuse
    return sorted(found) or [path]


def _has_header(file: Path, end: str, header_end: str) -> bool:
    stem = file.name[: -len(end)]
    return any(
        (file.parent / f"{stem}{spelt}").exists() for spelt in (header_end, header_end.upper())
    )
