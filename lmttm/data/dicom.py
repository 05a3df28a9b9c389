"""DICOM as scans: a series of slices, or one file with many frames, in any transfer syntax."""

import contextlib
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.data.planes import Plane, arrange, to_scan
from lmttm.data.scan import LARGEST, Scan, rescaled
from lmttm.errors import InputError, one_line

SUFFIXES = (".dcm", ".dicom", ".ima")
_WITHOUT_PREAMBLE = SUFFIXES
_QUANTITIES = ("CT", "PT")  # modalities whose values are in units, whatever they look like
_GEOMETRY = (
    ("ImagePositionPatient", "PlanePositionSequence"),
    ("ImageOrientationPatient", "PlaneOrientationSequence"),
    ("PixelSpacing", "PixelMeasuresSequence"),
)
_TAGS = [
    *(tag for pair in _GEOMETRY for tag in pair),
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
    try:
        import pydicom
        import pydicom.misc
    except ImportError:
        raise InputError(f'{path} needs pydicom: pip install -e ".[medical]"') from None
    force = path.suffix.lower() in _WITHOUT_PREAMBLE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about harmless deviations of a file
        try:
            if not force and not pydicom.misc.is_dicom(path):
                return None
            content = pydicom.dcmread(
                path, force=force, stop_before_pixels=True, specific_tags=_TAGS
            )
            return Header(path, content) if content.get("Rows") else None
        except Exception:  # another file, or one beyond reading
            return None


def read_dicom(paths: Sequence[Path], name: str) -> Scan:
    """Reads one series.

    Args:
        paths: Its files, in any order; files that are no DICOM images are skipped.
        name: What an error calls the scan.

    Returns:
        The scan, in the values that the modality's transformation gives.

    Raises:
        InputError: The files hold no image, several series, or no regular volume; the text
            names the file.
    """
    headers = [header for path in paths if (header := header_of(path)) is not None]
    if not headers:
        raise InputError(f"{name} holds no scan: no DICOM slices, and no file of another format")
    if sum(header.num_frames for header in headers) < 2:
        raise InputError(f"{name} must hold the DICOM slices of a series, got a single slice")
    _refuse_several_series(headers, name)
    for header in headers:
        if header.text("Modality") == "CT" and "LOCALIZER" in header.text("ImageType"):
            raise InputError(f"{name} is no volume: {header.path.name} is a scout; leave it out")
        if int(header.content.get("SamplesPerPixel") or 1) != 1:
            raise InputError(f"{name}: {header.path.name} must hold grey values, got colours")
    planes = [plane for header in headers for plane in _planes(header, name)]
    if len(planes) * np.prod(planes[0].shape, dtype=float) > LARGEST:
        raise InputError(f"{name} claims {len(planes)} slices of {planes[0].shape} pixels")
    stack = arrange(planes, name)
    place = {index: at for at, index in enumerate(stack.order)}
    pixels: NDArray[Any] = np.empty((len(planes), *planes[0].shape), np.int16)
    index = 0
    for header in headers:
        for values in _frames(header, name):
            if values.shape != pixels.shape[1:]:
                raise InputError(f"{name}: {header.path.name} holds a frame of {values.shape}")
            if not np.can_cast(values.dtype, pixels.dtype):
                pixels = pixels.astype(np.promote_types(values.dtype, pixels.dtype))
            pixels[place[index]] = values
            index += 1
    if index != len(planes):
        raise InputError(f"{name} holds {index} frames where its headers claim {len(planes)}")
    return to_scan(pixels, stack)


def _refuse_several_series(headers: Sequence[Header], name: str) -> None:
    found = Counter(header.text("SeriesInstanceUID") for header in headers)
    if len(found) < 2:
        return
    described = {h.text("SeriesInstanceUID"): h for h in headers}
    listed = "; ".join(
        f"{described[uid].text('SeriesDescription') or 'no description'} "
        f"({count} files, such as {described[uid].path.name})"
        for uid, count in found.most_common(5)
    )
    raise InputError(f"{name} must hold one series, got {len(found)} different series: {listed}")


def _planes(header: Header, name: str) -> Iterator[Plane]:
    heights = header.content.get("GridFrameOffsetVector")  # of a dose: mm above the first frame
    for frame in range(header.num_frames):
        found = {}
        for tag, sequence in _GEOMETRY:
            value = _of_frame(header.content, frame, sequence, tag)
            if value is None and (header.num_frames == 1 or heights is not None):
                value = header.content.get(tag)
            if value is None:
                raise InputError(f"{name} has slices without {tag}: {header.path.name}")
            found[tag] = np.array(value, dtype=np.float64)
        position, orientation, spacing = (found[tag] for tag, _ in _GEOMETRY)
        lengths = np.linalg.norm(orientation.reshape(2, 3), axis=1)
        if not all(np.isfinite(part).all() for part in found.values()) or not (
            spacing.min() > 0 and abs(lengths - 1).max() < 0.01
        ):
            raise InputError(f"{name}: the geometry of {header.path.name} is no grid")
        across, down = orientation.reshape(2, 3) / lengths[:, None]
        if heights is not None and frame < len(heights):
            position = position + float(heights[frame]) * np.cross(across, down)
        frames = f", frame {frame + 1}" if header.num_frames > 1 else ""
        yield Plane(
            name=f"{header.path.name}{frames}",
            position=position,
            across=across,
            down=down,
            spacing=(float(spacing[0]), float(spacing[1])),
            shape=(int(header.content.Rows), int(header.content.Columns)),
        )


def _of_frame(content: Any, frame: int, sequence: str, tag: str) -> Any:
    """A value of a frame, from its own functional group or the shared one."""
    own = content.get("PerFrameFunctionalGroupsSequence")
    shared = content.get("SharedFunctionalGroupsSequence")
    groups = [own[frame]] if own and frame < len(own) else []
    for group in [*groups, *(shared or [])[:1]]:
        items = group.get(sequence)
        if items and items[0].get(tag) is not None:
            return items[0].get(tag)
    return None


def _frames(header: Header, name: str) -> Iterator[NDArray[Any]]:
    """The values `(rows columns)` of each frame of a file."""
    import pydicom

    force = header.path.suffix.lower() in _WITHOUT_PREAMBLE
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        try:
            content = pydicom.dcmread(header.path, force=force)
            stored = content.pixel_array
        except Exception as error:  # a damaged file may raise anything
            raise InputError(
                f"{name}: the pixels of {header.path.name} cannot be read: {_reason(error)}"
            ) from None
    frames = stored if header.num_frames > 1 else stored[None]
    for frame, pixels in enumerate(frames):
        if pixels.ndim != 2:
            raise InputError(f"{name}: {header.path.name} must hold one grey plane for each slice")
        yield _values(content, frame, pixels)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps pydicom from logging what becomes an error message here."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    """The whole text of a decoder's error: its later lines name the missing package."""
    text = " ".join(line.strip() for line in str(error).splitlines())
    if "missing dependencies" in text:
        text += '; pip install -e ".[medical]" brings the decoders'
    return text or one_line(error)


def _values(content: Any, frame: int, stored: NDArray[Any]) -> NDArray[Any]:
    """What stored pixels mean: brighter is more, through the modality's transformation."""
    bits = int(content.get("BitsStored") or 16)
    signed = int(content.get("PixelRepresentation") or 0) == 1
    stored = _without_overlays(stored, bits, signed)
    dark = content.get("PhotometricInterpretation") == "MONOCHROME1"
    if dark and content.get("Modality") not in _QUANTITIES:
        stored = (-1 if signed else (1 << bits) - 1) - stored.astype(np.int32)
    if content.get("ModalityLUTSequence"):
        from pydicom.pixels.processing import apply_modality_lut

        return np.asarray(apply_modality_lut(stored, content))
    slope, offset = (
        _of_frame(content, frame, "PixelValueTransformationSequence", tag)
        for tag in ("RescaleSlope", "RescaleIntercept")
    )
    if slope is None and offset is None:
        slope, offset = content.get("RescaleSlope"), content.get("RescaleIntercept")
    return rescaled(
        stored, float(1 if slope is None else slope), float(0 if offset is None else offset)
    )


def _without_overlays(stored: NDArray[Any], bits: int, signed: bool) -> NDArray[Any]:
    """Old files keep overlays in the bits above those of the pixel."""
    if stored.dtype.kind not in "iu" or bits >= 8 * stored.dtype.itemsize:
        return stored
    unused = 8 * stored.dtype.itemsize - bits
    kind = np.dtype(f"{'i' if signed else 'u'}{stored.dtype.itemsize}")
    shifted: NDArray[Any] = np.left_shift(stored.astype(kind, copy=False), unused)
    shifted >>= unused
    return shifted
