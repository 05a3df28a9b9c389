"""The header of a MetaImage: lines of text, the last of which says where the voxels lie."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LARGEST = 1 << 20  # bytes of a header, and of a list of files behind it
# As s%03d.raw 1 60 1. A reader divides by what is missing, and walks on for ever by steps of 0.
_NUMBERED = re.compile(r"([^%\s]*%0?\d?d[^%\s]*)\s+(\d{1,9})\s+(\d{1,9})\s+([1-9]\d{0,8})")
_MOST = 1 << 16  # files of one image


@dataclass(frozen=True)
class MetaImage:
    """Where the voxels of a MetaImage lie.

    Attributes:
        files: Of the voxels, there or not; the header's own file where they follow it there.
        number: Of the files that the voxels fill, each with as many of them.
        start: Bytes before the voxels in each file.
        compressed: Whether they are compressed, by zlib.
    """

    files: tuple[Path, ...]
    number: int
    start: int
    compressed: bool


def read_header(path: Path) -> MetaImage:
    """Reads the header of a MetaImage.

    Args:
        path: The file, or the header of files.

    Returns:
        What it says; it names fewer files than its voxels fill where it is damaged.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while "elementdatafile" not in fields and (left := _LARGEST - file.tell()) > 0:
            name, found, value = _decoded(line := file.readline(left)).partition("=")
            if not line:
                break
            fields[name.strip().lower()] = value.strip() if found else ""
        end = file.tell()
        behind = _decoded(file.read(_LARGEST))
    data = fields.get("elementdatafile", "")
    compressed = fields.get("compresseddata", "").lower() == "true"
    if data.upper() == "LOCAL":
        return MetaImage((path,), 1, end, compressed)
    names, number = [data] if data else [], 1
    if (path.parent / data).is_file():
        pass  # whatever it is called
    elif data.upper().startswith("LIST"):
        number = _length_of_list(data, list(map(_whole, fields.get("dimsize", "").split())))
        names = [line.rstrip() for line in behind.split("\n")[:-1]]  # ITK needs each line's end
    elif match := _NUMBERED.fullmatch(data):
        first, last, step = map(int, match.groups()[1:])
        numbers = range(first, last + 1, step)[:_MOST]
        names, number = [match[1] % value for value in numbers], len(numbers)
    files = tuple(path.parent / name for name in names[: min(number, _MOST)])
    return MetaImage(files, max(number, 1), _whole(fields.get("headersize", "")), compressed)


def _length_of_list(data: str, edges: Sequence[int]) -> int:
    """Files behind `LIST`, each of all axes but the last, or such as `LIST 2`, each of two."""
    axes = _whole(data[4:].strip()[:1]) or len(edges) - 1
    return math.prod(edges[max(axes, 0) :])


def _whole(text: str) -> int:
    """A number from 0; 0 of another text."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
