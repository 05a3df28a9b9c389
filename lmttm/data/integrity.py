"""Damage that the readers of images do not report: their voxels would be others, without a word."""

import gzip
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO, Protocol

from lmttm.errors import InputError, one_line

_PART = 1 << 20  # bytes that are read at a time
_HEADER = 1 << 16  # bytes in which the text of a MetaImage ends


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


def check_size(path: Path, num_bytes: int) -> None:
    """Raises an InputError where an uncompressed file is shorter than its voxels."""
    size = path.stat().st_size
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
    with path.open("rb") as file:
        start = file.read(_HEADER)
    fields: dict[str, str] = {}
    at = 0
    while "elementdatafile" not in fields and (end := start.find(b"\n", at)) >= 0:
        name, _, value = start[at:end].decode("latin-1").partition("=")
        fields[name.strip().lower()] = value.strip()
        at = end + 1
    data = fields.get("elementdatafile", "")
    voxels = path if data.lower() == "local" else path.parent / data
    if data.lower().startswith("list") or "%" in data:  # several files, which ITK finds
        return
    if not voxels.is_file():
        raise InputError(f"{path} names the file {data}, which is not there")
    if fields.get("compresseddata", "").lower() != "true":
        check_size(voxels, num_bytes)
        return
    with voxels.open("rb") as file:
        file.seek(at if voxels == path else 0)
        _check_zlib(file, path)


def _check_zlib(file: BinaryIO, path: Path) -> None:
    stream = zlib.decompressobj()
    while not stream.eof and (part := file.read(_PART)):
        while part and not stream.eof:
            stream.decompress(part, _PART)
            part = stream.unconsumed_tail
    if not stream.eof:
        raise InputError(f"{path} is cut short: its compressed voxels do not end")


def is_binary_vtk(path: Path) -> bool:
    """Whether the voxels of a VTK file are not spelt out; its third line says so."""
    with path.open("rb") as file:
        return b"BINARY" in b"".join(file.readline(300) for _ in range(3))


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
