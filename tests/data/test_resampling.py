"""One matrix for each axis gives what smoothing and interpolating in three dimensions gives."""

import numpy as np
import pytest
from scipy import ndimage

from lmttm.data.resampling import Box, resampled


def by_scipy(voxels, box, outside):
    """The same in two steps, on the whole volume."""
    smooth = ndimage.gaussian_filter(voxels, np.maximum(0, box.step - 1) / 2, mode="nearest")
    padded = np.pad(smooth, 1, mode="edge")
    return ndimage.affine_transform(
        padded, box.step, box.first + 1, box.shape, order=1, mode="constant", cval=outside
    )


@pytest.mark.parametrize(
    ("step", "first", "shape"),
    [
        ((1.0, 1.0, 1.0), (0, 0, 0), (9, 12, 7)),
        ((2.3, 0.7, 1.0), (0.4, 1.2, 0), (4, 9, 7)),
        ((1.5, 1.5, 1.5), (-4.2, 3.3, -0.5), (9, 9, 9)),
        ((0.5, 3.0, 2.0), (20.0, 0, 0), (5, 4, 3)),
    ],
)
def test_it_is_what_scipy_gives(step, first, shape, monkeypatch):
    voxels = np.random.default_rng(0).normal(size=(9, 12, 7))
    box = Box(shape, np.array(first, dtype=float), np.array(step))
    wanted = by_scipy(voxels, box, -5.0)
    got = resampled(voxels, box, values=np.asarray, outside=-5.0)
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    monkeypatch.setattr("lmttm.data.resampling._SLAB", 100)  # slabs of one plane
    np.testing.assert_allclose(resampled(voxels, box, values=np.asarray, outside=-5.0), got)


def test_the_layout_in_memory_does_not_matter():
    """Guards against bytes that depend on whether a file stores x or z first."""
    voxels = np.random.default_rng(0).integers(0, 4000, (30, 40, 50)).astype(np.int16)
    box = Box((11, 12, 13), np.array([0.3, 1, 2]), np.array([2.2, 2.9, 3.1]))
    one = resampled(voxels, box, values=lambda part: part.astype(float), outside=0.0)
    fortran = np.asfortranarray(voxels)
    two = resampled(fortran, box, values=lambda part: part.astype(float), outside=0.0)
    assert np.array_equal(one, two)


def test_the_nearest_voxel():
    voxels = np.arange(27.0).reshape(3, 3, 3)
    box = Box((5, 3, 3), np.array([0.1, 0, 0]), np.array([0.4, 1, 1]))
    got = resampled(voxels, box, values=np.asarray, outside=0.0, nearest=True)
    assert np.array_equal(got, voxels[[0, 0, 1, 1, 2]])
