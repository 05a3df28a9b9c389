"""A scan in memory: its orientation, and what its stored numbers mean."""

import numpy as np
import pytest

from lmttm.data import scan
from lmttm.data.scan import oriented, rescaled
from lmttm.errors import InputError


def test_axes_turn_without_a_copy():
    voxels = np.arange(24).reshape(2, 3, 4)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = -3.0, 2.0, 1.0, 1.0
    turned = oriented(voxels, affine)
    assert turned.spacing == (2.0, 1.0, 3.0)
    assert np.array_equal(turned.voxels, voxels.transpose(1, 2, 0)[:, :, ::-1])
    assert np.shares_memory(turned.voxels, voxels)


@pytest.mark.parametrize(
    "edge", [0.7, 0.9765625, 0.78125, 1 / 3, 2.5, 0.46875, 4.999, 3e-4, 1.234e-6]
)
def test_an_edge_in_single_precision_is_the_same_edge(edge):
    """Guards against other bytes for the NIfTI form of a scan than for its DICOM form."""
    cosine, sine = np.cos(0.3), np.sin(0.3)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * edge
    exact = oriented(np.zeros((2, 2, 2)), affine).spacing
    stored = oriented(np.zeros((2, 2, 2)), affine.astype(np.float32)).spacing
    assert exact == stored
    assert exact == pytest.approx((edge,) * 3, rel=5e-4)
    if edge * 1024 % 1 == 0:
        assert oriented(np.zeros((2, 2, 2)), np.diag([edge, edge, edge, 1])).spacing == (edge,) * 3


def test_a_sheared_grid_is_noted():
    """Guards against a tilted stack that is taken for an upright one."""
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[1, 2] = 0.7
    assert "degrees from perpendicular" in oriented(np.zeros((2, 2, 2)), affine).notes[0]
    assert oriented(np.zeros((2, 2, 2)), np.eye(4)).notes == ()


@pytest.mark.parametrize("column", [[0, 0, 0], [np.nan, 0, 0], [0, 1, 0]])
def test_voxels_without_an_edge_are_refused(column):
    affine = np.eye(4)
    affine[:3, 0] = column
    with pytest.raises(InputError, match="must"):
        oriented(np.zeros((2, 2, 2)), affine)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("slope", "offset"), [(1, -1024), (0.5, -7.25), (3, 2**20)])
def test_a_large_scan_is_rescaled_slab_by_slab(slope, offset, order, monkeypatch):
    """Guards against gigabytes of doubles, and against slabs that are left out or done twice."""
    monkeypatch.setattr(scan, "_SLAB", 50)
    stored = np.random.default_rng(0).integers(-3000, 3000, (7, 11, 13)).astype(np.int16)
    stored = np.asarray(stored, order=order)[:, ::-1]
    expected = stored.astype(np.float64) * slope + offset
    assert np.array_equal(rescaled(stored, slope, offset), expected.astype(np.float32))


@pytest.mark.parametrize(
    ("stored", "slope", "offset", "kind"),
    [
        (np.array([0, 4095], np.uint16), 1, -1024, np.int16),
        (np.array([0, 65535], np.uint16), 1, -1024, np.int32),
        (np.array([-128, 127], np.int8), 2, 0, np.int16),
        (np.array([0, 4095], np.uint16), 0.5, 0, np.float32),
        (np.array([0.5, 1.0], np.float32), 1, 0, np.float32),
    ],
)
def test_whole_numbers_stay_whole(stored, slope, offset, kind):
    values = rescaled(stored, slope, offset)
    assert values.dtype == kind
    assert np.array_equal(values, stored.astype(np.float64) * slope + offset)
