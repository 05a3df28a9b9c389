"""The symmetric views of a volume, against flips and turns by numpy."""

import itertools

import numpy as np
import pytest
import torch

from lmttm.data.augment import Augment
from lmttm.data.views import View, symmetric_views


def reached(volume, flip_axes, turn_planes, *, moves=6):
    """The bytes of all that some flips and quarter turns make of a volume `(D H W)`."""
    found = {volume.tobytes(): volume}
    for _ in range(moves):
        for one in list(found.values()):
            changed = [np.flip(one, "DHW".index(axis)) for axis in flip_axes]
            changed += [
                np.rot90(one, axes=("DHW".index(plane[0]), "DHW".index(plane[1])))
                for plane in turn_planes
            ]
            found |= {np.ascontiguousarray(view).tobytes(): view for view in changed}
    return set(found)


def views_of(volume, flip_axes, turn_planes):
    batch = torch.from_numpy(volume)[None, None]
    views = symmetric_views(flip_axes, turn_planes)
    return [view.of(batch)[0, 0].numpy().tobytes() for view in views]


@pytest.mark.parametrize(
    ("flip_axes", "turn_planes", "number"),
    [
        ("", [], 1),
        ("DHW", [], 8),
        ("", ["HW"], 4),
        ("W", ["HW"], 8),
        ("DHW", ["HW"], 16),
        ("", ["DH", "DW", "HW"], 24),
        ("", ["DH", "HW"], 24),
        ("DHW", ["DH", "DW", "HW"], 48),
    ],
)
def test_views_are_what_flips_and_turns_lead_to_each_once(flip_axes, turn_planes, number):
    """Guards against a view that counts twice, or that a label does not allow."""
    volume = np.arange(27).reshape(3, 3, 3)
    found = views_of(volume, flip_axes, turn_planes)
    assert len(found) == number
    assert found[0] == volume.tobytes()
    assert set(found) == reached(volume, flip_axes, turn_planes)
    assert len(set(found)) == number


def test_views_of_flips_are_all_sets_of_axes():
    """Their order is that in which published scores were averaged, to the last bit."""
    assert symmetric_views() == [View()]
    sets = [s for n in range(4) for s in itertools.combinations((0, 1, 2), n)]
    assert symmetric_views("WDH") == [View(reversed=axes) for axes in sets]


def test_turns_in_all_planes_page_through_each_axis():
    """The three walks: each axis of a volume becomes D in a third of the views."""
    firsts = [view.order[0] for view in symmetric_views("DHW", ["DH", "HW"])]
    assert [firsts.count(axis) for axis in range(3)] == [16, 16, 16]


def test_augmentation_draws_the_views_that_a_test_averages():
    """Guards against a test in which a machine sees what it never saw in training."""
    torch.manual_seed(0)
    volume = torch.rand(1, 1, 4, 4, 4)
    changed, _ = Augment(flip_axes=["H"], turn_planes=["DW"])(volume.expand(200, -1, -1, -1, -1))
    drawn = {one.contiguous().numpy().tobytes() for one in changed}
    assert drawn == set(views_of(volume[0, 0].numpy(), "H", ["DW"]))


def test_a_turn_leaves_the_shape_where_its_two_edges_are_equal():
    volume = torch.rand(2, 1, 5, 7, 7)
    shapes = {tuple(view.of(volume).shape) for view in symmetric_views("DHW", ["HW"])}
    assert shapes == {(2, 1, 5, 7, 7)}
