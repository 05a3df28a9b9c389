"""The files that make up a scan, and what they hold: a scan is known by its content."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from lmttm.data import metaimage, nrrd
from lmttm.data.scans import files_in
from lmttm.storage import digest_of

# Two files of one name: a header and its voxels.
_PAIRED = (".hdr", ".img", ".hdr.gz", ".img.gz", ".par", ".rec", ".head", ".brik", ".brik.gz")
# Headers that may name other files.
_METAIMAGE, _NRRD = (".mhd", ".mha"), (".nhdr", ".nrrd")


def files_of(path: Path) -> list[Path]:
    """All files that make up a scan.

    Args:
        path: A file, or a folder of DICOM slices.

    Returns:
        The files, sorted; of an NRRD header that names many by a pattern or a list, all of its
        folder, and so where a file is missing.
    """
    if path.is_dir():
        return files_in(path)
    if path.name.lower().endswith(_METAIMAGE):
        return _with(path, metaimage.read_header(path).files)
    if path.name.lower().endswith(_NRRD):
        return _with(path, (nrrd.read_header(path).file,))
    stem = _stem(path)
    if stem is None:
        return [path]
    return sorted(file for file in path.parent.iterdir() if _stem(file) == stem)


def _stem(path: Path) -> str | None:
    """The name of one of two files without its ending; None of any other file."""
    ending = next((end for end in _PAIRED if path.name.lower().endswith(end)), "")
    return path.name[: -len(ending)] if ending else None


def _with(header: Path, voxels: Sequence[Path | None]) -> list[Path]:
    """A header with the files of its voxels; with all of its folder where they are not known."""
    known = [file for file in voxels if file is not None and file.is_file()]
    return sorted({header, *known}) if len(known) == len(voxels) else files_in(header.parent)


def stamp_of(path: Path) -> str:
    """Sizes and times of a scan's files: while these stay, the content is taken to stay."""
    stats = [(file.name, file.stat()) for file in files_of(path)]
    text = json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def content_digest(path: Path) -> str:
    """The digest of a scan's files, whatever their names and order."""
    digests = sorted(digest_of(file, "sha256") for file in files_of(path) if file.is_file())
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
