"""nibabel's family of formats."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from lmttm.data.nifti import read_nifti
from lmttm.data.scans import read
from lmttm.errors import InputError
from tests.scanned import write_nifti

VOXELS = np.random.default_rng(0).integers(0, 200, (5, 6, 7)).astype(np.int16)
SHIPPED = Path(nibabel.__file__).parent / "tests" / "data"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.nii", nibabel.Nifti1Image),
        ("a.nii.gz", nibabel.Nifti1Image),
        ("A.NII.GZ", nibabel.Nifti1Image),
        ("a.nii", nibabel.Nifti2Image),
        ("a.img", nibabel.Nifti1Pair),
        ("a.hdr", nibabel.Nifti1Pair),
        ("a.mgz", nibabel.MGHImage),
    ],
)
def test_the_family_is_read(name, kind, tmp_path):
    if name.isupper():
        write_nifti(tmp_path / name.lower(), VOXELS, (1, 2, 3), kind).rename(tmp_path / name)
    else:
        write_nifti(tmp_path / name, VOXELS, (1, 2, 3), kind)
    scan = read(tmp_path / name)
    assert np.array_equal(scan.voxels, VOXELS)
    assert scan.spacing == (1, 2, 3)


@pytest.mark.parametrize(
    "name", ["anatomical.nii", "minc1_1_scale.mnc", "test.mgz", "scaled+tlrc.HEAD"]
)
def test_files_that_nibabel_ships(name):
    image = nibabel.load(SHIPPED / name)
    if np.prod(image.shape[3:]) > 1:
        with pytest.raises(InputError, match="must hold one volume"):
            read(SHIPPED / name)
        return
    wanted = nibabel.as_closest_canonical(image)
    scan = read(SHIPPED / name)
    np.testing.assert_allclose(scan.voxels, wanted.get_fdata().squeeze(), rtol=1e-6)
    assert scan.spacing == pytest.approx(wanted.header.get_zooms()[:3], rel=1e-5)


@pytest.mark.parametrize("shape", [(5, 6, 7, 1), (5, 6, 7, 1, 1)])
def test_axes_of_one_behind_the_third_are_none(shape, tmp_path):
    """Guards against a NIfTI of (x, y, z, 1) being refused."""
    scan = read(write_nifti(tmp_path / "a.nii.gz", VOXELS.reshape(shape)))
    assert np.array_equal(scan.voxels, VOXELS)


@pytest.mark.parametrize("shape", [(5, 6, 7, 3), (5, 6, 7, 1, 2)])
def test_several_volumes_are_refused(shape, tmp_path):
    path = write_nifti(tmp_path / "a.nii", np.zeros(shape, np.int16))
    with pytest.raises(InputError, match="must hold one volume, got the shape"):
        read(path)


def test_stored_numbers_are_scaled(tmp_path):
    for slope, offset, kind in ((1, -1024, np.int16), (0.25, 3, np.float32)):
        image = nibabel.Nifti1Image(VOXELS, np.eye(4))
        image.header.set_slope_inter(slope, offset)
        path = tmp_path / "a.nii"
        # nibabel would undo the scaling: the numbers are written as they are.
        with path.open("wb") as file:
            header = image.header.copy()
            header["vox_offset"], header["magic"] = 352, b"n+1"
            header["scl_slope"], header["scl_inter"] = slope, offset
            file.write(header.binaryblock + b"\0" * 4 + VOXELS.tobytes(order="F"))
        scan = read_nifti(path)
        assert scan.voxels.dtype == kind
        np.testing.assert_allclose(scan.voxels, VOXELS * slope + offset)


@pytest.mark.parametrize("forms", ["q", "s", "qs", ""])
def test_either_form_of_the_orientation_will_do(forms, tmp_path):
    """Guards against a file with one of its two affines, or none, being refused or mirrored."""
    affine = np.array([[0, -2.0, 0, 9], [1.0, 0, 0, 8], [0, 0, 3.0, 7], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(VOXELS, affine)
    image.set_qform(affine, code=int("q" in forms))
    image.set_sform(affine, code=int("s" in forms))
    nibabel.save(image, tmp_path / "a.nii")
    scan = read(tmp_path / "a.nii")
    if forms:
        assert np.array_equal(scan.voxels, VOXELS.transpose(1, 0, 2)[::-1])
        assert scan.spacing == (2, 1, 3)
    else:  # the standard's convention: x runs to the left
        assert np.array_equal(scan.voxels, VOXELS[::-1])
        assert scan.spacing == (1, 2, 3)


def test_what_nibabel_repairs_in_a_header_is_noted(tmp_path, caplog, capfd):
    """Guards against a line on the screen that names no file, and a report without it."""
    image = nibabel.Nifti1Image(VOXELS, np.eye(4))
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nibabel.save(image, tmp_path / "a.nii")
    header = bytearray((tmp_path / "a.nii").read_bytes())
    header[80:92] = bytes(12)  # pixdim[1:4]
    (tmp_path / "a.nii").write_bytes(header)
    assert read(tmp_path / "a.nii").notes == (
        "its header: pixdim[1,2,3] should be non-zero; setting 0 dims to 1",
    )
    assert caplog.text == "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize(("unit", "mm"), [("meter", 1000.0), ("micron", 0.001), ("mm", 1.0)])
def test_lengths_are_in_the_unit_of_the_header(unit, mm, tmp_path):
    """Guards against a scan in metres whose voxels have edges of none, and a wrong place in mm."""
    affine = np.diag([0.7 / mm, 0.9 / mm, 2.5 / mm, 1.0])
    affine[:3, 3] = np.array([4.0, 5.0, 6.0]) / mm
    image = nibabel.Nifti1Image(VOXELS, affine)
    image.header.set_xyzt_units(unit, "sec")
    nibabel.save(image, tmp_path / "a.nii")
    scan = read(tmp_path / "a.nii")
    theirs = SimpleITK.ReadImage(str(tmp_path / "a.nii"))
    assert scan.spacing == pytest.approx(theirs.GetSpacing(), rel=1e-3)
    assert scan.spacing == pytest.approx((0.7, 0.9, 2.5), rel=1e-4)
    assert scan.affine[:3, 3] == pytest.approx([4, 5, 6], rel=1e-4)


def test_a_header_may_lack_coordinates(tmp_path):
    """Guards against a guess at the place of a scan that counts as its place."""
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    for name, affine, located in (
        ("a.nii", np.eye(4), True),
        ("b.nii", None, False),
        ("c.hdr", None, False),
    ):
        kind = nibabel.Spm2AnalyzeImage if name.endswith("hdr") else nibabel.Nifti1Image
        nibabel.save(kind(voxels, affine), tmp_path / name)
        assert read_nifti(tmp_path / name).located is located
    nibabel.save(nibabel.MGHImage(voxels, np.eye(4)), tmp_path / "d.mgz")
    assert read_nifti(tmp_path / "d.mgz").located
