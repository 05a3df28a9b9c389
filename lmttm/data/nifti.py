"""The formats that nibabel reads: NIfTI, Analyze, MGH, MINC, PAR/REC, AFNI."""

from pathlib import Path
from typing import Any

import numpy as np

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
    except ImportError:
        raise InputError(f'{path} needs nibabel: pip install -e ".[medical]"') from None
    image: Any = nibabel.load(path)
    if np.prod(image.shape, dtype=np.float64) > LARGEST:
        raise InputError(f"{path} claims {image.shape} voxels, more than can be right")
    if np.prod(image.shape[3:], dtype=np.float64) != 1:
        raise InputError(f"{path} must hold one volume, got the shape {image.shape}")
    proxy = image.dataobj
    if type(proxy) is ArrayProxy:  # others scale slice by slice
        voxels = rescaled(np.asanyarray(proxy.get_unscaled()), proxy.slope, proxy.inter)
    else:
        voxels = np.asanyarray(proxy)
    behind = tuple(range(3, voxels.ndim))
    return oriented(voxels.squeeze(behind), image.affine)
