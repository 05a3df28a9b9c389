"""The schema: what it says of a configuration, and the reference that it writes."""

import pytest

from lmttm.config.files import CONFIG_DIR, load_config
from lmttm.config.schema import Config, differences, flatten, is_own, reference


def test_the_documentation_lists_every_key():
    text = (CONFIG_DIR.parent / "docs" / "configuration.md").read_text()
    assert text.endswith(reference()), "write reference() to the end of docs/configuration.md"


def test_every_key_says_what_it_means():
    """Guards against a key without a description in the reference."""
    keys = list(flatten(Config().model_dump()))
    rows = {row.split("`")[1]: row for row in reference().splitlines()[2:]}
    assert list(rows) == keys
    assert [key for key, row in rows.items() if row.endswith("| None |")] == []


def test_a_nested_document_is_flattened_to_dotted_keys():
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": {}}) == {"a.b": 1, "a.c.d": [2], "e": {}}


def test_differences_name_the_key_and_both_values():
    changed = load_config("base.json", ["model.dim=64", "seed=1"])
    plain = load_config("base.json", ["seed=0"])
    assert differences(plain, changed) == {"seed": (0, 1), "model.dim": (448, 64)}
    assert differences(plain, plain) == {}


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
    ("name", "own"),
    [("a.npz", True), ("my/set", True), ("c:\\set", True), ("VesselMNIST3D", False)],
)
def test_a_path_is_told_from_a_name(name, own):
    assert is_own(name) == own


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
