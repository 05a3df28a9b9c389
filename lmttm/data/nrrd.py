"""The header of an NRRD file: lines of text, with an empty one before the voxels that follow."""

from dataclasses import dataclass
from pathlib import Path

_LARGEST = 1 << 20  # bytes of a header


@dataclass(frozen=True)
class Nrrd:
    """Where the voxels of an NRRD file lie.

    Attributes:
        file: Of the voxels, there or not; None where they are in several, by a list or a pattern.
        start: Bytes before the voxels in that file.
        lines: Lines of text before them, from there.
        compressed: Whether they are compressed, by gzip.
    """

    file: Path | None
    start: int
    lines: int
    compressed: bool


def read_header(path: Path) -> Nrrd:
    """Reads the header of an NRRD file.

    Args:
        path: The file, or the header of a file.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while (left := _LARGEST - file.tell()) > 0 and (line := file.readline(left).strip()):
            name, _, value = line.decode("utf-8", "surrogateescape").partition(":")
            fields[name.strip().lower().replace(" ", "")] = value.strip()
        end = file.tell()
    data = fields.get("datafile", "")
    skipped = fields.get("lineskip", "")
    lines = int(skipped) if skipped.isdecimal() and len(skipped) < 5 else 0
    compressed = fields.get("encoding", "").lower() in ("gzip", "gz")
    if not data:
        return Nrrd(path, end, lines, compressed)
    named = path.parent / data
    several = data.upper().startswith("LIST") or "%" in data
    return Nrrd(None if several and not named.is_file() else named, 0, lines, compressed)
