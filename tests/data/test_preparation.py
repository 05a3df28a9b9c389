"""From a scan to the cube of bytes, against a known object sampled on the cube itself."""

import itertools

import numpy as np
import pytest

from lmttm.data.preparation import Cut, to_cube
from lmttm.data.scan import Scan
from lmttm.errors import InputError
from tests.scanned import CUT, as_bytes, assert_same, grid, on_the_cube, sampled

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
