"""From a scan to the cube of bytes, against a known object sampled on the cube itself."""

import itertools

import numpy as np
import pytest

from lmttm.config.volume import Intensity
from lmttm.data.intensity import to_bytes
from lmttm.data.preparation import Geometry, cut
from lmttm.data.scan import Scan
from lmttm.errors import InputError
from tests.scanned import (
    CUT,
    Cut,
    as_bytes,
    assert_same,
    grid,
    on_the_cube,
    sampled,
    to_cube,
)

MODEL_SIZE = 28


def object_with(spacing):
    """The object in RAS orientation with voxels of these edges, in mm."""
    affine, shape = grid("RAS", spacing)
    return Scan(sampled(affine, shape), spacing)


@pytest.mark.parametrize("axes", ["".join(order) for order in itertools.permutations("xyz")])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.5, 2.5)])
def test_axes_are_permuted_on_request(axes, spacing):
    """The spacing is permuted with the voxels, or a shape comes out squeezed."""
    cube = to_cube(object_with(spacing), MODEL_SIZE, Cut(axes, window=CUT.window))
    order = ["xyz".index(axis) for axis in axes]
    assert_same(cube, on_the_cube().transpose(order), axes)


def around(centre, extent, axes="xyz"):
    """The object on a cube with this centre (x, y, z) and edge, in mm from the origin."""
    step = extent / MODEL_SIZE
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = np.asarray(centre) - (MODEL_SIZE - 1) / 2 * step
    cube = as_bytes(sampled(affine, (MODEL_SIZE,) * 3), high=1000.0)
    return cube.transpose(["xyz".index(axis) for axis in axes])


@pytest.mark.parametrize("axes", ["xyz", "yzx"])
def test_centre_and_extent_are_in_mm_along_the_cubes_axes(axes):
    """A cut around the small blob shows it in the middle, enlarged."""
    spacing = (1.0, 1.5, 2.0)
    scan = object_with(spacing)
    blob = np.array([-10.0, 9.0, -12.0])
    # The origin in mm from the middle of the first voxel.
    origin = (np.array(scan.voxels.shape) - 1) / 2 * spacing
    place = (blob + origin)[["xyz".index(axis) for axis in axes]]
    cut = Cut(axes, centre=tuple(place), extent=20.0, window=(0.0, 1000.0))
    assert_same(to_cube(scan, MODEL_SIZE, cut), around(blob, 20.0, axes))
    with pytest.raises(InputError, match="lies outside the volume"):
        to_cube(scan, MODEL_SIZE, Cut(centre=(200.0, 0.0, 0.0), extent=20.0))


def test_the_largest_centred_cube_fits_the_shortest_edge():
    """Guards against a cube that takes the longest edge, or starts at a corner."""
    voxels = np.full((10, 20, 30), 50, np.uint8)
    voxels[:, 5:15, 10:20] = 200
    cube = to_cube(Scan(voxels, (1.0, 1.0, 1.0)), 10, Cut())
    assert np.array_equal(cube, np.full((10, 10, 10), 200))
    thick = Scan(voxels, (3.0, 1.0, 1.0))  # edges of 30, 20 and 30 mm
    corners = to_cube(thick, 4, Cut())[:, 0, 0]
    assert (abs(corners.astype(int) - 50) < 10).all()


def test_intensities():
    rng = np.random.default_rng(0)
    hu = rng.uniform(-1000, 1000, (28, 28, 28))
    ct = to_cube(Scan(hu, (1.0,) * 3), 28, Cut())
    np.testing.assert_allclose(ct, 255 * ((hu + 160) / 400).clip(0, 1), atol=0.51)
    signal = hu + 1500
    mr = to_cube(Scan(signal, (1.0,) * 3), 28, Cut())
    low, high = np.percentile(signal, (0.5, 99.5))
    np.testing.assert_allclose(mr, 255 * ((signal - low) / (high - low)).clip(0, 1), atol=0.51)
    window = to_cube(Scan(hu, (1.0,) * 3), 28, Cut(window=(-500.0, 500.0)))
    np.testing.assert_allclose(window, 255 * ((hu + 500) / 1000).clip(0, 1), atol=0.51)
    flat = to_cube(Scan(np.full((28, 28, 28), 3000.0), (1.0,) * 3), 28, Cut())
    assert set(np.unique(flat)) <= {0, 255}


def test_bytes_of_the_models_size_stay_as_they_are():
    """Guards against a MedMNIST volume that is windowed a second time."""
    voxels = np.random.default_rng(0).integers(30, 190, (28, 28, 28), dtype=np.uint8)
    assert np.array_equal(to_cube(Scan(voxels, (2.0, 2.0, 2.0)), 28, Cut()), voxels)
    turned = to_cube(Scan(voxels, (1.0, 2.0, 3.0)), 28, Cut("zxy"))
    assert np.array_equal(turned, voxels.transpose(2, 0, 1))


def test_outside_of_the_scan_is_its_least_value():
    voxels = np.full((20, 20, 20), 90, np.uint8)
    voxels[0, 0, 0] = 40
    cube = to_cube(Scan(voxels, (1.0,) * 3), 30, Cut(centre=(9.5, 9.5, 9.5), extent=30.0))
    assert (cube[:4] == 40).all()
    assert (cube[10:20, 10:20, 10:20] == 90).all()


@pytest.mark.parametrize(
    ("shape", "lost"), [((230, 230, 100), True), ((64, 64, 32), True), ((64, 60, 56), False)]
)
def test_a_region_that_leaves_much_out_is_a_warning(shape, lost):
    """Guards against a thin scan of which the largest cube uses a fifth, without a word."""
    voxels = np.random.default_rng(0).integers(500, 900, [edge // 2 for edge in shape])
    scan = Scan(voxels, (2.0, 2.0, 2.0))
    notes = cut(scan, Geometry((16, 16, 16))).notes
    assert any("foreground lies outside" in note for note in notes) is lost
    for whole in ("pad", "stretch"):
        assert cut(scan, Geometry((16, 16, 16), region=whole)).notes == ()


@pytest.mark.parametrize("value", [0, -1024, 7.5])
def test_a_scan_of_one_value_is_a_warning(value):
    """Guards against an empty export that is trained on, without a word."""
    scan = Scan(np.full((9, 9, 9), value), (1.0, 1.0, 1.0))
    for shape in ((9, 9, 9), (6, 6, 6)):
        assert cut(scan, Geometry(shape)).notes == (f"all its voxels are {value:g}",)


@pytest.mark.parametrize("shape", [(3, 60, 60), (60, 60, 3), (2, 2, 400), (200, 4, 4)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.1, 0.1, 0.1)])
def test_extremely_thin_scans_are_a_warning(shape, spacing):
    """Guards against a cube of three slices' edge, or a division by none."""
    voxels = np.random.default_rng(0).integers(500, 900, shape)
    region = cut(Scan(voxels, spacing), Geometry((16, 16, 16)))
    assert "% of its foreground lies outside" in region.notes[0]
    assert region.values.std() > 0
    for whole in ("pad", "stretch"):
        assert cut(Scan(voxels, spacing), Geometry((16, 16, 16), region=whole)).notes == ()


def test_the_whole_scan_padded_and_stretched():
    voxels = np.full((20, 20, 10), 90, np.uint8)
    voxels[:, :, 0] = 10
    scan = Scan(voxels, (1.0, 1.0, 1.0))
    padded = to_bytes(cut(scan, Geometry((20,) * 3, region="pad")), Intensity("bytes"))[0]
    assert np.array_equal(padded[:, :, 5:15], voxels)
    assert (padded[:, :, :4] == 10).all()
    assert (padded[:, :, 16:] == 10).all()
    stretched = cut(scan, Geometry((20,) * 3, region="stretch")).values
    assert (stretched[:, :, 4:] == 90).all()
    thick = to_bytes(cut(scan, Geometry((20, 20, 5), region="stretch")), Intensity("bytes"))[0]
    assert thick.shape == (20, 20, 5)
    assert (thick[:, :, 2:] > 80).all()


def test_a_box_of_three_edges_keeps_voxels_equal():
    voxels = np.indices((24, 48, 48))[0].astype(np.float32)
    values = cut(Scan(voxels, (2.0, 1.0, 1.0)), Geometry((12, 12, 12))).values
    assert np.allclose(values[:, 6, 6], np.arange(12) * 2 + 0.5, atol=0.3)
    slab = cut(Scan(voxels, (2.0, 1.0, 1.0)), Geometry((24, 16, 16))).values
    assert slab.shape == (24, 16, 16)
