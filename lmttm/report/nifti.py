"""A heat map as a NIfTI file that lies over its scan in 3D Slicer, ITK-SNAP and the like."""

import gzip
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.data.placement import Placement
from lmttm.errors import InputError


def heat_nifti(heat: NDArray[Any], place: Placement) -> bytes:
    """Samples a heat map on the grid of the scan's own file.

    Args:
        heat: `(D H W)`, not negative, as long as the prepared volume along each axis.
        place: Where the prepared volume lies.

    Returns:
        The bytes of a .nii.gz file of the shape and the affine of the scan: values from 0 to 1,
        in steps of 1/255, where 1 is the largest; 0 outside the prepared volume.

    Raises:
        InputError: nibabel is missing.
    """
    try:
        import nibabel
    except ImportError:
        raise InputError('a NIfTI file needs nibabel: pip install -e ".[medical]"') from None
    from scipy import ndimage

    scaled = heat / max(float(heat.max()), 1e-12)
    # Half a voxel around the volume still belongs to it.
    padded = np.pad(scaled.astype(np.float32), 1, mode="edge")
    sampled = ndimage.affine_transform(
        padded,
        place.to_prepared[:3, :3],
        place.to_prepared[:3, 3] + 1,
        place.source.shape,
        output=np.float32,
        order=1,
        mode="constant",
    )
    stored = np.rint(255 * sampled).astype(np.uint8)
    library: Any = nibabel
    image = library.Nifti1Image(stored, place.source.affine)
    image.set_sform(place.source.affine, code="scanner")
    image.header.set_slope_inter(1 / 255, 0)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"heat map of the model, 1: its largest"
    return gzip.compress(image.to_bytes(), 6, mtime=0)
