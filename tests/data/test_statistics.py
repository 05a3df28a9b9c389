"""Statistics of a training split, against numpy volume by volume."""

import numpy as np
import pytest
import torch

from lmttm.data.statistics import Statistics, statistics_of, unlike_training


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


def test_the_extent_is_the_longest_edge_of_the_foreground():
    """Guards against an uncropped mask that is taken for a cropped one."""
    volumes = np.zeros((200, 10, 20, 20), np.uint8)
    volumes[:, 2:7, 3, 4:12] = 1  # 0.5 of D, 0.05 of H, 0.4 of W
    volumes[0] = 0
    volumes[0, 5, 5, 5] = 1  # one of 200 is tiny
    volumes[1, 0] = volumes[1, -1] = 1
    found = Statistics.of(torch.from_numpy(volumes))
    assert found.extent == pytest.approx((0.5, 1.0))
    for edge, expected in ((8, 1), (9, 0), (19, 0)):
        cube = np.zeros((10, 20, 20), np.uint8)
        cube[1, 1 : 1 + edge, 1 : 1 + max(1, 40 // edge)] = 1
        assert len(found.warnings(cube)) == expected, edge
    assert "longest edge of the box" in found.warnings(np.zeros((10, 20, 20), np.uint8))[-1]


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
    found = Statistics(brightness=(1.0, 2.0), foreground=(0.1, 0.2), extent=(0.3, 1.0))
    assert Statistics.from_dict(vars(found)) == found
    assert Statistics.from_dict({"brightness": (1, 2), "foreground": (0, 1)}).extent is None


def test_each_channel_has_statistics_of_its_own():
    """Guards against the mean of a CT and a mask, which is like that of many other pairs."""
    volumes = training_volumes()
    both = np.stack([volumes, 255 - volumes], axis=1)
    stored = statistics_of(torch.from_numpy(both))
    assert stored["channels"] == [
        statistics_of(torch.from_numpy(volumes)),
        statistics_of(torch.from_numpy(255 - volumes)),
    ]
    assert unlike_training(stored, both[0]) == []
    first, *_ = unlike_training(stored, both[0, ::-1])
    assert first.startswith("path: its mean intensity is ")
    assert any(text.startswith("path_2: ") for text in unlike_training(stored, both[0, ::-1]))
    assert unlike_training({}, both[0]) == []
    assert unlike_training({}, volumes[0]) == []
