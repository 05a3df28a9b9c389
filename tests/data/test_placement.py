"""Where a prepared volume lies: a known object is found at its own place in the scan."""

import numpy as np
import pytest

from lmttm.config.volume import Intensity
from lmttm.data.cases import read_case
from lmttm.data.intensity import to_bytes
from lmttm.data.placement import placement, prepared
from lmttm.data.preparation import Geometry, cut
from lmttm.data.scan import Scan, oriented


def oblique():
    """An affine with axes turned by 20 and 35 degrees, unequal voxels, one axis flipped."""
    from scipy.spatial.transform import Rotation

    affine = np.eye(4)
    turned = Rotation.from_euler("xz", [20, 35], degrees=True).as_matrix()
    affine[:3, :3] = turned @ np.diag([-0.7, 1.1, 3.0])
    affine[:3, 3] = (31.0, -12.0, 55.0)
    return affine


@pytest.mark.parametrize("turn", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((28, 28, 28)),
        Geometry((28, 28, 28), axes="zyx"),
        Geometry((20, 24, 28), region="stretch", axes="yzx"),
        Geometry((28, 28, 28), region="pad"),
        Geometry((28, 28, 28), centre=(25.0, 30.0, 28.0), extent=(30.0, 30.0, 30.0)),
        Geometry((60, 52, 24)),
    ],
    ids=str,
)
def test_the_brightest_voxel_lies_in_the_object(turn, geometry):
    """Guards against a map that lies on other anatomy, mirrored or shifted by the cut."""
    voxels = np.zeros((60, 52, 24), np.float32)
    voxels[24:30, 30:36, 9:12] = 100  # away from the centre along every axis
    affine = oblique()
    world = (affine @ [26.5, 32.5, 10, 1])[:3]
    # The same scan, stored with its axes in another order.
    scan = oriented(voxels.transpose(turn), affine[:, [*turn, 3]])
    place = placement(scan, geometry)
    volume, _ = to_bytes(cut(scan, geometry), Intensity("window", (0, 100)))
    weights = volume / volume.sum()
    middle = [(np.indices(volume.shape)[axis] * weights).sum() for axis in range(3)]
    stored = np.linalg.inv(place.to_prepared) @ [*middle, 1]
    assert place.source.shape == tuple(np.take(voxels.shape, turn))
    np.testing.assert_allclose((place.source.affine @ stored)[:3], world, atol=0.8)


def test_an_array_without_a_geometry_keeps_its_own_grid():
    scan = Scan(np.zeros((30, 40, 50), np.uint8), (1.0, 1.0, 1.0))
    place = placement(scan, Geometry((30, 40, 50)))
    assert place.source.shape == (30, 40, 50)
    np.testing.assert_allclose(place.source.affine, np.eye(4))
    np.testing.assert_allclose(place.to_prepared, np.eye(4))


def test_a_scan_is_prepared_as_for_a_prediction(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 255, (30, 40, 50), dtype=np.uint8)
    np.save(tmp_path / "scan.npy", voxels)
    how = Geometry((28, 28, 28)), [Intensity("each")]
    found = prepared([tmp_path / "scan.npy"], *how)
    volume, notes = read_case([tmp_path / "scan.npy"], *how)
    np.testing.assert_array_equal(found.volume, volume)
    assert found.notes == notes
    assert found.place.source.shape == voxels.shape
