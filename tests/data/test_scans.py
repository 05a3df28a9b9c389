"""Reading scans: NIfTI files and DICOM series of one known object, and bad files."""

import nibabel
import numpy as np
import pytest

from lmttm.data.scans import find_scans, read, stem_of
from lmttm.errors import InputError
from tests.scanned import (
    CUT,
    assert_same,
    bad_inputs,
    grid,
    on_the_cube,
    sampled,
    to_cube,
    write_dicom,
    write_nifti,
)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SRA", "PIL", "ILA"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.5, 1.0, 2.5)])
def test_nifti_in_any_orientation_and_spacing(codes, spacing, tmp_path):
    affine, shape = grid(codes, spacing)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(sampled(affine, shape), affine), path)
    assert_same(to_cube(read(path), 28, CUT), on_the_cube(), codes)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "ASL", "SPR"])
def test_dicom_in_any_orientation(codes, tmp_path):
    folder = write_dicom(tmp_path / "series", codes, (1.0, 1.5, 2.0))
    assert_same(to_cube(read(folder), 28, CUT), on_the_cube(), codes)


@pytest.mark.parametrize("name", ["v.npy", "v.npz"])
def test_numpy_files_are_taken_as_they_are(name, tmp_path):
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    (np.save if name == "v.npy" else np.savez)(tmp_path / name, voxels)
    scan = read(tmp_path / name)
    assert np.array_equal(scan.voxels, voxels)
    assert scan.spacing == (1.0, 1.0, 1.0)


def test_every_scan_of_a_folder_is_found_once(tmp_path):
    """Guards against slices that lie beside a NIfTI file being left out, without a word."""
    series = write_dicom(tmp_path / "flat", spacing=(6.0, 6.0, 6.0))
    assert find_scans(tmp_path) == [tmp_path]
    one = write_nifti(series / "a.nii.gz", np.zeros((5, 5, 5)))
    assert find_scans(tmp_path) == [series, one]
    assert find_scans(series) == [series, one]
    assert read(series).voxels.shape == (10, 10, 10)
    two = write_dicom(tmp_path / "other" / "deep", spacing=(6.0, 6.0, 6.0))
    (tmp_path / "other" / "broken.dcm").write_bytes(b"none")
    (tmp_path / "other" / "notes.txt").write_bytes(b"")
    broken = tmp_path / "other" / "broken.dcm"
    assert find_scans(tmp_path) == [series, one, broken, two]
    with pytest.raises(InputError, match=r"broken.dcm is not a NIfTI"):
        read(broken)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.nii.gz", "a"),
        ("A.NII", "A"),
        ("1.2.840.113.dcm", "1.2.840.113"),
        ("1.2.840.113", "1.2.840.113"),
        ("scan.v2.mha", "scan.v2"),
        ("x.img.gz", "x"),
    ],
)
def test_the_name_of_a_scan_ends_before_its_format(name, stem, tmp_path):
    """Guards against every series with a UID for a name being called 1."""
    assert stem_of(tmp_path / name) == stem
    (tmp_path / "folder.nii").mkdir()
    assert stem_of(tmp_path / "folder.nii") == "folder.nii"


def test_every_bad_file_is_one_message_with_its_name_and_its_fault(tmp_path):
    for name, fault in bad_inputs(tmp_path).items():
        with pytest.raises(InputError) as caught:
            read(tmp_path / name)
        message = str(caught.value)
        assert name in message
        assert fault in message
        assert "\n" not in message
