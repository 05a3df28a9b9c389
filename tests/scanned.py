"""Scans for tests: one known object without any symmetry in files of every kind, and bad files."""

import shutil
from dataclasses import dataclass

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lmttm.config.volume import Intensity
from lmttm.data.intensity import to_bytes
from lmttm.data.preparation import Geometry, cut

EDGE = 60.0  # mm: the object lies in a cube of this edge around the origin


def real_file(name: str) -> str:
    """The path of a file that pydicom or pydicom-data ships; skips the test where it is missing."""
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"needs {name} of pydicom-data")
    return str(path)


def object_at(x, y, z):
    """A soft blob, in mm from the origin; from 0 to 1000."""
    big = np.exp(-(((x - 6) / 12) ** 2) - ((y + 4) / 9) ** 2 - ((z - 2) / 14) ** 2)
    small = np.exp(-(((x + 10) / 6) ** 2) - ((y - 9) / 5) ** 2 - ((z + 12) / 6) ** 2)
    return 1000 * (big + 0.6 * small)


def sampled(affine, shape):
    """The object on the grid of an image."""
    index = np.indices(shape).reshape(3, -1)
    x, y, z = affine[:3, :3] @ index + affine[:3, 3:]
    return object_at(x, y, z).reshape(shape).astype(np.float32)


def grid(codes, spacing):
    """An affine of an orientation such as LPS, and the shape that fills the cube."""
    start = nibabel.orientations.axcodes2ornt(codes)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    shape = [0, 0, 0]
    for axis, (world, sign) in enumerate(start):
        step = spacing[axis]
        shape[axis] = round(EDGE / step)
        affine[int(world), axis] = sign * step
        affine[int(world), 3] = -sign * (shape[axis] - 1) / 2 * step
    return affine, tuple(shape)


@dataclass(frozen=True)
class Cut:
    """Which cube of a scan, and which window."""

    axes: str = "xyz"
    centre: tuple | None = None
    extent: float | None = None
    window: tuple | None = None


def to_cube(scan, size, how, name="the scan"):
    """A cube of bytes; its window is the one given, or the scan's own."""
    extent = None if how.extent is None else (how.extent,) * 3
    geometry = Geometry((size,) * 3, axes=how.axes, centre=how.centre, extent=extent)
    intensity = Intensity("window", how.window) if how.window else Intensity("each")
    return to_bytes(cut(scan, geometry, name), intensity)[0]


CUT = Cut(window=(0.0, 1200.0))


def on_the_cube(edge=28):
    """What every file must give: the object sampled on the cube itself."""
    step = EDGE / edge
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = -(edge - 1) / 2 * step
    return as_bytes(sampled(affine, (edge,) * 3))


def as_bytes(intensities, high=CUT.window[1]):
    """Intensities from 0 to `high` as the bytes 0 to 255."""
    return np.rint(255 * (intensities / high).clip(0, 1))


def assert_same(cube, expected, codes=""):
    difference = np.abs(cube.astype(float) - expected)
    assert difference.mean() < 1.5, codes
    assert difference.max() < 16, codes


def write_nifti(path, voxels, spacing=(1.0, 1.0, 1.0), kind=nibabel.Nifti1Image, origin=0.0):
    """An image in RAS; its first voxel lies at this place in mm, along each axis."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    nibabel.save(kind(voxels, affine), path)
    return path


def dicom_file(path, pixels, position, across, down, spacing, series, modality="MR"):
    """One slice of 16 bits, without a transformation of its values."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, generate_uid()
    one.SeriesInstanceUID = series
    one.Modality = modality
    one.Rows, one.Columns = pixels.shape[-2:]
    one.ImagePositionPatient = [float(part) for part in position]
    one.ImageOrientationPatient = [*map(float, across), *map(float, down)]
    one.PixelSpacing = list(spacing)
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
    one.PixelRepresentation = 1 if pixels.dtype == np.int16 else 0
    one.PixelData = np.ascontiguousarray(pixels).tobytes()
    return one


def write_dicom(
    folder, codes="LPS", spacing=(1.0, 1.0, 2.0), modality="MR", slope=2, offset=-500, change=None
):
    """Slices of the object along the third axis of an orientation, in any file order.

    `change(number, slice)` may alter each slice before it is written.
    """
    affine, shape = grid(codes, spacing)
    return write_volume(
        folder, np.rint(sampled(affine, shape)), affine, spacing, modality, slope, offset, change
    )


def write_volume(
    folder, voxels, affine, spacing, modality="MR", slope=1, offset=0, change=None, series=None
):
    """Slices of a volume `(i j k)` with an affine to RAS."""
    folder.mkdir(exist_ok=True, parents=True)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    series = series or generate_uid()
    down, across = (lps[:3, axis] / spacing[axis] for axis in (0, 1))
    for number in range(voxels.shape[2]):
        stored = ((voxels[:, :, number] - offset) // slope).astype(np.int16)
        path = folder / f"{(number * 7) % voxels.shape[2]:03d}.dcm"
        if voxels.shape[2] % 7 == 0:
            path = folder / f"{voxels.shape[2] - number:03d}.dcm"
        position = lps[:3, 3] + number * lps[:3, 2]
        one = dicom_file(path, stored, position, across, down, spacing[:2], series, modality)
        one.RescaleSlope, one.RescaleIntercept = slope, offset
        if change is not None:
            change(number, one)
        one.save_as(path, enforce_file_format=True)
    return folder


def enhanced(path, pixels, positions, spacing=(1.0, 1.0), transforms=None):
    """One file of many frames `(n rows columns)`, each with its place, as Enhanced MR and CT."""
    one = dicom_file(path, pixels[0], positions[0], (1, 0, 0), (0, 1, 0), spacing, generate_uid())
    for tag in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(one, tag)
    one.SOPClassUID = pydicom.uid.EnhancedMRImageStorage
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
    one.NumberOfFrames = len(pixels)
    one.PixelData = np.ascontiguousarray(pixels).tobytes()
    with_geometry(one, positions, spacing, transforms)
    one.save_as(path, enforce_file_format=True)
    return path


def with_geometry(one, positions, spacing, transforms=None):
    """Adds the functional groups that say where each frame lies."""
    shared, frames = Dataset(), []
    turned, measures = Dataset(), Dataset()
    turned.ImageOrientationPatient = [1.0, 0, 0, 0, 1.0, 0]
    measures.PixelSpacing = list(spacing)
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [turned], [measures]
    for number, position in enumerate(positions):
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [float(part) for part in position]
        frame.PlanePositionSequence = [place]
        if transforms is not None:
            values = Dataset()
            values.RescaleSlope, values.RescaleIntercept = transforms[number]
            values.RescaleType = "US"
            frame.PixelValueTransformationSequence = [values]
        frames.append(frame)
    one.SharedFunctionalGroupsSequence = [shared]
    one.PerFrameFunctionalGroupsSequence = frames


def bad_inputs(folder):
    """Every kind of file that cannot be used, by what the sentence must say."""
    affine = np.eye(4)
    (folder / "text.nii").write_text("no image")
    (folder / "text.txt").write_text("no image")
    (folder / "text.nii.gz").write_text("no image")
    (folder / "empty").mkdir()
    np.save(folder / "flat.npy", np.zeros((28, 28)))
    np.save(folder / "nan.npy", np.full((28, 28, 28), np.nan))
    np.save(folder / "complex.npy", np.zeros((28, 28, 28), complex))
    np.save(folder / "object.npy", np.array([{}]), allow_pickle=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 5, 5, 3)), affine), folder / "four.nii.gz")
    header = bytearray(write_nifti(folder / "thin.nii", np.ones((5, 5, 5))).read_bytes())
    header[280:284] = bytes(4)  # srow_x[0]
    (folder / "thin.nii").write_bytes(header)
    huge = folder / "huge.npy"
    with huge.open("wb") as file:
        head = {"descr": "<f8", "fortran_order": False, "shape": (10**4, 10**4, 10**4)}
        np.lib.format.write_array_header_1_0(file, head)
    mixed = write_dicom(folder / "mixed")
    one = pydicom.dcmread(mixed / "004.dcm")
    one.SeriesInstanceUID = generate_uid()
    one.save_as(mixed / "004.dcm")
    gap = write_dicom(folder / "gap")
    places = {p: float(pydicom.dcmread(p).ImagePositionPatient[2]) for p in gap.iterdir()}
    for path in sorted(places, key=places.get)[10:12]:
        path.unlink()
    twice = write_dicom(folder / "twice")
    shutil.copy(twice / "003.dcm", twice / "copy.dcm")
    return {
        "missing.nii": "is not there",
        "text.nii": "cannot be read as a volume",
        "text.nii.gz": "cannot be read as a volume: it is not a gzip file",
        "text.txt": "is not a NIfTI, NRRD, MetaImage, NumPy or DICOM file",
        "empty": "holds no scan: no DICOM slices",
        "flat.npy": "must hold a 3D volume, got the shape (28, 28)",
        "nan.npy": "holds no finite voxel",
        "complex.npy": "must hold real numbers, got complex128",
        "object.npy": "must hold numbers, as many as its header claims",
        "huge.npy": "must hold numbers, as many as its header claims",
        "thin.nii": "voxels must have an edge, got a spacing of (0.0, 1.0, 1.0) mm",
        "four.nii.gz": "must hold one volume, got the shape (5, 5, 5, 3)",
        "mixed": "must hold one series, got 2 different series",
        "gap": "lacks slices: a gap of 6 mm",
        "twice": "has two slices at the same place",
    }
