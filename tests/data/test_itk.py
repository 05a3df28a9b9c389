"""The formats that SimpleITK reads."""

import locale

import nibabel
import numpy as np
import pytest
import SimpleITK

from lmttm.data.itk import read_itk
from lmttm.data.scans import read
from lmttm.errors import InputError
from tests.scanned import write_nifti

VOXELS = np.random.default_rng(0).integers(-900, 900, (5, 6, 7)).astype(np.int16)


@pytest.fixture
def nifti(tmp_path):
    """An oblique image of another orientation, as NIfTI, and the same in SimpleITK."""
    affine = nibabel.affines.from_matvec(
        np.array([[0, 2.0, 0.1], [-1.0, 0, 0.1], [0.05, -0.1, 3.0]]), [4, 5, 6]
    )
    nibabel.save(nibabel.Nifti1Image(VOXELS, affine), tmp_path / "a.nii")
    affine[:3, :3] = _orthogonal(affine[:3, :3])
    nibabel.save(nibabel.Nifti1Image(VOXELS, affine), tmp_path / "a.nii")
    return tmp_path / "a.nii", SimpleITK.ReadImage(str(tmp_path / "a.nii"))


def _orthogonal(edges):
    """The nearest matrix whose columns are perpendicular, of the same lengths."""
    lengths = np.linalg.norm(edges, axis=0)
    left, _, right = np.linalg.svd(edges / lengths)
    return (left @ right) * lengths


@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
def test_each_format_gives_what_its_nifti_gives(name, nifti, tmp_path):
    path, image = nifti
    SimpleITK.WriteImage(image, str(tmp_path / name))
    wanted, scan = read(path), read_itk(tmp_path / name)
    assert np.array_equal(scan.voxels, wanted.voxels)
    assert scan.spacing == pytest.approx(wanted.spacing)


def test_a_fourth_axis_of_one_is_none(tmp_path):
    image = SimpleITK.GetImageFromArray(VOXELS[None], isVector=False)
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    assert read(tmp_path / "a.nrrd").voxels.shape == VOXELS.shape[::-1]


@pytest.mark.parametrize("kind", ["colours", "times", "flat", "text"])
def test_other_contents_are_refused(kind, tmp_path):
    path = tmp_path / "a.mha"
    if kind == "text":
        path.write_text("none")
    else:
        array = {"colours": VOXELS[..., None].repeat(3, 3), "flat": VOXELS[0]}.get(
            kind, np.stack([VOXELS] * 2)
        )
        image = SimpleITK.GetImageFromArray(array, isVector=kind == "colours")
        SimpleITK.WriteImage(image, str(path))
    told = {"colours": "one grey value", "text": "cannot be read as a volume: Unable to"}
    with pytest.raises(InputError, match=told.get(kind, "must hold one volume")):
        read(path)


def test_a_missing_package_is_named(nifti, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "SimpleITK", None)
    (tmp_path / "a.mha").touch()
    with pytest.raises(InputError, match=r'needs SimpleITK: pip install -e "\.\[medical\]"'):
        read(tmp_path / "a.mha")


def test_write_nifti_is_in_ras(tmp_path):
    """What the other tests rely on."""
    scan = read(write_nifti(tmp_path / "b.nii", VOXELS, (1, 2, 3)))
    assert np.array_equal(scan.voxels, VOXELS)


def test_reading_leaves_the_locale_alone(tmp_path):
    """Guards against UTF-8 that cannot be read any more, anywhere, once a VTK file was read."""
    before = locale.setlocale(locale.LC_ALL)
    image = SimpleITK.GetImageFromArray(VOXELS)
    for ending in ("nrrd", "mha", "vtk", "tif"):
        SimpleITK.WriteImage(image, str(tmp_path / f"a.{ending}"))
        read_itk(tmp_path / f"a.{ending}")
        assert locale.setlocale(locale.LC_ALL) == before
    (tmp_path / "cut.vtk").write_bytes((tmp_path / "a.vtk").read_bytes()[:60])
    with pytest.raises(InputError):
        read_itk(tmp_path / "cut.vtk")
    assert locale.setlocale(locale.LC_ALL) == before
