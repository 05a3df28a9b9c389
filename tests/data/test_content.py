"""What the numbers of a scan are, by content alone."""

from dataclasses import replace

import numpy as np
import pytest

from lmttm.config.volume import VolumeConfig
from lmttm.data.content import content_of, decide, levels_of, without_padding
from lmttm.errors import InputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 13, 14))
HU = np.clip(RNG.normal(0, 400, (12, 13, 14)), -1000, 2000).round()
OUTSIDE = np.hypot(*(np.indices(HU.shape)[1:] - 6.5)) > 6  # beyond a round field of view


@pytest.mark.parametrize("padding", [-2000, -3024, -32768, np.nan, -np.inf, 32767])
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_padding_is_no_value(padding, kind):
    """Guards against a CT that loses contrast to the -2000 around its round field."""
    if not np.isfinite(padding) and kind is np.int16:
        pytest.skip("whole numbers are finite")
    content = content_of(np.where(OUTSIDE, padding, HU).astype(kind), "scan")
    assert (content.low, content.high) == (HU[~OUTSIDE].min(), HU[~OUTSIDE].max())
    values = without_padding(np.where(OUTSIDE, padding, HU).astype(kind), content)
    assert (values[OUTSIDE] == content.low).all()
    assert np.array_equal(values[~OUTSIDE], HU[~OUTSIDE])


PADDED = {
    "two constants": lambda v: np.where(
        OUTSIDE, np.where(np.indices(v.shape)[0] < 6, -3024, -2000), v
    ),
    "one voxel below it": lambda v: np.where(np.indices(v.shape).sum(0) == 0, -3024, _ring(v)),
    "some slices only": lambda v: np.where(np.indices(v.shape)[0] > 10, -2000, v),
    "and voxels that are not finite": lambda v: np.where(v > 500, np.nan, _ring(v)),
}


def _ring(voxels):
    return np.where(OUTSIDE, -2000, voxels)


@pytest.mark.parametrize("kind", PADDED)
def test_padding_of_any_form_is_no_value(kind):
    """Guards against a CT that is no CT any more where its padding has a second value."""
    content = content_of(PADDED[kind](HU), "scan")
    assert content.low == -1000
    assert content.is_hounsfield
    assert content.holes


def test_values_are_no_padding():
    """A dark background, a bright one, metal and a single outlier stay."""
    brain = np.where(OUTSIDE, 0, 400 + GREY)
    bright = np.where(OUTSIDE, 255, GREY // 2)
    metal = HU.copy()
    metal[5:7, 5:7, 5:7] = 4095
    spike = np.pad(HU, 5)
    spike[8, 8, 8] = -9000
    clipped = np.where(OUTSIDE, -3024, np.where(HU < -500, -1000, HU.clip(-300)))
    assert content_of(clipped, "scan").padding == (-3024,)
    for voxels in (brain, bright, metal, spike):
        assert content_of(voxels, "scan").padding == ()


@pytest.mark.parametrize(
    "mask",
    [
        OUTSIDE.astype(np.uint8),
        OUTSIDE.astype(np.uint8) * 255,
        OUTSIDE.astype(np.float32),
        np.where(OUTSIDE, 2.0, 1.0),
        np.where(OUTSIDE, -1, 1).astype(np.int16),
        np.zeros(OUTSIDE.shape, np.uint8),
        np.ones(OUTSIDE.shape, np.uint8),
    ],
)
def test_a_mask_has_two_values(mask):
    assert content_of(mask, "scan").two_valued


def test_a_third_value_anywhere_makes_it_none():
    mask = np.zeros((150, 150, 150), np.uint8)
    mask[40:50] = 1
    assert content_of(mask, "scan").two_valued
    mask[149, 1, 1] = 2  # not on the grid by which large scans are judged
    assert not content_of(mask, "scan").two_valued


def test_nothing_finite_is_refused():
    with pytest.raises(InputError, match="scan holds no finite voxel"):
        content_of(np.full((3, 3, 3), np.nan), "scan")


@pytest.mark.parametrize("largest", [1e39, 1e300, 3e38])
def test_values_beyond_single_precision_are_refused(largest):
    """Guards against a scan that becomes NaN on its way, with a warning of NumPy's alone."""
    for voxels in (np.where(OUTSIDE, largest, HU), np.where(OUTSIDE, largest, 0.0)):
        broken = voxels.copy()
        broken[0, 0, 0] = largest / 2  # so that it is no padding
        with pytest.raises(
            InputError, match=r"scan holds values from .*, which are no intensities"
        ):
            content_of(broken, "scan")


def judged(*voxels):
    contents = [content_of(v, "scan") for v in voxels]
    pairs = zip(contents, voxels, strict=True)
    return decide([replace(content, levels=levels_of(v, content)) for content, v in pairs])


def test_a_training_split_is_settled_by_its_content():
    mask = OUTSIDE.astype(np.uint8)
    assert judged(mask, 255 * mask, mask.astype(float)) == ("masks", (0, 1))
    assert judged(GREY.astype(np.uint8), GREY / 255, GREY.astype(float)) == ("bytes", (0, 255))
    assert judged(mask, GREY) == ("bytes", (0, 255))
    assert judged(HU, HU.astype(np.float32), HU.clip(-900)) == ("hu", (-160, 240))
    kind, window = judged(GREY * 4, GREY * 4 + 100)
    assert kind == "percentiles"
    both = np.concatenate([GREY.ravel() * 4, GREY.ravel() * 4 + 100])
    np.testing.assert_allclose(window, np.percentile(both, (0.5, 99.5)), atol=5)


@pytest.mark.parametrize("scale", [1 + 1e-6, 1 / 255, (1 + 1e-6) / 255, 255 * 0.0039215686])
def test_a_slope_in_single_precision_leaves_bytes_what_they_are(scale):
    """Guards against bytes that are stretched because the largest is 255.00001 or 1.0000001."""
    for shift in (0, -1e-7 * scale):
        assert judged(GREY * scale + shift, GREY * scale) == ("bytes", (0, 255))
    assert (
        content_of(GREY * scale * 1.01, "scan").byte_window
        != content_of(GREY * scale, "").byte_window
    )


def test_a_lesion_in_nothing_gets_a_window():
    """Guards against a window without a width, which no checkpoint can be opened with."""
    for kind, labels in ((np.uint8, (40, 90)), (np.float32, (9e3, 3e4)), (np.int16, (300, 301))):
        voxels = np.zeros((40, 40, 40), kind)
        voxels[19:21, 19:21, 19], voxels[19:21, 19:21, 20] = labels
        assert judged(voxels, voxels) == ("percentiles", (0, labels[1]))
        VolumeConfig(intensity="percentiles", window=list(judged(voxels)[1]))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_a_rare_label_stays_a_label_of_its_own(kind):
    """Guards against a label map whose smallest lesion is clipped to the organ around it."""
    voxels = np.zeros((40, 40, 40), kind)
    voxels[5:30], voxels[10:20, 10:20, 10:20], voxels[15, 15, 15] = 1, 2, 3
    organ = np.minimum(voxels, 2)
    assert judged(voxels, organ, (organ > 0).astype(kind)) == ("window", (0, 3))
    VolumeConfig(intensity="window", window=[0.0, 3.0])
    assert judged(voxels + kind(200), voxels)[0] == "bytes"
    assert judged(voxels * 40.0, voxels)[0] == "percentiles"
    assert judged(voxels + 0.5, voxels)[0] == "percentiles"


def test_noise_below_air_leaves_a_ct_what_it_is():
    """Guards against a CT that is no CT for a voxel of -1101 HU."""
    body = np.where(OUTSIDE, RNG.normal(-1000, 80, HU.shape), RNG.normal(40, 80, HU.shape))
    spike = np.where(OUTSIDE, -1000.0, 100.0)
    spike[3, 6, 6], spike[3, 6, 7] = -1500, 40  # a spline overshoots
    rim = np.where(OUTSIDE, -2000.0, RNG.normal(-800, 300, HU.shape).clip(-1000, 900))
    rim[:, 0] = np.linspace(-1990, -1110, rim[:, 0].size).reshape(rim[:, 0].shape)
    for voxels in (body, spike, rim):
        assert judged(voxels) == ("hu", (-160, 240))


def test_a_phase_image_is_no_ct():
    """Values below those of air are no Hounsfield units."""
    for deviation in (300, 1000, 3000):
        assert judged(RNG.normal(0, deviation, (40, 40, 40)))[0] == "percentiles"
    assert judged(RNG.integers(-4096, 4096, (9, 9, 9)))[0] == "percentiles"
    assert judged(RNG.normal(0, 1, (9, 9, 9)))[0] == "percentiles"
