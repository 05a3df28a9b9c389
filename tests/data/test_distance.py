"""The signed distance to the surface of a shape, against scipy's transform and counting."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter

from lmttm.data.distance import (
    distances_of,
    is_mask,
    kind_of,
    signed_distance,
    signed_squares,
    without_cube,
)


def test_distances_are_scipys_transform_in_edges_of_the_volume():
    masks = (torch.rand(3, 28, 28, 28) > 0.3).to(torch.uint8) * 255
    found = signed_distance(masks)
    assert found.dtype == torch.float32
    for mask, channel in zip(masks.numpy() > 0, found.numpy(), strict=True):
        expected = (distance_transform_edt(mask) - distance_transform_edt(~mask)) / 28
        np.testing.assert_allclose(channel, expected, rtol=1e-6)


def test_distances_in_a_flat_box_are_in_its_longest_edge():
    """One unit along all axes, whatever the edges, in both forms that compute distances."""
    masks = torch.zeros(1, 6, 20, 12, dtype=torch.uint8)
    masks[:, 1:5, 4:16, 2:10] = 255
    found = signed_distance(masks)
    mask = masks[0].numpy() > 0
    expected = (distance_transform_edt(mask) - distance_transform_edt(~mask)) / 20
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    inside = [torch.zeros(1, edge, dtype=torch.bool) for edge in (6, 20, 12)]
    for covered, stop in zip(inside, (4, 9, 5), strict=True):
        covered[:, :stop] = True
    left = without_cube(masks / 255, found, inside)
    mask[:4, :9, :5] = False
    shape = mask.nonzero()
    expected = distance_transform_edt(mask) / 20
    np.testing.assert_allclose(left[0].numpy()[shape], expected[shape], rtol=1e-6)


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


def cubes(count, edge, share, seed=0):
    """Cubes that cover a share of each axis, some of them cut off by the border."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(3, count, 1, generator=generator) * edge
    place = torch.arange(edge) + 0.5
    return [(place - centre).abs() < share * edge / 2 for centre in centres]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_a_shape_without_a_cube_has_its_own_distances(share):
    """Guards against a cube of distance 0, which says "surface" in every voxel of it."""
    rng = np.random.default_rng(0)
    smooth = [gaussian_filter(rng.random((16, 16, 16)), 3) for _ in range(20)]
    masks = torch.tensor(np.array([255 * (v > np.median(v)) for v in smooth]), dtype=torch.uint8)
    masks[18], masks[19] = 0, 255  # nothing, and nothing but shape
    inside = cubes(20, 16, share)
    depth, height, width = inside
    cube = depth[:, :, None, None] & height[:, None, :, None] & width[:, None, None, :]
    found = without_cube(masks / 255, signed_distance(masks), inside)
    expected = signed_distance(masks.masked_fill(cube, 0))
    within = expected > 0
    torch.testing.assert_close(found[within], expected[within])
    assert torch.equal(found.sign(), expected.sign())
    assert (found.abs() <= expected.abs() + 1e-6).all()
    error = (found - expected).abs() * 16  # in voxels
    assert error.mean() < 0.5
    assert not found[18].any()


def test_nothing_is_left_of_a_shape_within_the_cube():
    mask = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    mask[0, 3:5, 3:5, 3:5] = 255
    covered = torch.zeros(1, 8, dtype=torch.bool)
    covered[0, 2:6] = True
    assert not without_cube(mask / 255, signed_distance(mask), [covered] * 3).any()


@pytest.mark.parametrize(
    ("shape", "kind"), [((6, 20, 12), torch.int16), ((2, 2, 190), torch.int32)]
)
def test_squares_are_whole_and_exact(shape, kind):
    """Guards against a type that a large volume's squares do not fit in, and rounded distances."""
    masks = torch.zeros(70, *shape, dtype=torch.uint8)  # more than are looked at together
    masks[:, 0, 0, 0] = 255
    masks[69, 0, 1, 3] = 255
    squares = signed_squares(masks)
    assert squares.dtype == kind == kind_of(shape)
    place = torch.tensor([edge - 1 for edge in shape])
    assert squares[0, -1, -1, -1] == -(place**2).sum()
    assert squares[0, 0, 0, 0] == 1
    assert not torch.equal(squares[69], squares[0])
    assert torch.equal(distances_of(squares), signed_distance(masks))


def test_of_several_channels_each_mask_has_its_distances():
    volumes = (torch.rand(70, 3, 6, 7, 8) > 0.3).to(torch.uint8) * 255
    found = signed_squares(volumes, (0, 2))
    assert found.shape == (70, 2, 6, 7, 8)
    for place, channel in enumerate((0, 2)):
        assert torch.equal(found[:, place], signed_squares(volumes[:, channel].contiguous()))
    torch.testing.assert_close(distances_of(found)[:, 1], signed_distance(volumes[:, 2]))
