"""What fields take: names in any case, paths, published spellings."""

import pytest

from lmttm.config.fields import is_own
from lmttm.config.files import load_config
from lmttm.config.keys import flatten
from lmttm.errors import InputError


@pytest.mark.parametrize(
    ("name", "own"),
    [("a.npz", True), ("my/set", True), ("c:\\set", True), ("VesselMNIST3D", False)],
)
def test_a_path_is_told_from_a_name(name, own):
    assert is_own(name) == own


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("dataset_name=vesselmnist3d", "dataset_name", "VesselMNIST3D"),
        ("model.model=TTM", "model.model", "ttm"),
        ("train.optimizer=adamw", "train.optimizer", "AdamW"),
        ("model.load_memory_add_noise_mode=exp", "model.load_memory_add_noise_mode", "exponential"),
        ("train.warmup_steps=0.25", "train.warmup_steps", 0.25),
        ("train.warmup_steps=20.0", "train.warmup_steps", 20),
    ],
)
def test_values_are_taken_as_people_write_them(override, key, value):
    assert flatten(load_config("base.json", [override]).model_dump())[key] == value


def test_a_path_is_expanded_and_its_fault_names_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("SCANS", "/scans")
    monkeypatch.setenv("HOME", str(tmp_path))
    config = load_config("base.json", ["root=$SCANS/a", "output_dir=~/runs"])
    assert (config.root, config.output_dir) == ("/scans/a", str(tmp_path / "runs"))
    with pytest.raises(InputError, match="root "):
        load_config("base.json", ["root=" + 5000 * "a"])


@pytest.mark.parametrize("value", ["1.5", "-1", "true", "2e9", "many", "null", "[1]"])
def test_a_warm_up_is_steps_or_a_share(value):
    with pytest.raises(InputError, match="whole number of steps, or a share of all steps below 1"):
        load_config("base.json", [f"train.warmup_steps={value}"])


def test_a_data_set_that_nobody_knows_gets_the_closest_name():
    with pytest.raises(InputError, match=r"did you mean VesselMNIST3D\?"):
        load_config("base.json", ["dataset_name=VeselMNIST3D"])
