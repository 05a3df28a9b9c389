"""Opening a run: what its name may be, and how paths are written."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest

import lmttm
from lmttm.data import phantoms
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.opening import _refuse_mismatch, open_run
from tests.conftest import TINY


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opened")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantoms, "SPLITS", {"train": 24, "val": 12, "test": 12})
        lmttm.train(lmttm.load_config("demo.json", [*TINY, f"output_dir={folder}", "device=cpu"]))
    return folder / "demo"


def test_home_and_variables_are_expanded(trained, monkeypatch):
    """`~` and variables were expanded in configurations, but not in a run's folder."""
    monkeypatch.setenv("HOME", str(trained.parent))
    monkeypatch.setenv("RUNS", str(trained.parent))
    expected = open_run(trained).folder
    assert open_run("~/demo").folder == expected
    assert lmttm.load_run("~/demo")[1].train.name == "demo"
    assert open_run("$RUNS/demo").folder == expected
    with pytest.raises(lmttm.InputError, match="a variable that is not set, got NOWHERE"):
        open_run("$NOWHERE/demo")


def test_scans_may_be_named_by_home_and_variables(trained, monkeypatch, tmp_path):
    import numpy as np

    np.save(tmp_path / "scan$1.npy", phantoms.generate(1, 0)[0][0])  # a name with a dollar stays
    np.save(tmp_path / "scan.npy", phantoms.generate(1, 0)[0][0])
    monkeypatch.setenv("HOME", str(tmp_path))
    answers = open_run(trained).predict(["~/scan.npy", tmp_path / "scan$1.npy"])
    assert [Path(row["path"]).name for row in answers.rows] == ["scan.npy", "scan$1.npy"]
    assert not answers.failures
    config = open_run(trained).config
    assert lmttm.load_volume("~/scan.npy", config).shape == (28, 28, 28)


@pytest.mark.parametrize(
    ("log", "stop_auc", "warned"),
    [
        ('{"val_auc": 0.6}\n', 0.0, "m has not ended: these are its weights after 1 of 3 epochs"),
        ('{"val_auc": 0.6}\n' * 3, 0.0, ""),
        ('{"val_auc": 0.6}\n', 0.5, ""),
        ('{"val_', 0.0, ""),
        ("{}\n", 0.0, ""),
        (None, 0.0, ""),
    ],
)
def test_a_run_that_has_not_ended_is_noted(trained, tmp_path, caplog, log, stop_auc, warned):
    """Guards against the scores of an eighth of a training that look like those of all of it."""
    folder = shutil.copytree(trained, tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config["train"] |= {"epoch": 3, "stop_auc": stop_auc}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "log.jsonl").unlink()
    if log is not None:
        (folder / "log.jsonl").write_text(log)
    run = open_run(folder)
    assert warned in caplog.text
    assert bool(caplog.text) == bool(warned)
    assert run.unfinished == ({"m": "1 of 3 epochs"} if warned else {})
    assert run.notices == [f"the training of {warned}"] * bool(warned)


@pytest.mark.parametrize(
    ("update", "told"),
    [
        (
            {"class_names": ["b", "a"]},
            r"class_names must be .* \['a', 'b'\] in one and \['b', 'a'\]",
        ),
        ({"class_names": []}, ""),  # as earlier versions left it
        ({"model.out_class_num": 3}, "out_class_num must be the same in all runs, got 2 in one"),
        ({"seed": 7}, ""),
    ],
)
def test_runs_of_other_classes_are_no_ensemble(update, told):
    """Guards against averages of one run's probability of a class with another's of another."""
    config = lmttm.load_config("demo.json").model_copy(update={"class_names": ["a", "b"]})
    model = {n.partition(".")[2]: v for n, v in update.items() if n.startswith("model.")}
    plain = {name: value for name, value in update.items() if "." not in name}
    other = config.model_copy(update={**plain, "model": config.model.model_copy(update=model)})
    members = [Checkpoint(c, {}, 1, {}, {}, {}) for c in (config, other)]
    with pytest.raises(lmttm.InputError, match=told) if told else contextlib.nullcontext():
        _refuse_mismatch(members, ["one", "two"])


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", ""])
def test_an_impossible_path_is_one_message(path):
    with pytest.raises(lmttm.InputError):
        open_run(path)
