"""From the stored pixels of DICOM files, in any transfer syntax, to the values that they mean."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.data.dicom_header import SUFFIXES, Header, of_frame, quiet
from lmttm.data.scan import rescaled
from lmttm.errors import InputError, one_line

_QUANTITIES = ("CT", "PT")  # modalities whose values are in units, whatever they look like


def frames_of(header: Header, name: str) -> Iterator[NDArray[Any]]:
    """The values of each frame of a file.

    Args:
        header: Of the file.
        name: What an error calls the scan.

    Yields:
        `(rows columns)`, as the modality's transformation gives them.

    Raises:
        InputError: The pixels cannot be read, or are colours.
    """
    import pydicom

    force = header.path.suffix.lower() in SUFFIXES
    with quiet():
        try:
            content = pydicom.dcmread(header.path, force=force)
            _complete(content)
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


def _complete(content: Any) -> None:
    """Adds how pixels are stored where a file without a preamble does not say it."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not content.file_meta.get("TransferSyntaxUID"):
        implicit, little = content.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        content.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


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
        of_frame(content, frame, "PixelValueTransformationSequence", tag)
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
