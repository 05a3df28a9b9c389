"""The whole configuration: what follows from its keys, and the checks across sections."""

import pytest

from lmttm.config.fields import Section
from lmttm.config.files import load_config
from lmttm.config.schema import Config


@pytest.mark.parametrize("section", ["model", "train", "augment", "volume"])
def test_a_section_lies_in_the_module_of_its_name(section):
    """Guards against a key that a newcomer looks for in the wrong file."""
    default = Config.model_fields[section].default
    assert type(default).__module__ == f"lmttm.config.{section}"
    assert isinstance(default, Section)


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
