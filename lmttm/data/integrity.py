"""Damage that the readers of images do not report: their voxels would be others, without a word."""

import gzip
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO, Protocol

from lmttm.data import metaimage, nrrd
from lmttm.errors import InputError, one_line

_PART = 1 << 20  # bytes that are read at a time
_VTK_LAST = (b"SCALARS", b"LOOKUP_TABLE")
_VTK_LINES, _VTK_LINE = 20, 300  # of a header, and bytes of a line


class _File(Protocol):
    def read(self, size: int, /) -> bytes: ...


def to_the_end(file: _File) -> None:
    """Reads the rest of a compressed file, whose end holds the checksum of all of it.

    Raises:
        OSError, EOFError, zlib.error: The file is damaged.
    """
    while file.read(_PART):
        pass


def check_gzip(path: Path) -> None:
    """Compares a compressed file with its checksum; raises as `to_the_end` does."""
    with gzip.open(path) as file:
        to_the_end(file)


def check_size(path: Path, num_bytes: int, start: int = 0) -> None:
    """Raises an InputError where an uncompressed file is shorter than its voxels.

    Args:
        path: The file.
        num_bytes: Of the voxels.
        start: Bytes before them.
    """
    size = path.stat().st_size - start
    if size < num_bytes:
        raise InputError(f"{path} is cut short: {size} bytes for {num_bytes} bytes of voxels")


def check_metaimage(path: Path, num_bytes: int) -> None:
    """Compares the voxels of a MetaImage with their number, or their checksum where they have one.

    Args:
        path: The file, or the header of the file.
        num_bytes: Of the voxels that its header claims.

    Raises:
        InputError: They are damaged or missing.
        zlib.error: They are damaged.
    """
    header = metaimage.read_header(path)
    for voxels in header.files:
        if not voxels.is_file():
            raise InputError(f"{path} names the file {voxels.name}, which is not there")
    if len(header.files) < header.number:
        raise InputError(
            f"{path} names {len(header.files)} of the {header.number} files of its voxels"
        )
    if not header.compressed:
        for voxels in header.files:
            check_size(voxels, num_bytes // header.number, header.start)
    elif header.number > 1:
        raise InputError(f"{path} must have its compressed voxels in one file, got {header.number}")
    else:
        with header.files[0].open("rb") as file:
            file.seek(header.start)
            _check_zlib(file, path)


def _check_zlib(file: BinaryIO, path: Path) -> None:
    stream = zlib.decompressobj()
    while not stream.eof and (part := file.read(_PART)):
        while part and not stream.eof:
            stream.decompress(part, _PART)
            part = stream.unconsumed_tail
    if not stream.eof:
        raise InputError(f"{path} is cut short: its compressed voxels do not end")


def check_nrrd(path: Path) -> None:
    """Compares the compressed voxels of an NRRD file with their checksum.

    Args:
        path: The file, or the header of a file.

    Raises:
        InputError: They are missing, or in several files.
        OSError, EOFError, zlib.error: They are damaged.
    """
    header = nrrd.read_header(path)
    if not header.compressed:  # the reader counts the others
        return
    if header.file is None:
        raise InputError(f"{path} must have its compressed voxels in one file")
    if not header.file.is_file():
        raise InputError(f"{path} names the file {header.file.name}, which is not there")
    with header.file.open("rb") as stored:
        stored.seek(header.start)
        for _ in range(header.lines):
            stored.readline()
        with gzip.GzipFile(fileobj=stored) as file:
            to_the_end(file)


def check_vtk(path: Path, num_bytes: int) -> None:
    """Raises an InputError where a VTK file is shorter than its voxels, unless it spells them out.

    Its third line says whether it does; the last line before the voxels begins with a word of
    `_VTK_LAST`.
    """
    with path.open("rb") as file:
        lines = [file.readline(_VTK_LINE) for _ in range(_VTK_LINES)]
    if b"BINARY" not in b"".join(lines[:3]):
        return
    last = max((n for n, line in enumerate(lines) if line.upper().startswith(_VTK_LAST)), default=0)
    check_size(path, num_bytes, sum(map(len, lines[: last + 1])))


def check_tiff(path: Path) -> None:
    """Raises an InputError where the pages of a TIFF file do not end as they should."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with Image.open(path) as image:
                for page in range(getattr(image, "n_frames", 1)):
                    image.seek(page)
        except Exception as error:  # a damaged file may raise anything
            raise InputError(f"{path} is damaged: {one_line(error)}") from None
