"""Reads scans: NIfTI, DICOM and NumPy files, oriented to RAS."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from lmttm.errors import InputError, one_line

_NIFTI = (".nii", ".nii.gz")
_LARGEST = 2**31  # voxels: a scan beyond that is a broken header


@dataclass(frozen=True)
class Scan:
    """A volume as a file holds it, with its axes as (D, H, W).

    Attributes:
        voxels: `(D H W)`, any real type.
        spacing: Edges of a voxel in mm, along D, H, W.
        modality: Such as CT or MR; empty where the file does not say.
    """

    voxels: np.ndarray
    spacing: tuple[float, float, float]
    modality: str = ""


def read(path: Path) -> Scan:
    """Reads a scan, oriented to RAS.

    Args:
        path: A NIfTI or NumPy file, or a folder of DICOM slices.

    Returns:
        The scan; its axes are x, y, z.

    Raises:
        InputError: It is not there, not a 3D volume, or can not be read.
    """
    if not path.exists():
        raise InputError(f"{path} is not there")
    try:
        if path.is_dir():
            scan = _read_dicom(path)
        elif path.name.lower().endswith(_NIFTI):
            scan = _read_nifti(path)
        elif path.suffix.lower() in (".npy", ".npz"):
            scan = Scan(_read_numpy(path), (1.0, 1.0, 1.0))
        else:
            raise InputError(f"{path} is not a NIfTI file, a NumPy file or a folder of DICOM")
    except InputError:
        raise
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path} can not be read as a volume: {one_line(error)}") from None
    voxels = scan.voxels
    if voxels.ndim != 3 or min(voxels.shape) < 2:
        raise InputError(f"{path} must hold a 3D volume, got the shape {voxels.shape}")
    if voxels.dtype.kind not in "uif":
        raise InputError(f"{path} must hold real numbers, got {voxels.dtype}")
    if not np.isfinite(voxels).all():
        raise InputError(f"{path} holds voxels that are not finite")
    return scan


def _read_numpy(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            version = npy.read_magic(file)
            if version != (1, 0):
                raise InputError(f"{path} is of an unknown npy version {version}")
            shape, _, dtype = npy.read_array_header_1_0(file)
            size = path.stat().st_size - file.tell()
        if dtype.hasobject or np.prod(shape, dtype=float) * dtype.itemsize > size:
            raise InputError(f"{path} must hold numbers, as many as its header claims")
        return np.load(path, allow_pickle=False)
    with np.load(path, allow_pickle=False) as arrays:
        if len(arrays.files) != 1:
            raise InputError(f"{path} must hold one array, got {len(arrays.files)}")
        return arrays[arrays.files[0]]


def _read_nifti(path: Path) -> Scan:
    try:
        import nibabel
    except ImportError:
        raise InputError(f"{path} needs nibabel: pip install 'lmttm[medical]'") from None
    image = nibabel.load(path)
    if len(image.shape) != 3:
        raise InputError(f"{path} must hold a 3D volume, got the shape {image.shape}")
    if np.prod(image.shape, dtype=float) > _LARGEST:
        raise InputError(f"{path} claims {image.shape} voxels, more than can be right")
    return _oriented(image)


def _oriented(image: Any, modality: str = "") -> Scan:
    """A nibabel image, turned so that its axes run nearest to right, front and head."""
    import nibabel

    image = nibabel.as_closest_canonical(image)
    slope, offset = (getattr(image.dataobj, name, None) for name in ("slope", "inter"))
    plain = slope in (None, 1) and offset in (None, 0)
    voxels = np.asanyarray(image.dataobj)
    if not plain:
        voxels = voxels.astype(np.float32)
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    if not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise InputError(f"voxels must have an edge, got a spacing of {tuple(spacing)} mm")
    return Scan(np.asarray(voxels), tuple(spacing.tolist()), modality)


def _read_dicom(folder: Path) -> Scan:
    try:
        import nibabel
        import pydicom
        import pydicom.misc
    except ImportError:
        raise InputError(
            f"{folder} needs pydicom and nibabel: pip install 'lmttm[medical]'"
        ) from None
    files = sorted(path for path in folder.iterdir() if path.is_file())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about harmless deviations of a file
        slices = [pydicom.dcmread(path) for path in files if pydicom.misc.is_dicom(path)]
    slices = [one for one in slices if "PixelData" in one]
    if len(slices) < 2:
        raise InputError(f"{folder} must hold the DICOM slices of a series, got {len(slices)}")
    for key, name in (("SeriesInstanceUID", "series"), ("Rows", "rows"), ("Columns", "columns")):
        if len(kinds := {str(one.get(key)) for one in slices}) > 1:
            raise InputError(f"{folder} must hold one series, got {len(kinds)} different {name}")
    needed = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    if missing := [key for key in needed if any(one.get(key) is None for one in slices)]:
        raise InputError(f"{folder} has slices without {missing[0]}")

    first = slices[0]
    across, down = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(across, down)
    places = [np.dot(normal, np.array(one.ImagePositionPatient, dtype=float)) for one in slices]
    order = np.argsort(places)
    gaps = np.diff(np.sort(places))
    if gaps.min() <= 1e-3:
        raise InputError(f"{folder} has two slices at the same place")
    if gaps.max() > 1.5 * np.median(gaps):
        raise InputError(f"{folder} lacks slices: a gap of {gaps.max():.3g} mm among {len(gaps)}")
    planes = []
    for index in order:
        one = slices[index]
        slope, offset = (float(one.get(k, d)) for k, d in _RESCALE)
        plane = one.pixel_array
        if plane.ndim != 2:
            raise InputError(f"{folder} must hold one grey plane for each slice")
        planes.append(plane if (slope, offset) == (1, 0) else plane * slope + offset)

    row_step, column_step = (float(step) for step in first.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = down * row_step
    affine[:3, 1] = across * column_step
    affine[:3, 2] = normal * gaps.mean()
    affine[:3, 3] = np.array(slices[order[0]].ImagePositionPatient, dtype=float)
    affine[:2] *= -1  # DICOM counts to the left and to the back
    stack = np.stack(planes, axis=-1)
    stack = stack.astype(np.float32) if stack.dtype != np.uint8 else stack
    return _oriented(nibabel.Nifti1Image(stack, affine), str(first.get("Modality", "")))


_RESCALE = (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
