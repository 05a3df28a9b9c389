"""NumPy files as scans."""

import numpy as np
import pytest
from numpy.lib import format as npy

from lmttm.data.arrays import read_numpy
from lmttm.data.scans import read
from lmttm.errors import InputError

VOXELS = np.random.default_rng(0).integers(0, 200, (5, 6, 7)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 5, 6, 7), (5, 6, 7, 1), (1, 1, 5, 6, 7), (5, 6, 7)])
def test_axes_of_one_are_none(shape, tmp_path):
    """Guards against an npy of (1, D, H, W) being refused."""
    np.save(tmp_path / "a.npy", VOXELS.reshape(shape))
    np.savez(tmp_path / "a.npz", VOXELS.reshape(shape))
    for name in ("a.npy", "a.npz"):
        assert np.array_equal(read(tmp_path / name).voxels, VOXELS)


def test_types_and_orders(tmp_path):
    for kind in (bool, np.uint8, np.int16, ">i2", np.float16, np.float64):
        np.save(tmp_path / "a.npy", np.asfortranarray(VOXELS.astype(kind)))
        assert np.array_equal(read_numpy(tmp_path / "a.npy").voxels, VOXELS.astype(kind))


def test_a_later_version_of_the_header(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        npy.write_array(file, VOXELS, version=(2, 0))
    assert np.array_equal(read(tmp_path / "a.npy").voxels, VOXELS)


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 7, 2), (5, 6, 1)])
def test_other_shapes_are_refused(shape, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(InputError, match="must hold a 3D volume, got the shape"):
        read(tmp_path / "a.npy")
