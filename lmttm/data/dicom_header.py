"""What DICOM files say about their images, without their pixels."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmttm.errors import InputError

SUFFIXES = (".dcm", ".dicom", ".ima")  # of files that may lack the preamble
GEOMETRY = (
    ("ImagePositionPatient", "PlanePositionSequence"),
    ("ImageOrientationPatient", "PlaneOrientationSequence"),
    ("PixelSpacing", "PixelMeasuresSequence"),
)
_TAGS = [
    *(tag for pair in GEOMETRY for tag in pair),
    "SOPClassUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "ImageType",
    "Modality",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "GridFrameOffsetVector",
    "SamplesPerPixel",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]


@dataclass(frozen=True)
class Header:
    """What a file says about its frames, without their pixels."""

    path: Path
    content: Any

    def text(self, tag: str) -> str:
        """A value as text, empty where the file has none."""
        return str(self.content.get(tag, "") or "")

    @property
    def num_frames(self) -> int:
        """Frames of the file."""
        return int(self.content.get("NumberOfFrames") or 1)


def header_of(path: Path) -> Header | None:
    """The header of a DICOM image; None for any other file.

    Raises:
        InputError: pydicom is missing.
    """
    content = _without_pixels(path)
    return Header(path, content) if content is not None and content.get("Rows") else None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps pydicom from telling of harmless deviations, and of what becomes an error here."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _without_pixels(path: Path) -> Any:
    """What a DICOM file says; None for any other file, or one beyond reading."""
    try:
        import pydicom
        import pydicom.misc
    except ImportError:
        raise InputError(f'{path} needs pydicom: pip install -e ".[medical]"') from None
    force = path.suffix.lower() in SUFFIXES
    with quiet():
        try:
            if not force and not pydicom.misc.is_dicom(path):
                return None
            return pydicom.dcmread(path, force=force, stop_before_pixels=True, specific_tags=_TAGS)
        except Exception:
            return None


def is_damaged(path: Path, beside: Sequence[Path] = ()) -> bool:
    """Whether a file that holds no image should: it is empty, cut short or overwritten.

    Args:
        path: The file.
        beside: Slices of its folder; an empty file whose name ends as theirs do was one.
    """
    called_so = path.suffix.lower() in SUFFIXES
    if not path.stat().st_size:
        return called_so or _ending(path) in map(_ending, beside)
    content = _without_pixels(path)
    if content is None:
        return called_so
    kind = content.get("SOPClassUID") or content.file_meta.get("MediaStorageSOPClassUID")
    return called_so if kind is None else "Image Storage" in kind.name


def _ending(path: Path) -> str:
    """The ending of a name; that of a UID, such as .113, is none."""
    return path.suffix.lower() if path.suffix[1:].isalpha() else ""


def of_frame(content: Any, frame: int, sequence: str, tag: str) -> Any:
    """A value of a frame, from its own functional group or the shared one."""
    own = content.get("PerFrameFunctionalGroupsSequence")
    shared = content.get("SharedFunctionalGroupsSequence")
    groups = [own[frame]] if own and frame < len(own) else []
    for group in [*groups, *(shared or [])[:1]]:
        items = group.get(sequence)
        if items and items[0].get(tag) is not None:
            return items[0].get(tag)
    return None
