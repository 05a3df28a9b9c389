"""One known object in files of every kind: NIfTI in any orientation, DICOM series, and bad ones."""

import shutil

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lmttm.data.preparation import Cut

EDGE = 60.0  # mm: the object lies in a cube of this edge around the origin


def object_at(x, y, z):
    """A soft blob without any symmetry, in mm from the origin; from 0 to 1000."""
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


def write_dicom(folder, codes="LPS", spacing=(1.0, 1.0, 2.0), modality="MR", **changes):
    """Slices along the third axis of an orientation, in any file order."""
    folder.mkdir(exist_ok=True)
    affine, shape = grid(codes, spacing)
    voxels = np.rint(sampled(affine, shape)).astype(np.int16)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    series = generate_uid()
    for number in range(shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{(number * 7) % shape[2]:03d}.dcm"
        one = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
        one.SeriesInstanceUID = series
        one.Modality = modality
        one.Rows, one.Columns = shape[0], shape[1]
        one.ImagePositionPatient = (lps[:3, 3] + number * lps[:3, 2]).tolist()
        down, across = (lps[:3, axis] / spacing[axis] for axis in (0, 1))
        one.ImageOrientationPatient = [*across.tolist(), *down.tolist()]
        one.PixelSpacing = [spacing[0], spacing[1]]
        one.RescaleSlope, one.RescaleIntercept = 2.0, -500.0
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.PixelRepresentation = 1
        one.PixelData = ((voxels[:, :, number] + 500) // 2).astype(np.int16).tobytes()
        for key, value in changes.get(number, {}).items() if changes else ():
            setattr(one, key, value)
        one.save_as(path, enforce_file_format=True)
    return folder


def bad_inputs(folder):
    """Every kind of file that can not be used, by what the sentence must say."""
    affine = np.eye(4)
    (folder / "text.nii").write_text("no image")
    (folder / "text.txt").write_text("no image")
    (folder / "empty").mkdir()
    np.save(folder / "flat.npy", np.zeros((28, 28)))
    np.save(folder / "nan.npy", np.full((28, 28, 28), np.nan))
    np.save(folder / "complex.npy", np.zeros((28, 28, 28), complex))
    np.save(folder / "object.npy", np.array([{}]), allow_pickle=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 5, 5, 3)), affine), folder / "four.nii.gz")
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
        "text.nii": "be read as a volume",
        "text.txt": "is not a NIfTI file, a NumPy file or a folder of DICOM",
        "empty": "must hold the DICOM slices of a series, got 0",
        "flat.npy": "must hold a 3D volume, got the shape (28, 28)",
        "nan.npy": "holds voxels that are not finite",
        "complex.npy": "must hold real numbers, got complex128",
        "object.npy": "must hold numbers, as many as its header claims",
        "huge.npy": "must hold numbers, as many as its header claims",
        "four.nii.gz": "must hold a 3D volume, got the shape (5, 5, 5, 3)",
        "mixed": "must hold one series, got 2 different series",
        "gap": "lacks slices: a gap of 6 mm",
        "twice": "has two slices at the same place",
    }
