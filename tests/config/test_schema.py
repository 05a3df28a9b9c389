"""The schema: what it says of a configuration."""

import pytest

from lmttm.config.files import load_config
from lmttm.config.schema import Config


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


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ([], ""),
        (["test_flips=true"], "mirrored"),
        (["test_turns=true"], "turned"),
        (["test_flips=true", "test_turns=true"], "mirrored and turned"),
    ],
)
def test_what_predictions_are_averaged_over_is_said(overrides, text):
    assert load_config("base.json", overrides).averaged_views == text


@pytest.mark.parametrize(
    ("folds", "fold", "valid"),
    [(0, 0, True), (2, 1, True), (5, 4, True), (1, 0, False), (3, 3, False), (0, 1, False)],
)
def test_a_fold_is_one_of_the_folds(folds, fold, valid):
    document = {"folds": folds, "fold": fold}
    if valid:
        assert Config.model_validate(document).fold == fold
    else:
        with pytest.raises(ValueError, match=f"got folds={folds}, fold={fold}"):
            Config.model_validate(document)


def test_a_run_lies_in_a_folder_of_its_name():
    config = load_config("base.json", ["output_dir=some/where", "train.name=mine"])
    assert config.run_dir.as_posix() == "some/where/mine"


def test_the_channels_of_the_input_are_grey_and_behind_them_distances():
    def config(*overrides):
        return load_config("base.json", ["dataset_name=mine/", *overrides])

    assert config("distance=on").distance_of == (0,)
    assert config("distance=off", "model.in_channels=2").distance_of == ()
    masks = config("distance=on", "model.in_channels=3", "volume.intensity=masks,hu,masks")
    assert (masks.distance_of, masks.num_channels) == ((0, 2), 5)
    assert (masks.grey_shape, config().grey_shape) == ((3, 28, 28, 28), (28, 28, 28))
