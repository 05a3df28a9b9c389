"""The formats that nibabel reads: NIfTI, Analyze, MGH, MINC, PAR/REC, AFNI."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lmttm.data.integrity import check_gzip, to_the_end
from lmttm.data.scan import LARGEST, Scan, oriented, rescaled
from lmttm.errors import InputError

_PLAIN = (".nii", ".img", ".hdr", ".mgh", ".mnc", ".par", ".rec", ".head", ".brik")
SUFFIXES = (*_PLAIN, *(f"{suffix}.gz" for suffix in (".nii", ".img", ".hdr", ".brik")), ".mgz")


def read_nifti(path: Path) -> Scan:
    """Reads an image of nibabel's family.

    Raises:
        InputError: nibabel is missing, or the file holds several volumes.
    """
    try:
        import nibabel
        from nibabel.arrayproxy import ArrayProxy
        from nibabel.openers import ImageOpener
    except ImportError:
        raise InputError(f'{path} needs nibabel: pip install -e ".[medical]"') from None
    with _noted() as notes, np.errstate(all="ignore"):
        image: Any = nibabel.load(path)
    if np.prod(image.shape, dtype=np.float64) > LARGEST:
        raise InputError(f"{path} claims {image.shape} voxels, more than can be right")
    if np.prod(image.shape[3:], dtype=np.float64) != 1:
        raise InputError(f"{path} must hold one volume, got the shape {image.shape}")
    proxy = image.dataobj
    if type(proxy) is ArrayProxy:  # others scale slice by slice
        with ImageOpener(proxy.file_like) as opener:
            proxy.file_like = opener.fobj
            voxels = rescaled(np.asanyarray(proxy.get_unscaled()), proxy.slope, proxy.inter)
            if path.name.lower().endswith("gz"):
                to_the_end(opener)
    else:
        voxels = np.asanyarray(proxy)
        if str(getattr(proxy, "file_like", "")).lower().endswith("gz"):
            check_gzip(Path(proxy.file_like))
    behind = tuple(range(3, voxels.ndim))
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= _in_mm(image.header)
    scan = oriented(voxels.squeeze(behind), affine, tuple(notes))
    return replace(scan, located=_is_located(image.header))


def _in_mm(header: Any) -> float:
    """The unit of length of a header; mm where it does not say."""
    units = header.get_xyzt_units()[0] if hasattr(header, "get_xyzt_units") else "unknown"
    return {"meter": 1000.0, "micron": 0.001}.get(units, 1.0)


def _is_located(header: Any) -> bool:
    """Whether a header has coordinates: one of Analyze has none, one of NIfTI may lack them."""
    from nibabel.analyze import AnalyzeHeader

    codes = ("sform_code", "qform_code")
    if not isinstance(header, AnalyzeHeader):
        return True
    return any(code in header and int(header[code]) for code in codes)


@contextlib.contextmanager
def _noted() -> Iterator[list[str]]:
    """Collects what nibabel repairs in a header, which it would print."""
    notes: list[str] = []
    logger = logging.getLogger("nibabel.global")

    def note(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            notes.append(f"its header: {record.getMessage()}")
        return False

    logger.addFilter(note)
    try:
        yield notes
    finally:
        logger.removeFilter(note)
