"""Plans of sweeps: their files and their trials."""

import itertools

import pytest

from lmttm.config.files import load_config
from lmttm.errors import InputError
from lmttm.sweeps.cost import cost
from lmttm.sweeps.plan import (
    SWEEP_DIR,
    Sweep,
    find_sweep,
    load_sweep,
    make_trials,
)

SHIPPED = sorted(path.name for path in SWEEP_DIR.glob("*.json"))


def test_the_sweeps_of_the_paper_are_shipped():
    named = "linked_vs_ttm memory_size tokenizer_noise memory_mode mdu units memory_start"
    assert {f"{name}.json" for name in f"{named} radius paper_table".split()} <= set(SHIPPED)


def test_a_missing_sweep_names_those_there_are():
    with pytest.raises(InputError, match=r"nothing.json does not exist; .*memory_size\.json"):
        find_sweep("nothing.json")


@pytest.mark.parametrize("name", ["x" * 300, "a\0.json", "$NO_SUCH_VARIABLE.json", ""])
def test_an_impossible_sweep_is_a_message(name):
    """Guards against a traceback of the operating system's."""
    with pytest.raises(InputError, match="the path of a sweep must"):
        find_sweep(name)


def test_a_sweep_is_found_where_its_name_says(tmp_path, monkeypatch, caplog):
    """Guards against ./units.json that is silently the shipped one, and ~ that is no home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "units.json").write_text("{}")
    assert find_sweep("~/units.json") == tmp_path / "units.json"
    assert find_sweep("./units.json").samefile(tmp_path / "units.json")
    assert caplog.text == ""
    assert find_sweep("units.json") == SWEEP_DIR / "units.json"
    assert "write ./units.json for that" in caplog.text


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_sweep_makes_trials_that_can_be_built(name):
    sweep = load_sweep(SWEEP_DIR / name)
    small = {"model.dim=16", "model.depth=2"} - {f"{key}={16}" for key in sweep.grid}
    trials = make_trials(sweep, sorted(small), "runs")
    for trial in trials[:: 3 * len(sweep.seeds)]:  # as large as the others, and slow to count
        cost(trial.config)
    assert all(trial.config.train.name == trial.name for trial in trials)


def test_the_memory_size_sweep_is_the_papers_grid():
    sizes = [64, 160, 256, 352, 448]
    trials = make_trials(load_sweep(SWEEP_DIR / "memory_size.json"), [], "runs")
    grid = {(c.config.model.memory_tokens_size, c.config.model.dim) for c in trials}
    assert grid == set(itertools.product(sizes, sizes))


def test_each_data_set_sets_its_own_number_of_classes():
    trials = make_trials(load_sweep(SWEEP_DIR / "paper_table.json"), [], "runs")
    assert len(trials) == 6 * 2 * 5
    classes = {trial.config.dataset_name: trial.config.model.out_class_num for trial in trials}
    assert classes["OrganMNIST3D"] == 11
    assert classes["FractureMNIST3D"] == 3
    assert sorted(classes.values()) == [2, 2, 2, 2, 3, 11]
    assert {trial.config.model.model for trial in trials} == {"lmttm", "ttm"}


def test_overrides_change_every_trial_and_base_the_base():
    sweep = load_sweep(SWEEP_DIR / "linked_vs_ttm.json", base="demo.json")
    trials = make_trials(sweep, ["train.epoch=2"], "runs")
    assert len(trials) == 6
    assert {trial.config.dataset_name for trial in trials} == {"PhantomMNIST3D"}
    assert {trial.config.train.epoch for trial in trials} == {2}


def test_trials_do_not_repeat_what_is_said_of_their_base(tmp_path, monkeypatch, caplog):
    """Guards against a line for each published key and each of a hundred trials."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.json").write_text('{"train": {"val_gap": 100}, "log_dir": "logs"}')
    document = {"base": "./old.json", "grid": {"model.depth": [1, 2]}, "seeds": [0, 1]}
    sweep = Sweep.model_validate(document | {"datasets": ["PhantomMNIST3D"]})
    assert len(make_trials(sweep, [], "runs")) == 4
    assert caplog.text == ""
    load_config(sweep.base)  # as the command does once
    assert caplog.text.count("val_gap") == 1
