"""The geometry of stacks; whole series are tried in test_dicom.py."""

import numpy as np
import pytest

from lmttm.data.planes import Plane, arrange, to_scan
from lmttm.errors import InputError


def plane(name, position, spacing=(1.0, 2.0)):
    axes = np.eye(3)
    return Plane(str(name), np.array(position, dtype=float), axes[0], axes[1], spacing, (5, 4))


def test_slices_are_ordered_by_place():
    stack = arrange([plane(k, (0, 0, z)) for k, z in enumerate((4, 0, 2))], "scan")
    assert stack.order == [1, 2, 0]
    pixels = np.arange(60).reshape(3, 5, 4)
    scan = to_scan(pixels, stack)
    assert scan.spacing == (2.0, 1.0, 2.0)
    assert np.array_equal(scan.voxels, pixels.transpose(2, 1, 0)[::-1, ::-1])


def test_small_deviations_are_no_irregularity():
    """Rounded positions of a header neither are refused nor lead to a resampling."""
    heights = np.round(np.arange(20) * 0.6251, 2)
    stack = arrange([plane(k, (0, 0, z)) for k, z in enumerate(heights)], "scan")
    scan = to_scan(np.zeros((20, 5, 4), np.int16), stack)
    assert scan.notes == ()
    assert scan.voxels.dtype == np.int16


@pytest.mark.parametrize("lost", [[5], [5, 6], [3, 11]])
def test_lost_slices_are_named(lost):
    heights = [z for z in range(20) if z not in lost]
    with pytest.raises(InputError, match=f"between {lost[0] - 1} and"):
        arrange([plane(z, (0, 0, z)) for z in heights], "scan")
