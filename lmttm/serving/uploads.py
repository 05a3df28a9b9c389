"""What somebody uploads: a file under a harmless name, a zip unpacked within limits."""

import re
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from lmttm.data import arrays, dicom_header, itk, nifti
from lmttm.errors import InputError

# Formats whose files name no other file. A header of NRRD, MetaImage, MINC or PAR may name any
# file of this computer as its voxels, and the answer would show it.
KEPT = (".nii", ".nii.gz", ".zip", *arrays.SUFFIXES, *dicom_header.SUFFIXES)
_REFUSED = {*nifti.SUFFIXES, *itk.SUFFIXES} - {*KEPT}

LARGEST_UPLOAD = 256 * 2**20
LARGEST_UNPACKED = 2**30
MOST_FILES = 5000
_ENDING = re.compile(r"(\.[A-Za-z0-9]{1,8}){1,2}$")


def ending_of(name: str) -> str:
    """The ending of an uploaded file's name, in lower case, of at most two parts.

    It is empty where it tells no format, as of many DICOM slices.

    Raises:
        InputError: It is that of a format whose files may name other files.
    """
    match = _ENDING.search(name)
    if match is None:
        return ""
    whole = match[0].lower()
    endings = (whole, "." + whole.rsplit(".", 1)[1])
    if any(ending in _REFUSED for ending in endings):
        raise InputError(
            "an upload must be NIfTI, NumPy or DICOM, or a zip of DICOM slices; predict.py reads "
            "other formats"
        )
    return next((ending for ending in endings if ending in KEPT), "")


def unpack(archive: Path, folder: Path, *, largest: int = LARGEST_UNPACKED) -> None:
    """Unpacks a zip of DICOM slices; files are numbered, so no name in it leads anywhere.

    Args:
        archive: The zip.
        folder: An empty folder.
        largest: Bytes that all its files may have together.

    Raises:
        InputError: It is no zip, or holds too much, a link, or a name that leads outside.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if not _is_beside(member)]
            if len(members) > MOST_FILES:
                raise InputError(f"the zip must hold at most {MOST_FILES} files")
            if sum(member.file_size for member in members) > largest:
                raise InputError(f"the zip must unpack to at most {largest // 2**20} MB")
            left = largest
            for number, member in enumerate(members):
                _check(member)
                # Kept endings tell a NIfTI file in a zip from a DICOM slice.
                path = folder / f"{number:05}{ending_of(member.filename)}"
                with content.open(member) as source, path.open("wb") as target:
                    left -= _copy(source, target, left)
                if left < 0:  # its directory lied about the sizes
                    raise InputError(f"the zip must unpack to at most {largest // 2**20} MB")
    except InputError:
        raise
    except Exception:  # a damaged or hostile file may raise anything
        raise InputError("the zip cannot be unpacked") from None


def _is_beside(member: zipfile.ZipInfo) -> bool:
    """Whether an entry is a folder, or hidden, as those are which macOS adds to each file."""
    parts = member.filename.replace("\\", "/").split("/")
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    return member.is_dir() or hidden


def _check(member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise InputError("the zip holds a name that leads outside of it")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError("the zip holds a link")
    if member.flag_bits & 1:
        raise InputError("the zip is encrypted")


def _copy(source: IO[bytes], target: IO[bytes], limit: int) -> int:
    """Copies until the end or beyond a limit; gives the bytes that were copied."""
    copied = 0
    while copied <= limit and (chunk := source.read(2**20)):
        copied += target.write(chunk)
    return copied
