"""The heat map as NIfTI: it lies where the scan lies, voxel for voxel."""

import gzip

import nibabel
import numpy as np
import pytest

from lmttm.config.volume import Intensity
from lmttm.data.intensity import to_bytes
from lmttm.data.placement import placement
from lmttm.data.preparation import Geometry, cut
from lmttm.data.scans import read
from lmttm.report.nifti import heat_nifti
from tests.data.test_placement import oblique

BOX = (slice(24, 30), slice(30, 36), slice(9, 12))


def object_in_a_scan():
    voxels = np.zeros((60, 52, 24), np.int16)
    voxels[BOX] = 100
    return voxels


def nifti_scan(folder):
    path = folder / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(object_in_a_scan(), oblique()), path)
    return path


def nrrd_scan(folder):
    import SimpleITK

    voxels, affine = object_in_a_scan(), oblique()
    affine[:2] *= -1  # ITK counts to the left and to the back
    image = SimpleITK.GetImageFromArray(voxels.transpose(2, 1, 0))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(folder / "scan.nrrd"))
    return folder / "scan.nrrd"


def dicom_scan(folder):
    """An oblique series, as SimpleITK reads it, compared in mm below."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    voxels, affine = object_in_a_scan(), oblique()
    affine[:2] *= -1
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / edges
    (folder / "series").mkdir()
    series = generate_uid()
    for index in range(voxels.shape[2]):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        one = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        one.SeriesInstanceUID, one.Modality, one.InstanceNumber = series, "MR", index + 1
        # Rows of the picture run along j, columns along i.
        one.Rows, one.Columns = voxels.shape[1], voxels.shape[0]
        one.ImageOrientationPatient = [*directions[:, 0].tolist(), *directions[:, 1].tolist()]
        one.ImagePositionPatient = (affine @ [0, 0, index, 1])[:3].tolist()
        one.PixelSpacing = [float(edges[1]), float(edges[0])]
        one.SliceThickness = float(edges[2])
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.PixelData = voxels[:, :, index].T.astype("<i2").tobytes()
        one.save_as(folder / "series" / f"{index}.dcm", enforce_file_format=True)
    return folder / "series"


@pytest.mark.parametrize("write", [nifti_scan, nrrd_scan, dicom_scan])
@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((28, 28, 28)),
        Geometry((28, 28, 28), region="pad", axes="zxy"),
        Geometry((12, 40, 33), axes="zyx"),
        Geometry((16, 30, 24), region="stretch", axes="zxy"),
    ],
    ids=str,
)
def test_the_hottest_voxel_lies_in_the_object(tmp_path, write, geometry):
    """An oblique, anisotropic scan with a known object, which is what the map marks."""
    scan = read(write(tmp_path))
    volume, _ = to_bytes(cut(scan, geometry), Intensity("window", (0, 100)))
    place = placement(scan, geometry)
    (tmp_path / "heat.nii.gz").write_bytes(heat_nifti(volume.astype(np.float32), place))
    image = nibabel.load(tmp_path / "heat.nii.gz")
    heat = image.get_fdata()
    # The place in mm, seen from the object's own scan.
    hottest = image.affine @ [*np.argwhere(heat == heat.max()).mean(axis=0), 1]
    inside = np.linalg.inv(oblique()) @ hottest
    for at, box in zip(inside, BOX, strict=False):
        assert box.start <= at <= box.stop - 1
    if write is nifti_scan:
        np.testing.assert_allclose(image.affine, oblique(), atol=1e-5)
        assert image.shape == object_in_a_scan().shape
        again = np.corrcoef(heat.ravel(), object_in_a_scan().ravel())[0, 1]
        assert again > 0.7


def test_values_run_from_0_to_1_and_are_stored_in_a_byte(tmp_path):
    scan = read(nifti_scan(tmp_path))
    content = heat_nifti(np.full((28, 28, 28), 1e-7), placement(scan, Geometry((28, 28, 28))))
    (tmp_path / "heat.nii").write_bytes(gzip.decompress(content))
    image = nibabel.load(tmp_path / "heat.nii")
    assert image.get_data_dtype() == np.uint8
    assert image.get_fdata().min() == 0  # beyond the cube
    assert image.get_fdata().max() == pytest.approx(1)
    assert image.header["sform_code"] == 1


def test_a_map_of_nothing_is_no_division_by_zero(tmp_path):
    scan = read(nifti_scan(tmp_path))
    assert heat_nifti(np.zeros((28, 28, 28)), placement(scan, Geometry((28, 28, 28))))
