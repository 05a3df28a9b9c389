"""Configuration files: what they may hold, what they inherit, and how a fault is reported."""

import json
import logging
import shutil
import subprocess
from pathlib import Path

import pytest

from lmttm.config.files import CONFIG_DIR, load_config, overridden_keys, to_json
from lmttm.config.keys import differences, flatten
from lmttm.config.kinds import DATASETS, PHANTOM
from lmttm.config.schema import Config
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

# What differs from the schema's defaults in each shipped file, all bases included.
RESOLVED = json.loads(Path(__file__).with_name("resolved.json").read_text())
DEFAULTS = flatten(Config().model_dump())


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


def test_base_json_spells_out_every_key():
    """Its values are the user's to edit; the next test of it checks those as committed."""
    stated = json.loads((CONFIG_DIR / "base.json").read_text())
    assert list(flatten(stated)) == list(flatten(Config().model_dump()))


def test_base_json_as_committed_holds_the_defaults():
    shown = subprocess.run(
        ["git", "show", "HEAD:config/base.json"],
        cwd=CONFIG_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode:
        pytest.skip("not a clone")
    assert json.loads(shown.stdout) == Config().model_dump()


@pytest.mark.parametrize(
    "path",
    sorted(set(CONFIG_DIR.glob("*.json")) - {CONFIG_DIR / "base.json"}),
    ids=lambda path: path.name,
)
def test_every_shipped_configuration_states_only_what_differs_from_its_base(path):
    stated = json.loads(path.read_text())
    base = stated.pop("base", None)
    inherited = load_config(base) if base else Config()
    below = flatten(inherited.model_dump())
    same = [
        key
        for key, value in flatten(stated).items()
        if not key.startswith("_") and key != "dataset_name" and value == below[key]
    ]
    assert same == []


def test_every_shipped_configuration_is_listed():
    """Guards against a file whose meaning changes with its base, and nobody notices."""
    assert set(RESOLVED) == {path.name for path in CONFIG_DIR.glob("*.json")}


@pytest.mark.parametrize(
    "name", [name for name in RESOLVED if name not in ("base.json", "ttm.json")]
)
def test_shipped_configurations_mean_what_they_meant(name):
    """Guards against an inherited key that changes what a published score was measured with."""
    found = flatten(load_config(name).model_dump())
    assert {key: value for key, value in found.items() if value != DEFAULTS[key]} == RESOLVED[name]


def test_there_is_one_configuration_for_each_data_set():
    for name in [name for name in DATASETS if name != PHANTOM]:
        assert load_config(f"{name.lower()}.json").dataset_name == name


def test_the_published_file_loads_unchanged_and_means_the_same(write, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        config = load_config(write(PUBLISHED), [f"output_dir={tmp_path}"])
    changed = differences(Config(), config)
    assert changed == {"device": ("auto", "cuda:0"), "output_dir": ("runs", str(tmp_path))}
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


@pytest.mark.parametrize("name", ["vesselmnist3d", "VESSELMNIST3D", "VesselMNIST3D"])
def test_data_sets_are_taken_in_any_case(name):
    assert load_config("base.json", [f"dataset_name={name}"]).dataset_name == "VesselMNIST3D"


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
        (
            {"model": {"in_channels": 0}},
            "in_channels must be greater than or equal to 1, got 0",
        ),
        ({"size": 32}, "size must be 28 or 64 for AdrenalMNIST3D, got 32"),
        ({"device": "gpu"}, 'got "gpu"'),
        ({"train": {"name": "../x"}}, 'got "../x"'),
        ({"train": {"gpu": "x"}}, 'got "cuda:x"'),
        ('{"batch_size": NaN}', "NaN"),
        ('{"model": {"dim": 1e999}}', "model.dim"),
        ('{"seed": 1, "seed": 2}', "'seed' occurs twice"),
        ('{"batch_size": }', "line 1, column 16"),
        ('{\n"batch_size": 3,\n}', "line 3, column 1"),
        ("", "line 1, column 1"),
        ("[1, 2]", "must hold a JSON object, got a list"),
        ("[" * 100_000, "not valid JSON"),
        ('{"model": 3, "model.dim": 4}', "model.dim cannot stand beside a plain value of model"),
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


def test_missing_and_unreadable_files(tmp_path):
    message = fault("bsae.json")
    assert message.startswith("the configuration bsae.json does not exist; shipped are ")
    assert "base.json" in message
    assert f"the configuration {tmp_path} is a folder" in fault(tmp_path)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    assert fault(binary) == "binary.json is not a text file in UTF-8"


def test_replaced_keys_are_named_once_for_a_run_not_for_each_command(write, tmp_path, caplog):
    """Guards against six warnings before every prediction."""
    overrides = [f"output_dir={tmp_path}"]
    run_dir = load_config(write(PUBLISHED), overrides).run_dir
    assert "val_gap" in caplog.text
    caplog.clear()
    run_dir.mkdir()
    (run_dir / "config.json").touch()  # as training does
    load_config(write(PUBLISHED), overrides)
    assert caplog.text == ""


class TestInheritance:
    """A file states what differs from its base."""

    @pytest.fixture
    def files(self, tmp_path):
        def files(**documents):
            for name, document in documents.items():
                (tmp_path / f"{name}.json").write_text(json.dumps(document))
            return tmp_path / f"{next(iter(documents))}.json"

        return files

    def test_key_by_key_through_several_files(self, files):
        path = files(
            c={"base": "b.json", "seed": 3, "model": {"dim": 16}},
            b={"base": "a.json", "seed": 2, "model": {"depth": 2}, "augment": {"flip_axes": []}},
            a={"seed": 1, "size": 64, "model": {"dim": 8}, "augment": {"flip_axes": ["D", "H"]}},
        )
        config = load_config(path)
        assert (config.seed, config.size, config.model.dim, config.model.depth) == (3, 64, 16, 2)
        assert config.augment.flip_axes == []
        assert load_config(path, ["seed=4"]).seed == 4

    def test_an_edit_of_base_json_reaches_ttm_json(self, tmp_path):
        """Guards against a comparison with TTM that is silently unequal."""
        for name in ("base.json", "ttm.json"):
            shutil.copy(CONFIG_DIR / name, tmp_path)
        edited = json.loads((tmp_path / "base.json").read_text())
        edited["train"]["epoch"] = 7
        (tmp_path / "base.json").write_text(json.dumps(edited))
        base, ttm = (load_config(tmp_path / f"{name}.json") for name in ("base", "ttm"))
        assert ttm.train.epoch == 7
        changed = differences(base, ttm)
        assert changed.keys() == {"model.model", "train.name"}

    def test_a_base_lies_beside_its_heir_or_is_a_shipped_one(self, files, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        path = files(mine={"base": "demo.json"})
        assert load_config(path) == load_config("demo.json")
        files(demo={"seed": 9})
        assert load_config(path).seed == 9
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "x.json").write_text('{"base": "../mine.json"}')
        assert load_config("sub/x.json").seed == 9

    def test_spellings_are_brought_into_the_present_one_file_by_file(self, files):
        """Guards against a key that is given twice, once in each file's spelling."""
        path = files(
            mine={"base": "old.json", "model": {"summarize_num_tokens": 4}, "device": "cpu"},
            old=PUBLISHED,
        )
        config = load_config(path)
        assert (config.model.summarize_num_tokens, config.device) == (4, "cpu")
        path = files(
            mine={"base": "new.json", "model": {"summerize_num_tokens": 3}, "train": {"gpu": "1"}},
            new={"model": {"summarize_num_tokens": 4}, "device": "cpu"},
        )
        config = load_config(path)
        assert (config.model.summarize_num_tokens, config.device) == (3, "cuda:1")

    def test_a_circle_is_one_message(self, files):
        path = files(a={"base": "b.json"}, b={"base": "c.json"}, c={"base": "a.json"})
        assert fault(path) == (
            "base must not lead back to a file itself, got a.json -> b.json -> c.json -> a.json"
        )
        path = files(a={"base": "a.json"})
        assert "a.json -> a.json" in fault(path)

    @pytest.mark.parametrize(
        ("base", "message"),
        [
            ("no.json", "mine.json: base must be a file beside it or a shipped one, got 'no.json'"),
            (3, "mine.json: base must be the name of a file, got 3"),
            ("", "mine.json: base must be a path, got ''"),
            ("x" * 300, "mine.json: base must be at most"),
            (["a.json", "b.json"], 'mine.json: base must be the name of a file, got ["a.json", '),
        ],
    )
    def test_a_missing_base_is_one_message(self, files, base, message):
        assert message in fault(files(mine={"base": base}))

    def test_the_configuration_of_a_run_is_complete(self, files, write):
        """Guards against a run that means something else once its base is edited."""
        config = load_config(files(mine={"base": "ttm.json", "seed": 5}))
        stored = json.loads(to_json(config))
        assert "base" not in stored
        assert list(flatten(stored)) == list(DEFAULTS)
        assert load_config(write(to_json(config))) == config


def test_a_shadowed_file_is_a_warning_and_can_be_named(tmp_path, monkeypatch, caplog):
    """Guards against an edited ./base.json that is silently not used."""
    monkeypatch.chdir(tmp_path)
    load_config("demo.json")
    assert caplog.text == ""
    (tmp_path / "demo.json").write_text('{"seed": 11}')
    assert load_config("demo.json").seed == load_config(CONFIG_DIR / "demo.json").seed
    assert "write ./demo.json for that" in caplog.text
    caplog.clear()
    assert load_config("./demo.json").seed == 11
    assert caplog.text == ""
    monkeypatch.chdir(CONFIG_DIR)
    load_config("demo.json")
    assert caplog.text == ""
