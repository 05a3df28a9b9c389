"""The section `model`: what follows from its keys, and which of them must fit each other."""

import pytest

from lmttm.config.files import load_config
from lmttm.errors import InputError


def test_ttm_has_one_unit_whatever_num_blocks_says():
    assert load_config("base.json", ["model.num_blocks=7"]).model.num_units == 7
    assert load_config("base.json", ["model.num_blocks=7", "model.model=ttm"]).model.num_units == 1


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "normal"),
        (["model.load_memory_add_noise_mode=gamma"], "gamma"),
        (["model.load_memory_add_noise=false"], "none"),
        (["model.load_memory_add_noise_mode=none"], "none"),
    ],
)
def test_noise_is_off_when_either_key_says_so(overrides, expected):
    assert load_config("base.json", overrides).model.noise == expected


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], ("lmttm", "4 x 112", "dim 448")),
        (["model.model=ttm"], ("ttm", "1 x 448", "dim 448")),
        (["model.memory_mode=none"], ("lmttm", "without memory")),
        (["model.model=resnet3d"], ("resnet3d", "r3d_18")),
    ],
)
def test_a_model_is_named_at_a_glance(overrides, words):
    text = load_config("base.json", overrides).model.in_words
    assert all(word in text for word in words)


def test_a_patch_is_three_edges_and_its_stride_is_the_patch_unless_given():
    model = load_config("base.json", ["model.patch_size=[3,7,7]"]).model
    assert (model.patch, model.stride) == ((3, 7, 7), (3, 7, 7))
    model = load_config("base.json", ["model.patch_size=7", "model.patch_stride=[0,3,7]"]).model
    assert (model.patch, model.stride) == ((7, 7, 7), (7, 3, 7))


def test_all_keys_that_do_not_fit_each_other_are_named_at_once():
    """Guards against a message for each attempt."""
    overrides = ["model.dim=100", "model.memory_tokens_size=10", "model.patch_stride=4"]
    with pytest.raises(InputError) as caught:
        load_config("base.json", overrides)
    for values in ("dim=100, num_heads=8", "memory_tokens_size=10, num_blocks=4", "stride=4"):
        assert values in str(caught.value)


@pytest.mark.parametrize("override", ["model.model=ttm", "model.memory_mode=none"])
def test_units_need_not_share_the_tokens_where_there_is_one_unit_or_no_memory(override):
    overrides = ["model.memory_tokens_size=10", override]
    assert load_config("base.json", overrides).model.memory_tokens_size == 10
