"""Volumes of your own: a medical file -> the cube of bytes that the model was trained on.

1. Read: NIfTI (.nii, .nii.gz), NumPy (.npy, .npz with one array) or a folder of DICOM slices.
2. Orient: NIfTI and DICOM are turned to RAS, so that the axes (x, y, z) run to the patient's
   right, front and head. NumPy arrays have no orientation, and voxels of 1 mm.
3. Axes: (D, H, W) = (x, y, z), unless `axes` permutes them.
4. Cube: an array of just the model's size is taken as it is. From any other, a cube is cut
   (the largest centred one, or by `centre` and `extent` in mm), smoothed against aliasing and
   resampled to voxels of equal edges, by linear interpolation. Outside the scan it is filled
   with the scan's least value.
5. Intensity: bytes are taken as windowed. Other types are mapped from a window to 0..255:
   `window`, or -160 to 240 HU for CT, or the 0.5th to 99.5th percentile of the cube.
"""

from dataclasses import dataclass

import numpy as np

from lmttm.data.scans import Scan
from lmttm.errors import InputError

CT_WINDOW = (-160.0, 240.0)


@dataclass(frozen=True)
class Cut:
    """How a cube is made of a scan.

    Attributes:
        axes: Which of x, y, z become D, H, W.
        centre: Of the cube, in mm along D, H, W from the middle of the first voxel; None for
            the scan's own.
        extent: Edge of the cube, in mm; None for the largest that fits.
        window: Intensities that become 0 and 255; None to choose as described above.
    """

    axes: str = "xyz"
    centre: tuple[float, float, float] | None = None
    extent: float | None = None
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Raises an InputError where a value cannot be used."""
        if sorted(self.axes) != ["x", "y", "z"]:
            raise InputError(f"--axes must be an order of x, y and z, got {self.axes}")
        if self.extent is not None and self.extent <= 0:
            raise InputError(f"--extent must be more than 0 mm, got {self.extent:g}")
        if self.window and self.window[0] >= self.window[1]:
            low, high = self.window
            raise InputError(f"--window must go from low to high, got {low:g},{high:g}")


def to_cube(scan: Scan, size: int, cut: Cut, name: str = "the scan") -> np.ndarray:
    """Makes of a scan what the model was trained on; see the steps above.

    Args:
        scan: As `read` gives it.
        size: Edge of the cube, in voxels.
        cut: What to cut out, and how to map its intensities.
        name: What an error calls the scan.

    Returns:
        `(size size size)` uint8.

    Raises:
        InputError: The cube that is asked for lies outside the scan, or has no size.
    """
    order = ["xyz".index(axis) for axis in cut.axes]
    voxels = scan.voxels.transpose(order)
    spacing = np.take(scan.spacing, order)
    if voxels.shape != (size,) * 3 or cut.extent or cut.centre:
        voxels = _resampled(voxels, spacing, size, cut, name)
    if voxels.dtype == np.uint8:
        return np.ascontiguousarray(voxels)
    low, high = cut.window or _window(scan, voxels)
    scaled = (voxels.astype(np.float64) - low) / max(high - low, 1e-12)
    return np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)


def _window(scan: Scan, cube: np.ndarray) -> tuple[float, float]:
    if scan.modality == "CT":
        return CT_WINDOW
    return tuple(np.percentile(cube, (0.5, 99.5)))


def _resampled(
    voxels: np.ndarray, spacing: np.ndarray, size: int, cut: Cut, name: str
) -> np.ndarray:
    from scipy import ndimage

    reach = spacing * voxels.shape  # mm, from face to face
    extent = cut.extent or reach.min()
    centre = (reach - spacing) / 2 if cut.centre is None else np.asarray(cut.centre)
    if (abs(centre - (reach - spacing) / 2) >= (reach + extent) / 2).any():
        raise InputError(f"{name}: the cube at {tuple(centre)} mm lies outside the volume")
    step = extent / size / spacing  # in voxels of the scan
    first = centre / spacing - step * (size - 1) / 2
    smoothed = ndimage.gaussian_filter(
        voxels.astype(np.float32), np.maximum(0, step - 1) / 2, mode="nearest"
    )
    # Half a voxel around the scan still belongs to it; outside there is nothing.
    padded = np.pad(smoothed, 1, mode="edge")
    cube = ndimage.affine_transform(
        padded, step, first + 1, (size,) * 3, order=1, mode="constant", cval=float(voxels.min())
    )
    if voxels.dtype == np.uint8:
        return np.rint(cube).clip(0, 255).astype(np.uint8)
    return cube
