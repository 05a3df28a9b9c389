"""What the numbers of a scan are, by content alone."""

from dataclasses import replace

import numpy as np
import pytest

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


def test_values_are_no_padding():
    """A dark background, a bright one, metal and a single outlier stay."""
    brain = np.where(OUTSIDE, 0, 400 + GREY)
    bright = np.where(OUTSIDE, 255, GREY // 2)
    metal = HU.copy()
    metal[5:7, 5:7, 5:7] = 4095
    spike = np.pad(HU, 5)
    spike[8, 8, 8] = -9000
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


def test_a_phase_image_is_no_ct():
    """Values below those of air are no Hounsfield units."""
    assert judged(RNG.integers(-4096, 4096, (9, 9, 9)))[0] == "percentiles"
    assert judged(RNG.normal(0, 1, (9, 9, 9)))[0] == "percentiles"
