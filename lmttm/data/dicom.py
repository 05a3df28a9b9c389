"""DICOM as scans: a series of slices, or one file with many frames, in any transfer syntax."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.data.dicom_header import GEOMETRY, Header, header_of, is_damaged, of_frame
from lmttm.data.dicom_pixels import frames_of
from lmttm.data.planes import Plane, arrange, to_scan
from lmttm.data.scan import LARGEST, Scan
from lmttm.errors import InputError


def read_dicom(paths: Sequence[Path], name: str) -> Scan:
    """Reads one series.

    Args:
        paths: Its files, in any order; files that are no DICOM images are skipped.
        name: What an error calls the scan.

    Returns:
        The scan, in the values that the modality's transformation gives.

    Raises:
        InputError: The files hold no image, several series, or no regular volume, or one is
            damaged; the text names it.
    """
    headers = [header for path in paths if (header := header_of(path)) is not None]
    slices = [header.path for header in headers]
    others = sorted(set(paths) - set(slices))
    if headers and (damaged := [path for path in others if is_damaged(path, slices)]):
        raise InputError(f"{name} has a damaged slice, which cannot be read: {damaged[0].name}")
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
        for values in frames_of(header, name):
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
        for tag, sequence in GEOMETRY:
            value = of_frame(header.content, frame, sequence, tag)
            if value is None and (header.num_frames == 1 or heights is not None):
                value = header.content.get(tag)
            if value is None:
                raise InputError(f"{name} has slices without {tag}: {header.path.name}")
            found[tag] = np.array(value, dtype=np.float64)
        position, orientation, spacing = (found[tag] for tag, _ in GEOMETRY)
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
