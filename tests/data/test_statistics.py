"""Statistics of a training split, against numpy volume by volume."""

import numpy as np
import pytest
import torch

from lmttm.data.statistics import Statistics


def training_volumes():
    return np.random.default_rng(0).integers(0, 99, (5, 4, 4, 4), dtype=np.uint8)


def test_ranges_are_those_of_the_volumes():
    volumes = training_volumes()
    found = Statistics.of(torch.from_numpy(volumes))
    means = [volume.mean() for volume in volumes]
    shares = [np.mean(volume > 0) for volume in volumes]
    assert found.brightness == pytest.approx((min(means), max(means)))
    assert found.foreground == pytest.approx((min(shares), max(shares)))


def test_a_volume_is_unlike_the_others_beyond_a_quarter_of_their_range():
    found = Statistics(brightness=(40.0, 80.0), foreground=(0.5, 0.9))

    def cube(value, share=0.75):
        volume = np.zeros(1000)
        volume[: int(1000 * share)] = value / share
        return volume.reshape(10, 10, 10)

    for value, expected in ((29, 1), (31, 0), (60, 0), (89, 0), (91, 1)):
        assert len(found.warnings(cube(value))) == expected, value
    for share, expected in ((0.38, 1), (0.42, 0), (0.98, 0)):
        assert len(found.warnings(cube(60, share))) == expected, share
    (warning,) = found.warnings(cube(120))
    assert warning == "its mean intensity is 120; in training it was 40 to 80"
    assert len(found.warnings(np.zeros((4, 4, 4)))) == 2


def test_a_volume_of_the_training_split_is_like_it():
    volumes = training_volumes()
    found = Statistics.of(torch.from_numpy(volumes))
    assert [found.warnings(volume) for volume in volumes] == [[]] * 5


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"brightness": (1, 2)},
        {"brightness": (1, 2), "foreground": None},
        {"brightness": (1, 2), "foreground": (0.1,)},
        {"brightness": ("a", "b"), "foreground": (0, 1)},
    ],
)
def test_what_a_checkpoint_holds_may_be_anything(content):
    assert Statistics.from_dict(content) is None


def test_from_a_checkpoint_and_back():
    found = Statistics(brightness=(1.0, 2.0), foreground=(0.1, 0.2))
    assert Statistics.from_dict(vars(found)) == found
