"""Augmentation, against numpy, volume by volume."""

import numpy as np
import pytest
import torch

from lmttm.augment import Augment

OFF = {"flip_axes": [], "turn_planes": [], "shift": 0, "intensity": 0.0}


@pytest.fixture
def volumes():
    torch.manual_seed(1)
    return torch.rand(24, 1, 6, 6, 6)


def matches(changed, candidates):
    """Index of the candidate that each changed volume equals."""
    found = []
    for volume, options in zip(changed, candidates, strict=True):
        equal = [i for i, option in enumerate(options) if np.array_equal(volume, option)]
        assert len(equal) == 1
        found += equal
    return found


def test_nothing_on_changes_nothing(volumes):
    assert torch.equal(Augment(**OFF)(volumes), volumes)


@pytest.mark.parametrize(("axis", "dim"), [("D", 1), ("H", 2), ("W", 3)])
def test_flips_mirror_their_axis_in_half_of_the_volumes(volumes, axis, dim):
    changed = Augment(**OFF | {"flip_axes": [axis]})(volumes)
    found = matches(changed.numpy(), [(v, np.flip(v, dim)) for v in volumes.numpy()])
    assert 4 < sum(found) < 20


@pytest.mark.parametrize(("plane", "dims"), [("DH", (1, 2)), ("DW", (1, 3)), ("HW", (2, 3))])
def test_turns_are_quarters_in_their_plane(volumes, plane, dims):
    changed = Augment(**OFF | {"turn_planes": [plane]})(volumes)
    options = [[np.rot90(v, k, dims) for k in range(4)] for v in volumes.numpy()]
    assert set(matches(changed.numpy(), options)) == {0, 1, 2, 3}


def test_shifts_move_zeros_in(volumes):
    changed = Augment(**OFF | {"shift": 1})(volumes).numpy()

    def shifted(v):
        padded = np.pad(v, ((0, 0), (1, 1), (1, 1), (1, 1)))
        return [
            padded[:, i : i + 6, j : j + 6, k : k + 6]
            for i in range(3)
            for j in range(3)
            for k in range(3)
        ]

    assert len(set(matches(changed, [shifted(v) for v in volumes.numpy()]))) > 8


def test_intensities_are_scaled_by_one_factor_and_stay_in_range(volumes):
    changed = Augment(**OFF | {"intensity": 0.3})(volumes)
    factors = changed.amin(dim=(1, 2, 3, 4)) / volumes.amin(dim=(1, 2, 3, 4))
    assert 0.7 <= factors.min() < 0.85
    assert 1.15 < factors.max() <= 1.3
    expected = (volumes * factors[:, None, None, None, None]).clamp(max=1)
    torch.testing.assert_close(changed, expected)


def test_everything_together_keeps_shape_and_range_and_follows_the_seed(volumes):
    augment = Augment(flip_axes=["D", "H", "W"], turn_planes=["HW"], shift=2, intensity=0.5)
    torch.manual_seed(3)
    first = augment(volumes)
    torch.manual_seed(3)
    assert torch.equal(first, augment(volumes))
    assert not torch.equal(first, augment(volumes))
    assert first.shape == volumes.shape
    assert first.min() >= 0
    assert first.max() <= 1
