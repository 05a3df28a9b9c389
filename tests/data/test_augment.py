"""Augmentation, against numpy, volume by volume."""

import itertools

import numpy as np
import pytest
import scipy.ndimage
import scipy.spatial
import scipy.stats
import torch

from lmttm.config.files import load_config
from lmttm.data import augment
from lmttm.data.augment import Augment
from lmttm.data.dataset import prepare
from lmttm.data.distance import signed_distance


@pytest.fixture
def volumes():
    torch.manual_seed(1)
    return torch.rand(24, 1, 6, 6, 6)


def augmented(volumes, **settings):
    """The batch after a change; not mixed. A second channel is the distances of the first."""
    settings = {"distance_of": (0,) * (volumes.shape[1] == 2)} | settings
    result, mixing = Augment(**settings)(volumes)
    assert mixing is None
    return result


def matches(changed, candidates):
    """Index of the candidate that each changed volume equals."""
    found = []
    for volume, options in zip(changed, candidates, strict=True):
        equal = [i for i, option in enumerate(options) if np.array_equal(volume, option)]
        assert len(equal) == 1
        found += equal
    return found


def test_nothing_on_changes_nothing(volumes):
    assert torch.equal(augmented(volumes), volumes)


@pytest.mark.parametrize(("axis", "dim"), [("D", 1), ("H", 2), ("W", 3)])
def test_flips_mirror_their_axis_in_half_of_the_volumes(volumes, axis, dim):
    changed = augmented(volumes, flip_axes=[axis])
    found = matches(changed.numpy(), [(v, np.flip(v, dim)) for v in volumes.numpy()])
    assert 4 < sum(found) < 20


@pytest.mark.parametrize(("plane", "dims"), [("DH", (1, 2)), ("DW", (1, 3)), ("HW", (2, 3))])
def test_turns_are_quarters_in_their_plane(volumes, plane, dims):
    changed = augmented(volumes, turn_planes=[plane])
    options = [[np.rot90(v, k, dims) for k in range(4)] for v in volumes.numpy()]
    assert set(matches(changed.numpy(), options)) == {0, 1, 2, 3}


def test_shifts_repeat_the_border(volumes):
    changed = augmented(volumes, shift=1).numpy()

    def shifted(v):
        padded = np.pad(v, ((0, 0), (1, 1), (1, 1), (1, 1)), mode="edge")
        return [
            padded[:, i : i + 6, j : j + 6, k : k + 6]
            for i in range(3)
            for j in range(3)
            for k in range(3)
        ]

    assert len(set(matches(changed, [shifted(v) for v in volumes.numpy()]))) > 8


def test_flips_turns_and_shifts_follow_one_another(volumes):
    """All at once, which the machine does in one go, against one after the other."""
    changed = augmented(volumes[:6], flip_axes=["D", "W"], turn_planes=["DH", "HW"], shift=1)

    def moved(v):
        axes = {"D": 1, "H": 2, "W": 3}
        for sides in itertools.product([False, True], repeat=2):
            dims = [axes[axis] for axis, flips in zip("DW", sides, strict=True) if flips]
            for first, second in itertools.product(range(4), repeat=2):
                turned = np.rot90(np.rot90(np.flip(v, dims), first, (1, 2)), second, (2, 3))
                padded = np.pad(turned, ((0, 0), (1, 1), (1, 1), (1, 1)), mode="edge")
                for i, j, k in itertools.product(range(3), repeat=3):
                    yield padded[:, i : i + 6, j : j + 6, k : k + 6]

    for volume, origin in zip(changed.numpy(), volumes.numpy(), strict=False):
        assert any(np.array_equal(volume, option) for option in moved(origin))


def test_intensities_are_scaled_by_one_factor_and_stay_in_range(volumes):
    changed = augmented(volumes, intensity=0.3)
    factors = changed.amin(dim=(1, 2, 3, 4)) / volumes.amin(dim=(1, 2, 3, 4))
    assert 0.7 <= factors.min() < 0.85
    assert 1.15 < factors.max() <= 1.3
    expected = (volumes * factors[:, None, None, None, None]).clamp(max=1)
    torch.testing.assert_close(changed, expected)


def test_noise_is_drawn_for_each_voxel_and_stays_in_range(volumes):
    changed = augmented(volumes, noise=0.2)
    assert changed.min() >= 0
    assert changed.max() <= 1
    inner = (volumes > 0.4) & (volumes < 0.6)
    spreads = [(c - v)[i].std() for c, v, i in zip(changed, volumes, inner, strict=True)]
    assert max(spreads) < 0.3
    assert max(spreads) > 0.12 > 0.06 > min(spreads)


def test_a_cutout_blanks_one_cube(volumes):
    changed = augmented(volumes + 0.1, cutout=0.5)
    for volume in changed[:, 0].numpy() == 0:
        place = np.argwhere(volume)
        if len(place):
            low, high = place.min(axis=0), place.max(axis=0) + 1
            assert volume[tuple(map(slice, low, high))].all()
            assert volume.sum() == np.prod(high - low) <= 27


def test_mixing_joins_pairs_by_one_share(volumes):
    mixed, (partner, share) = Augment(mixup=1.0)(volumes)
    assert sorted(partner.tolist()) == list(range(24))
    assert 0 < share < 1
    torch.testing.assert_close(mixed, share * volumes + (1 - share) * volumes[partner])


def shapes():
    """Masks of boxes off the centre, and their prepared batch with the distance channel."""
    masks = torch.zeros(8, 28, 28, 28, dtype=torch.uint8)
    for index, mask in enumerate(masks):
        mask[8 : 20 - index, 9:17, 10 + index : 20] = 255
    config = load_config("base.json", ["distance=on"])
    return masks, prepare(masks, config)


@pytest.mark.parametrize(
    "move", [{"flip_axes": ["D", "H", "W"]}, {"turn_planes": ["DH", "DW", "HW"]}]
)
def test_the_distance_channel_moves_with_its_shape(move):
    """Flips and turns: the channel equals the transform of the moved mask."""
    _, batch = shapes()
    changed = augmented(batch, **move)
    assert not torch.equal(changed, batch)
    expected = signed_distance((255 * changed[:, 0]).to(torch.uint8))
    assert torch.equal(changed[:, 1], expected)


def test_an_enlarged_shape_has_enlarged_distances():
    """Resampled by interpolation, the channel still is nearly that of the resampled shape."""
    _, batch = shapes()
    changed = augmented(batch, scale=0.3, rotate=20)
    expected = signed_distance((changed[:, 0] > 0.5).to(torch.uint8) * 255)
    inside = expected > 0
    error = (changed[:, 1] - expected)[inside].abs()
    assert error.mean() < 1 / 28
    scaled_only = augmented(batch, scale=0.3)
    thickest = scaled_only[:, 1].amax(dim=(1, 2, 3)) / batch[:, 1].amax(dim=(1, 2, 3))
    assert thickest.min() < 0.95
    assert thickest.max() > 1.05


def test_a_shape_grows_by_the_factor_of_its_distances():
    """Guards against a grid that is multiplied where it must be divided: shapes shrank then.

    The edge of a centred cube and the largest distance in it both tell the factor.
    """
    masks = torch.zeros(64, 28, 28, 28, dtype=torch.uint8)
    masks[:, 9:19, 9:19, 9:19] = 255
    batch = prepare(masks, load_config("base.json", ["distance=on"]))
    batch[:, 0, 0, 0, 0] = 1e-3  # no mask, whose edges would be whole voxels
    changed = augmented(batch, scale=0.3)
    factors = (changed[:, 0].sum(dim=(1, 2, 3)) / batch[:, 0].sum(dim=(1, 2, 3))) ** (1 / 3)
    thickest = changed[:, 1].amax(dim=(1, 2, 3)) / batch[:, 1].amax(dim=(1, 2, 3))
    assert 0.69 < factors.min() < 0.76
    assert 1.24 < factors.max() < 1.31
    assert torch.corrcoef(torch.stack([factors, thickest]))[0, 1] > 0.9
    assert (thickest / factors - 1).abs().max() < 0.15


def test_each_axis_is_stretched_by_its_own_factor():
    """Guards against one factor for all axes, and against axes that are mixed up.

    The edges of a centred cube tell the factors of its volume.
    """
    masks = torch.zeros(64, 28, 28, 28, dtype=torch.uint8)
    masks[:, 9:19, 9:19, 9:19] = 255
    batch = prepare(masks, load_config("base.json", ["distance=on"]))
    batch[:, 0, 0, 0, 0] = 1e-3  # no mask, whose edges would be whole voxels
    changed = augmented(batch, stretch=0.3)
    lines = [changed[:, 0, :, 14, 14], changed[:, 0, 14, :, 14], changed[:, 0, 14, 14, :]]
    factors = torch.stack([line.sum(dim=1) / 10 for line in lines], dim=1)
    for factor in factors.T:
        assert 0.68 < factor.min() < 0.8
        assert 1.2 < factor.max() < 1.32
    assert (torch.corrcoef(factors.T) - torch.eye(3)).abs().max() < 0.35
    volume = changed[:, 0].sum(dim=(1, 2, 3)) / 1000
    torch.testing.assert_close(volume, factors.prod(dim=1), rtol=0.05, atol=0)
    thickest = changed[:, 1].amax(dim=(1, 2, 3)) / batch[:, 1].amax(dim=(1, 2, 3))
    assert (thickest / factors.prod(dim=1) ** (1 / 3) - 1).abs().max() < 0.2


@pytest.mark.parametrize("shape", [(20, 20, 20), (10, 24, 30)])
def test_a_bend_moves_voxels_smoothly_by_no_more_than_its_bound(shape):
    """Volumes that hold their own coordinates tell where each voxel came from."""
    torch.manual_seed(0)
    ramps = torch.meshgrid(*[(torch.arange(edge) + 0.5) / edge for edge in shape], indexing="ij")
    batch = torch.stack([torch.zeros(shape), *ramps]).expand(40, -1, -1, -1, -1)
    changed = augmented(batch, elastic=0.1, num_grey=4)
    edge = 0.15  # what moves in from outside repeats the border
    inner = [slice(int(edge * e), e - int(edge * e)) for e in shape]
    away = (changed - batch)[:, 1:, *inner]
    assert 0.06 < away.abs().max() <= 0.1001
    assert away.mean(dim=(0, 2, 3, 4)).abs().max() < 0.02
    for axis, number in enumerate(shape):
        # The points of the grid lie 1/3 of an edge apart.
        apart = away.diff(dim=axis + 2).abs().max()
        assert 0 < apart <= 1.01 * 2 * 0.1 / ((number - 1) / 3)
    assert not torch.equal(changed[0], changed[1])


def test_a_bend_moves_the_distances_with_the_shape():
    """The surface lies where the shape's does; further away the distances are nearly right."""
    _, batch = shapes()
    changed = augmented(batch, elastic=0.06)
    shape = changed[:, 0] > 0.5
    assert ((changed[:, 1] > 0) == shape).float().mean() > 0.999
    expected = signed_distance(shape.to(torch.uint8) * 255)
    error = (changed[:, 1] - expected).abs()
    assert error[expected.abs() < 3 / 28].mean() < 1 / 28
    assert error.mean() < 1.5 / 28


@pytest.mark.parametrize(
    "change", [{"rotate": 20}, {"scale": 0.2}, {"stretch": 0.2}, {"elastic": 0.06}]
)
def test_a_resampled_mask_is_a_mask(change):
    """Guards against training on blurred shapes where the test has sharp ones.

    Of a gland two voxels thick, interpolation leaves hardly a voxel white.
    """
    _, batch = shapes()
    batch[0] = torch.tensor([0.25, 0])[:, None, None, None]  # a volume without a surface
    low, high = 51 / 255, 204 / 255
    batch[1:, 0] = low + (high - low) * batch[1:, 0]
    changed = augmented(batch, **change)
    assert not torch.equal(changed[1:], batch[1:])
    torch.testing.assert_close(changed[0], batch[0])
    for mask, distances in changed[1:]:
        assert mask.unique().tolist() == batch[1, 0].unique().tolist()
        assert torch.equal(distances > 0, mask > 0.5)
        assert 28 * distances.abs().min() >= 0.9999
    expected = signed_distance((255 * changed[1:, 0]).to(torch.uint8))
    error = 28 * (changed[1:, 1] - expected).abs()
    assert error[28 * expected.abs() < 2.5].mean() < 0.25
    # The grey values do not need the channel.
    torch.manual_seed(2)
    alone = augmented(batch[:, :1], **change)
    torch.manual_seed(2)
    assert torch.equal(alone, augmented(batch, **change)[:, :1])


def test_resampled_grey_values_stay_between_their_neighbours(volumes):
    """Guards against images that become masks."""
    changed = augmented(volumes, rotate=20)
    assert len(changed[0].unique()) > 100


def turns_of(changed):
    """The rotation matrix of each volume, from where three blobs were moved to.

    Args:
        changed: `(b 4 D H W)`; channels 1 to 3 held a blob on the axis W, H and D.

    Returns:
        `(b 3 3)`; coordinates are W, H, D.
    """
    edge = changed.shape[-1]
    place = torch.arange(edge) - (edge - 1) / 2
    mass = changed[:, 1:].sum(dim=(2, 3, 4))
    along = [changed[:, 1:].sum(dim=dims) @ place / mass for dims in ((2, 3), (2, 4), (3, 4))]
    moved = torch.stack(along, dim=1)  # b (W H D) blob
    return (moved / moved.norm(dim=1, keepdim=True)).mT.double().numpy()


@pytest.mark.parametrize("degrees", [10, 40])
def test_turns_about_each_axis_stay_within_their_bound_and_use_it(degrees):
    """Guards against angles beyond the bound, in radians, or of one sign."""
    edge, away = 32, 7
    grids = torch.meshgrid(*[torch.arange(edge) - (edge - 1) / 2] * 3, indexing="ij")
    depth, height, width = grids
    blobs = [
        torch.exp(-((width - x) ** 2 + (height - y) ** 2 + (depth - z) ** 2) / 8)
        for x, y, z in ((0, 0, 0), (away, 0, 0), (0, away, 0), (0, 0, away))
    ]
    batch = torch.stack(blobs).expand(100, -1, -1, -1, -1)
    matrices = turns_of(augmented(batch, rotate=degrees, num_grey=4))
    angles = scipy.spatial.transform.Rotation.from_matrix(matrices).as_euler("ZYX", degrees=True)
    assert np.abs(angles).max() < 1.05 * degrees
    assert (angles.min(axis=0) < -0.8 * degrees).all()
    assert (angles.max(axis=0) > 0.8 * degrees).all()
    assert np.abs(np.corrcoef(angles.T) - np.eye(3)).max() < 0.35  # each is drawn by itself


@pytest.mark.parametrize("change", [{"intensity": 0.5}, {"noise": 0.3}])
def test_changes_of_intensity_leave_the_distances_alone(change):
    """Guards against a shape that becomes thicker because its picture becomes brighter."""
    _, batch = shapes()
    batch[:, 1] *= 5  # beyond 1, where grey values are cut off
    changed = augmented(batch, **change)
    assert not torch.equal(changed[:, 0], batch[:, 0])
    assert torch.equal(changed[:, 1], batch[:, 1])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_of_mixing_follow_the_beta_distribution(alpha):
    """Guards against an alpha that is ignored, inverted, or used for one parameter only."""
    pair, mix = torch.rand(2, 1, 1, 1, 1), Augment(mixup=alpha)
    shares = [mix(pair)[1][1].item() for _ in range(1500)]
    assert scipy.stats.kstest(shares, scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.001


def test_rotation_equals_scipys():
    """About one axis by a fixed angle, with linear interpolation."""
    torch.manual_seed(0)
    smooth = scipy.ndimage.gaussian_filter(np.random.default_rng(0).random((20, 20, 20)), 2)
    batch = torch.from_numpy(smooth)[None, None].float()
    matrix = augment._turn(torch.tensor([0.3]), 1, 2, (20, 20, 20))
    grid = torch.nn.functional.affine_grid(
        torch.cat([matrix, torch.zeros(1, 3, 1)], 2), [1, 1, 20, 20, 20], False
    )
    ours = torch.nn.functional.grid_sample(batch, grid, align_corners=False)[0, 0].numpy()
    degrees = np.degrees(0.3)
    options = [
        scipy.ndimage.rotate(smooth, sign * degrees, axes=(0, 1), reshape=False, order=1)
        for sign in (-1, 1)
    ]
    middle = (slice(5, 15),) * 3
    errors = [np.abs(ours - option)[middle].max() for option in options]
    assert min(errors) < 1e-4 < max(errors)


OF_SHAPES = {
    "flip_axes": ["D", "H", "W"],
    "turn_planes": ["HW"],
    "rotate": 20,
    "scale": 0.2,
    "stretch": 0.1,
    "elastic": 0.05,
    "shift": 2,
    "cutout": 0.3,
}


def test_everything_together_keeps_shape_and_range_and_follows_the_seed(volumes):
    change = Augment(**OF_SHAPES, intensity=0.5, noise=0.1, mixup=0.4)
    torch.manual_seed(3)
    first, _ = change(volumes)
    torch.manual_seed(3)
    assert torch.equal(first, change(volumes)[0])
    assert not torch.equal(first, change(volumes)[0])
    assert first.shape == volumes.shape
    assert first.min() >= 0
    assert first.max() <= 1


def test_a_cutout_leaves_a_distance_channel_that_means_what_it_says():
    """Guards against distances of 0 in the cube: "surface" wherever something was blanked."""
    _, batch = shapes()
    changed = augmented(batch, cutout=0.4)
    assert not torch.equal(changed[:, 0], batch[:, 0])
    expected = signed_distance((255 * changed[:, 0]).to(torch.uint8))
    within = expected > 0
    torch.testing.assert_close(changed[:, 1][within], expected[within])
    assert torch.equal(changed[:, 1].sign(), expected.sign())
    grey = augmented(batch[:, :1], cutout=0.4)
    assert grey.shape == (8, 1, 28, 28, 28)


def test_a_cutout_of_a_darkened_mask_leaves_its_distances(monkeypatch):
    """Guards against distances of 0 everywhere: no voxel of a mask in half its light is 128."""
    _, batch = shapes()
    torch.manual_seed(3)
    plain = augmented(batch, cutout=0.4)
    monkeypatch.setattr(Augment, "_toned", lambda self, grey: 0.4 * grey)
    torch.manual_seed(3)
    dark = augmented(batch, cutout=0.4, intensity=0.6)
    assert torch.equal(dark[:, 1], plain[:, 1])
    assert plain[:, 1].any()
    torch.testing.assert_close(dark[:, 0], 0.4 * plain[:, 0])


def test_a_turn_of_a_flat_box_is_a_turn_in_voxels():
    """Guards against a shear: on edges that differ, half an edge is no common unit."""
    angle, shape = 0.3, (12, 40, 26)
    smooth = scipy.ndimage.gaussian_filter(np.random.default_rng(0).random(shape), 2)
    batch = torch.from_numpy(smooth)[None, None].float()
    matrix = augment._turn(torch.tensor([angle]), 0, 1, shape[::-1])
    grid = torch.nn.functional.affine_grid(
        torch.cat([matrix, torch.zeros(1, 3, 1)], 2), [1, 1, *shape], False
    )
    ours = torch.nn.functional.grid_sample(batch, grid, align_corners=False)[0, 0].numpy()
    rotation = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)]])
    rotation = np.vstack([rotation, [0, -np.sin(angle), np.cos(angle)]])
    middle = (np.array(shape) - 1) / 2
    expected = scipy.ndimage.affine_transform(
        smooth, rotation, middle - rotation @ middle, order=1, mode="constant"
    )
    centre = (slice(None), slice(10, 30), slice(8, 18))
    np.testing.assert_allclose(ours[centre], expected[centre], atol=1e-5)


def test_everything_together_on_a_flat_box():
    """Guards against a change that takes one edge for all three."""
    masks = torch.zeros(6, 10, 24, 24, dtype=torch.uint8)
    masks[:, 3:7, 6:16, 5:20] = 255
    config = load_config("base.json", ["dataset_name=mine/", "size=[10,24,24]", "distance=on"])
    changed, _ = Augment(**OF_SHAPES, distance_of=(0,))(prepare(masks, config))
    assert changed.shape == (6, 2, 10, 24, 24)
    assert changed.isfinite().all()
    assert not torch.equal(changed[0], changed[1])


def several():
    """Two grey images and a mask between them, with its distances behind them."""
    masks, batch = shapes()
    torch.manual_seed(2)
    images = torch.rand(len(batch), 2, *batch.shape[2:])
    return torch.cat([images[:, :1], batch[:, :1], images[:, 1:], batch[:, 1:]], dim=1), masks


CHANNELS = {"num_grey": 3, "distance_of": (1,)}


def test_all_channels_move_together():
    """Guards against scans of a case that no longer lie over each other."""
    batch, _ = several()
    batch[:, 0] = batch[:, 2]
    moves = {"flip_axes": ["D"], "turn_planes": ["HW"], "shift": 2, "rotate": 9, "scale": 0.1}
    changed = augmented(batch, **moves, **CHANNELS)
    assert torch.equal(changed[:, 0], changed[:, 2])
    assert not torch.equal(changed, batch)


def test_each_scan_of_a_case_has_an_intensity_of_its_own():
    batch, _ = several()
    changed = augmented(batch, intensity=0.3, **CHANNELS)
    factors = changed[:, :3].amax(dim=(2, 3, 4)) / batch[:, :3].amax(dim=(2, 3, 4))
    lower = changed[:, :3].mean(dim=(2, 3, 4)) / batch[:, :3].mean(dim=(2, 3, 4))
    assert (lower[:, 0] - lower[:, 2]).abs().max() > 0.1
    assert factors.max() <= 1.3
    assert torch.equal(changed[:, 3], batch[:, 3])


def test_a_cutout_of_several_channels_blanks_them_all():
    batch, _ = several()
    changed = augmented(batch, cutout=0.4, **CHANNELS)
    blank = changed[:, 0] == 0
    assert blank.any(dim=(1, 2, 3)).all()
    assert (changed[:, :3].amax(dim=1)[blank] == 0).all()
    expected = signed_distance((255 * changed[:, 1]).to(torch.uint8))
    torch.testing.assert_close(changed[:, 3][expected > 0], expected[expected > 0])


def test_two_masks_have_a_distance_each():
    _, one = shapes()
    both = torch.cat([one[:, :1], one[:, :1].flip(2), one[:, 1:], one[:, 1:].flip(2)], dim=1)
    changed = augmented(both, cutout=0.4, num_grey=2, distance_of=(0, 1))
    for number in range(2):
        expected = signed_distance((255 * changed[:, number]).to(torch.uint8))
        within = expected > 0
        torch.testing.assert_close(changed[:, 2 + number][within], expected[within])
