"""The signed distance to the surface of a shape, against scipy's transform and counting."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from lmttm.data.distance import is_mask, signed_distance


def test_distances_are_scipys_transform_in_edges_of_the_volume():
    masks = (torch.rand(3, 28, 28, 28) > 0.3).to(torch.uint8) * 255
    found = signed_distance(masks)
    assert found.dtype == torch.float32
    for mask, channel in zip(masks.numpy() > 0, found.numpy(), strict=True):
        expected = (distance_transform_edt(mask) - distance_transform_edt(~mask)) / 28
        np.testing.assert_allclose(channel, expected, rtol=1e-6)


def test_positive_inside_and_negative_outside():
    """A slab of four planes, counted by hand."""
    mask = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    mask[:, 2:6] = 255
    line = 8 * signed_distance(mask)[0, :, 3, 3]
    assert line.tolist() == [-2, -1, 1, 2, 2, 1, -1, -2]


def test_voxels_of_at_least_128_are_the_shape():
    """Guards against a threshold that lets the soft border of a resampled mask in, or cuts it."""
    soft = torch.tensor([0, 1, 127, 128, 200, 255], dtype=torch.uint8)
    volume = soft[:, None, None].expand(6, 6, 6)[None]
    assert (signed_distance(volume)[0, :, 0, 0] > 0).tolist() == [False] * 3 + [True] * 3


@pytest.mark.parametrize("value", [0, 255])
def test_without_a_surface_there_is_no_distance(value):
    volumes = torch.full((2, 5, 5, 5), value, dtype=torch.uint8)
    assert not signed_distance(volumes).any()
    assert signed_distance(volumes[:0]).shape == (0, 5, 5, 5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 255], True),
        ([0, 128], True),
        ([0, 128, 255], False),  # a third grey value: an image
        ([0, 1, 255], False),
        ([0, 1], False),  # below the threshold: the channel would be empty
        ([0, 127], False),
        ([200, 255], False),
        ([7], False),
    ],
)
def test_a_mask_has_nothing_and_one_grey_value_that_counts_as_the_shape(values, expected):
    volumes = torch.zeros(3, 4, 4, 4, dtype=torch.uint8) + values[0]
    for place, value in enumerate(values):
        volumes[place % 3, place, 0, 0] = value
    assert is_mask(volumes) == expected
    if expected:
        assert signed_distance(volumes).any()
