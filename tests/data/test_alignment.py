"""The scans of a case laid over each other, against SimpleITK on the same grids."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK

from lmttm.data.alignment import cut_case
from lmttm.data.preparation import Geometry, box_of, cut, from_prepared
from lmttm.data.scan import Scan, oriented
from lmttm.data.scans import read
from lmttm.errors import InputError
from tests.scanned import grid, sampled, write_dicom

NAMES = ("one.nii", "two.nii")


def made(codes="RAS", spacing=(1.5, 1.5, 2.0), turn=0.0, shift=(0.0, 0.0, 0.0), values=None):
    """A scan of the known object; its grid may be turned about z, by degrees, and shifted."""
    affine, shape = grid(codes, spacing)
    angle = np.radians(turn)
    about = np.eye(4)
    about[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    about[:3, 3] = shift
    affine = about @ affine
    voxels = sampled(affine, shape) if values is None else np.full(shape, values, np.float32)
    return oriented(voxels, affine)


def as_itk(scan):
    """An image of SimpleITK, which counts towards left, back and head."""
    image = SimpleITK.GetImageFromArray(np.asarray(scan.voxels, np.float64).transpose(2, 1, 0))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.affine
    lengths = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(lengths.tolist())
    image.SetDirection((lps[:3, :3] / lengths).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def resampled_by_itk(first, scan, geometry, nearest=False):
    """The second scan on the grid of the first one's region, `(D H W)`."""
    way = first.affine @ from_prepared(box_of(first, geometry), geometry)
    target = SimpleITK.Image(list(geometry.shape), SimpleITK.sitkFloat64)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ way
    lengths = np.linalg.norm(lps[:3, :3], axis=0)
    target.SetSpacing(lengths.tolist())
    target.SetDirection((lps[:3, :3] / lengths).ravel().tolist())
    target.SetOrigin(lps[:3, 3].tolist())
    how = SimpleITK.sitkNearestNeighbor if nearest else SimpleITK.sitkLinear
    found = SimpleITK.Resample(as_itk(scan), target, SimpleITK.Transform(), how, -1.0)
    return SimpleITK.GetArrayFromImage(found).transpose(2, 1, 0)


SECOND = {
    "coarser": {"spacing": (3.0, 3.0, 4.0)},
    "in another order of axes": {"codes": "PSR", "spacing": (3.0, 4.0, 3.0)},
    "shifted": {"spacing": (3.0, 3.0, 3.0), "shift": (2.2, -1.4, 3.3)},
    "turned by 20 degrees": {"spacing": (3.0, 3.0, 3.0), "turn": 20.0},
    "turned by 60 degrees": {"codes": "LPS", "spacing": (3.0, 2.6, 3.0), "turn": 60.0},
}
GEOMETRIES = [
    Geometry((28, 28, 28)),
    Geometry((12, 28, 20), axes="zyx"),
    Geometry((24, 24, 24), axes="yzx", centre=(26.0, 34.0, 30.0), extent=(40.0, 40.0, 40.0)),
]


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("kind", SECOND)
def test_another_grid_is_sampled_at_the_same_places(kind, geometry, nearest):
    """Guards against channels that are laid over each other voxel by voxel, not in mm."""
    geometry = Geometry(**vars(geometry) | {"nearest": nearest})
    # Coarser than the region's voxels: nothing is smoothed, so both interpolate the same values.
    first, second = made(), made(**SECOND[kind])
    regions = cut_case([first, second], geometry, NAMES)
    expected = resampled_by_itk(first, second, geometry, nearest)
    within = expected >= 0
    assert within.mean() > 0.5
    difference = abs(regions[1].values - expected)[within]
    if nearest:  # a voxel exactly between two others may go either way
        assert (difference > 1e-2).mean() < 0.02
    else:
        assert difference.max() < 0.05  # of 1000
    assert np.array_equal(regions[0].values, cut(first, geometry).values)


def test_a_finer_grid_is_smoothed_before_it_is_sampled():
    """Guards against aliasing, and against another strength of it where the grid is turned."""
    first, geometry = made(spacing=(3.0, 3.0, 3.0)), Geometry((20, 20, 20))
    middle = (slice(4, 16),) * 3
    found = []
    for turn in (0.0, 20.0):
        fine = made(spacing=(0.75, 0.75, 0.75), turn=turn)
        noise = np.random.default_rng(0).normal(0, 100, fine.voxels.shape).astype(np.float32)
        noisy = Scan(fine.voxels + noise, fine.spacing, (), fine.affine, fine.source)
        values = [cut_case([first, s], geometry, NAMES)[1].values[middle] for s in (fine, noisy)]
        found.append(values[0])
        # The mean over a Gaussian of (4 - 1) / 2 voxels' width.
        left = 100 / (2 * np.sqrt(np.pi) * 1.5) ** 1.5
        assert (values[1] - values[0]).std() == pytest.approx(left, rel=0.15)
    assert abs(found[0] - found[1]).max() < 5  # of 1000


def test_the_same_scan_twice_gives_the_same_values_twice():
    scan = made()
    for geometry in (*GEOMETRIES, Geometry(scan.voxels.shape), Geometry((9, 9, 9), region="pad")):
        one, two = cut_case([scan, scan], geometry, NAMES)
        assert np.array_equal(one.values, two.values)
        assert one.values.dtype == two.values.dtype
        assert one.content == two.content


def test_a_header_that_rounds_is_the_same_grid():
    """NIfTI stores coordinates with 7 digits, DICOM with as many as it likes."""
    first = made()
    affine = first.affine + 1e-5 * np.eye(4)[:, [3, 0, 1, 2]] * (np.arange(4) < 3)[:, None]
    near = Scan(first.voxels, (1.50001, 1.5, 2.0), (), affine, first.source)
    one, two = cut_case([first, near], GEOMETRIES[0], NAMES)
    assert np.array_equal(one.values, two.values)


@pytest.mark.parametrize("turn", [0.0, 30.0])
def test_where_the_second_scan_ends_it_has_its_least_value(turn):
    """Guards against its last slice being smeared over the rest, and against silence about it."""
    first = made()
    values = np.random.default_rng(0).uniform(5, 6, (40, 40, 30)).astype(np.float32)
    second = made(turn=turn, shift=(0, 0, 45))
    second = Scan(values, second.spacing, (), second.affine, second.source)
    region = cut_case([first, second], Geometry((30, 30, 30)), NAMES)[1]
    assert (region.values[:, :, :20] == values.min()).all()
    assert (region.values[10:20, 10:20, 26:] > values.min()).all()
    assert region.content.holes
    (note,) = region.notes
    assert note.startswith("it does not reach 7")
    assert note.endswith("of the region of one.nii")


def test_what_the_region_has_beyond_the_first_scan_is_not_missed():
    """Guards against a warning for each case where the whole scan is padded."""
    first = made(spacing=(1.5, 1.5, 2.0))
    thin = Scan(first.voxels[:, :, 10:20], first.spacing, (), first.affine @ step(10), None)
    other = made(spacing=(3.0, 3.0, 4.0))
    regions = cut_case([thin, other], Geometry((16, 16, 16), region="pad"), NAMES)
    assert regions[1].notes == ()


def step(slices):
    affine = np.eye(4)
    affine[2, 3] = slices
    return affine


def test_scans_at_different_places_are_refused():
    with pytest.raises(InputError, match=r"two\.nii lies beside the region of one\.nii"):
        cut_case([made(), made(shift=(0, 200, 0))], GEOMETRIES[0], NAMES)


def test_arrays_must_have_equal_shapes():
    """They say nothing of where their voxels lie."""
    one = Scan(np.random.default_rng(0).random((9, 8, 7)), (1.0, 1.0, 1.0))
    two = Scan(2 * one.voxels, (1.0, 1.0, 1.0))
    regions = cut_case([one, two], Geometry((8, 8, 8)), NAMES)
    np.testing.assert_allclose(regions[1].values, 2 * regions[0].values, rtol=1e-6)
    turned = Scan(one.voxels.transpose(), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"two\.nii must have the shape \(9, 8, 7\) of one\.nii"):
        cut_case([one, turned], Geometry((8, 8, 8)), NAMES)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_array_beside_a_scan_that_knows_its_place_is_refused(order):
    """Guards against an array in the order of a file over a scan that was turned to RAS."""
    scan = made()
    pair = [scan, Scan(np.asarray(scan.voxels), (1.0, 1.0, 1.0))]
    told = (
        f"{NAMES[order.index(1)]} does not say where its voxels lie as {NAMES[order.index(0)]} does"
    )
    with pytest.raises(InputError, match=told):
        cut_case([pair[n] for n in order], GEOMETRIES[0], NAMES)


def test_a_header_without_coordinates_is_no_place():
    """Guards against two scans of different size that are laid over each other by their middle."""
    one, small = made(), made(spacing=(3.0, 3.0, 3.0))
    guessed = [replace(scan, located=False) for scan in (one, one, small)]
    same = cut_case(guessed[:2], GEOMETRIES[0], NAMES)
    assert np.array_equal(same[0].values, same[1].values)
    with pytest.raises(InputError, match="neither file says where its voxels lie"):
        cut_case(guessed[1:], GEOMETRIES[0], NAMES)
    for pair in ((one, guessed[2]), (guessed[0], small)):
        with pytest.raises(InputError, match="does not say where its voxels lie"):
            cut_case(pair, GEOMETRIES[0], NAMES)
    array = Scan(np.asarray(one.voxels), (1.0, 1.0, 1.0))  # in the order of its file
    with pytest.raises(InputError, match="does not say where its voxels lie"):
        cut_case([guessed[0], array], GEOMETRIES[0], NAMES)


def test_a_third_scan_follows_the_first_too():
    first, third = made(), made(spacing=(3.0, 3.0, 3.0))
    regions = cut_case(iter([first, made(values=7.0), third]), GEOMETRIES[0], (*NAMES, "three"))
    assert np.array_equal(
        regions[2].values, cut_case([first, third], GEOMETRIES[0], NAMES)[1].values
    )


@pytest.mark.parametrize("endings", [("nii.gz", "nrrd"), ("mha", "nii"), ("nrrd", "mha")])
def test_files_of_two_formats_are_laid_over_each_other(endings, tmp_path):
    """Guards against a reader whose coordinates run the other way than another's."""
    first, second = made(), made(**SECOND["turned by 20 degrees"])
    paths = [tmp_path / f"{n}.{ending}" for n, ending in enumerate(endings)]
    for path, scan in zip(paths, (first, second), strict=True):
        SimpleITK.WriteImage(as_itk(scan), str(path))
    found = cut_case(map(read, paths), GEOMETRIES[0], NAMES)[1].values
    expected = resampled_by_itk(first, second, GEOMETRIES[0])
    assert abs(found - expected)[expected >= 0].max() < 0.05  # of 1000


def test_a_series_is_laid_over_a_nifti_file(tmp_path):
    """One object, as DICOM slices in one order of axes and as a file in another."""
    affine, shape = grid("RAS", (1.0, 1.0, 1.0))
    nibabel.save(nibabel.Nifti1Image(sampled(affine, shape), affine), tmp_path / "one.nii")
    series = write_dicom(tmp_path / "two", codes="PIR", spacing=(1.0, 1.5, 2.0))
    one, two = cut_case(map(read, (tmp_path / "one.nii", series)), GEOMETRIES[0], NAMES)
    difference = abs(one.values - two.values)
    assert difference.mean() < 3  # of 1000: they are smoothed by their own voxels
    assert difference.max() < 60
