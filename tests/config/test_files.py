"""The schema: what it takes, what it refuses, and how it says so."""

import json
import logging

import pytest

from lmttm.config.files import CONFIG_DIR, load_config, overridden_keys, to_json
from lmttm.config.kinds import DATASETS, PHANTOM
from lmttm.config.schema import Config, differences
from lmttm.errors import InputError

PUBLISHED = {
    "_comment": "anything",
    "all_dataset_name": ["organmnist3d", "adrenalmnist3d"],
    "batch_size": 32,
    "dataset_name": "adrenalmnist3d",
    "root": "./datasets_data/medmnist",
    "log_dir": "./logs",
    "checkpoint_dir": "./checkpoints",
    "model": {
        "model": "lmttm",
        "drop_r": 0.2,
        "preprocess_mode": "3d",
        "process_unit": "transformer",
        "memory_mode": "TL",
        "in_channels": 1,
        "dim": 448,
        "memory_tokens_size": 448,
        "num_blocks": 4,
        "summerize_num_tokens": 8,
        "step": 28,
        "out_class_num": 2,
        "patch_size": 3,
        "Read_use_positional_embedding": True,
        "Write_use_positional_embedding": True,
        "load_memory_add_noise": True,
        "_load_memory_add_noise_mode": "a comment",
        "load_memory_add_noise_mode": "normal",
    },
    "train": {
        "gpu": "0",
        "name": "Train",
        "epoch": 20,
        "optimizer": "Adam",
        "lr": 1e-4,
        "weight_decay": 1e-4,
        "load_memory_tokens": True,
        "input_H": 28,
        "input_W": 28,
        "val_gap": 100,
    },
}


@pytest.fixture
def write(tmp_path):
    """Writes a document (or a text) as a JSON file; gives its path."""

    def write(document):
        path = tmp_path / "some.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


def fault(path, *overrides):
    with pytest.raises(InputError) as caught:
        load_config(path, overrides)
    return str(caught.value)


def test_base_json_spells_out_every_default():
    assert json.loads((CONFIG_DIR / "base.json").read_text()) == Config().model_dump()


@pytest.mark.parametrize("path", sorted(CONFIG_DIR.glob("*.json")), ids=lambda p: p.name)
def test_every_shipped_configuration_loads_and_states_only_differences(path):
    load_config(path.name)
    if path.name == "base.json":
        return

    def leaves(document, defaults):
        for key, value in document.items():
            if isinstance(value, dict):
                yield from leaves(value, defaults[key])
            elif not key.startswith("_"):
                yield key, value != defaults[key] or key == "dataset_name"

    stated = list(leaves(json.loads(path.read_text()), Config().model_dump()))
    assert [key for key, differs in stated if not differs] == []


def test_there_is_one_configuration_for_each_data_set():
    for name in [name for name in DATASETS if name != PHANTOM]:
        assert load_config(f"{name.lower()}.json").dataset_name == name


def test_the_published_file_loads_unchanged_and_means_the_same(write, caplog):
    with caplog.at_level(logging.WARNING):
        config = load_config(write(PUBLISHED))
    assert differences(Config(), config) == {"device": ("auto", "cuda:0")}
    for key in ("log_dir", "checkpoint_dir", "step", "input_H", "input_W", "val_gap"):
        assert sum(key in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("section", "key", "value", "name", "meant"),
    [
        ("train", "gpu", "1", "device", "cuda:1"),
        ("train", "load_memory_tokens", False, "model.memory_start", "zeros"),
        ("model", "load_memory_add_noise_mode", "None", None, "none"),
        ("model", "load_memory_add_noise_mode", "exp", None, "exponential"),
        ("model", "model", "ttm", None, "ttm"),
        ("train", "optimizer", "RMSprop", None, "RMSprop"),
    ],
)
def test_other_published_values(write, section, key, value, name, meant):
    document = PUBLISHED | {section: PUBLISHED[section] | {key: value}}
    flat = load_config(write(document)).model_dump()
    for part in (name or f"{section}.{key}").split("."):
        flat = flat[part]
    assert flat == meant


def test_an_override_beats_the_file_in_either_spelling(write):
    path = write(PUBLISHED)
    overrides = ["model.summarize_num_tokens=4", "device=cpu", "model.memory_start=learned"]
    config = load_config(path, overrides)
    assert config.model.summarize_num_tokens == 4
    assert config.device == "cpu"
    assert config.model.memory_start == "learned"
    assert load_config("base.json", ["model.summerize_num_tokens=5"]) == load_config(
        "base.json", ["model.summarize_num_tokens=5"]
    )
    assert overridden_keys(["train.gpu=1", "model.dim=8"]) == ["device", "model.dim"]


def test_one_key_in_two_spellings_is_a_fault(write):
    path = write({"model": {"summerize_num_tokens": 8, "summarize_num_tokens": 4}})
    assert "model.summarize_num_tokens is given twice" in fault(path)


@pytest.mark.parametrize("name", ["vesselmnist3d", "VESSELMNIST3D", "VesselMNIST3D"])
def test_data_sets_are_taken_in_any_case(name):
    assert load_config("base.json", [f"dataset_name={name}"]).dataset_name == "VesselMNIST3D"


def test_override_values_are_json_or_text():
    config = load_config(
        "base.json", ["train.name=007", "augment.flip_axes=H,W", 'augment.turn_planes=["HW"]']
    )
    assert config.train.name == "007"
    assert config.augment.flip_axes == ["H", "W"]
    assert config.augment.turn_planes == ["HW"]


def test_round_trip(write):
    config = load_config("base.json", ["model.dim=64", "augment.shift=2", "train.lr=3e-4"])
    assert load_config(write(to_json(config))) == config


def test_a_path_works_as_well_as_a_name(write):
    assert load_config(write({"seed": 5})).seed == 5


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"batchsize": 4}, "batchsize is not a known key; did you mean batch_size?"),
        ({"model": {"dmi": 4}}, "model.dmi is not a known key; did you mean model.dim?"),
        ({"epoch": 4}, "epoch is not a known key; did you mean train.epoch?"),
        ({"model": {"dim": "448"}}, 'model.dim must be a valid integer, got "448"'),
        ({"model": {"dim": True}}, "model.dim must be a valid integer, got true"),
        ({"model": {"drop_r": 1.0}}, "model.drop_r must be less than 1, got 1.0"),
        ({"batch_size": 0}, "batch_size must be greater than or equal to 1, got 0"),
        ({"model": 3}, "model must be a valid dictionary"),
        ({"model": {"dim": {"a": 1}}}, "model.dim"),
        ({"model": {"memory_mode": "XX"}}, "must be 'TL', 'TL-MHA', 'TL-AddErase' or 'none'"),
        ({"dataset_name": "BrainMNIST3D"}, "dataset_name must be one of OrganMNIST3D"),
        ({"dataset_name": "vesselmnist"}, "did you mean VesselMNIST3D?"),
        ({"model": {"dim": 100}}, "divisible by model.num_heads, got dim=100, num_heads=8"),
        ({"model": {"memory_tokens_size": 10}}, "got memory_tokens_size=10, num_blocks=4"),
        ({"model": {"patch_size": 29}}, "patch_size must not be larger than the volume"),
        ({"model": {"in_channels": 3}}, "model.in_channels must be 1, got 3"),
        ({"size": 32}, "size must be 28 or 64, got 32"),
        ({"device": "gpu"}, 'got "gpu"'),
        ({"train": {"name": "../x"}}, 'got "../x"'),
        ({"train": {"gpu": "x"}}, 'got "cuda:x"'),
        ('{"batch_size": NaN}', "NaN"),
        ('{"model": {"dim": 1e999}}', "model.dim"),
        ('{"seed": 1, "seed": 2}', "'seed' stands there twice"),
        ('{"batch_size": }', "line 1, column 16"),
        ('{\n"batch_size": 3,\n}', "line 3, column 1"),
        ("", "line 1, column 1"),
        ("[1, 2]", "must hold a JSON object, got a list"),
        ("[" * 100_000, "not valid JSON"),
        ('{"model": 3, "model.dim": 4}', "model.dim can not stand beside a plain value of model"),
    ],
)
def test_a_fault_is_one_sentence_with_name_rule_and_value(write, document, told):
    message = fault(write(document))
    assert told in message
    assert "\n" not in message
    assert len(message) < 400


def test_all_faults_are_told_at_once(write):
    message = fault(write({"batch_size": -1, "model": {"dim": 0, "x": 1}, "train": {"lr": -1}}))
    assert message.startswith("some.json has 4 faults:\n- ")
    for name in ("batch_size", "model.dim", "model.x", "train.lr"):
        assert name in message


@pytest.mark.parametrize(
    "override", ["train.epoch", "=3", "train.=3", ".epoch=3", "train..epoch=1"]
)
def test_an_override_needs_a_key_and_a_value(override):
    assert f"an override must look like train.epoch=3, got {override!r}" == fault(
        "base.json", override
    )


def test_missing_and_unreadable_files(tmp_path):
    message = fault("bsae.json")
    assert message.startswith("there is no configuration bsae.json; config/ holds ")
    assert "base.json" in message
    assert "there is no configuration" in fault(tmp_path)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    assert fault(binary) == "binary.json is not a text file in UTF-8"
