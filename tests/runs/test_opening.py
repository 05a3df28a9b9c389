"""Opening a run: what its name may be, and how paths are written."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import lmttm
from lmttm.config.files import to_json
from lmttm.data import phantoms
from lmttm.model.build import build_model
from lmttm.runs.checkpoint import BEST, Checkpoint, save
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


def test_what_is_given_leaves_each_run_its_own_window(tmp_path):
    """Guards against an ensemble of folds in which all take the window of the first one.

    Percentiles differ from fold to fold; an extent that the training left to a table made all
    members see scans as the first.
    """
    np.save(tmp_path / "scan.npy", 100 * np.random.default_rng(0).random((12, 12, 12)))
    base = lmttm.load_config("demo.json", [*TINY, "folds=2", "device=cpu", "dataset_name=mine/"])
    for fold, high in enumerate((60.0, 90.0)):
        settled = {"intensity": "percentiles", "window": [0.0, high], "extent": "table"}
        train = base.train.model_copy(update={"name": f"fold{fold}"})
        volume = base.volume.model_copy(update=settled)
        config = base.model_copy(update={"fold": fold, "volume": volume, "train": train})
        (tmp_path / f"fold{fold}").mkdir()
        places = {"config": config, "model": build_model(config)}
        save(tmp_path / f"fold{fold}" / BEST, **places, epoch=1, validation={})
    (tmp_path / "mine.json").write_text(to_json(base))
    options = [f"output_dir={tmp_path}", "folds=2", "volume.extent=9"]

    def probabilities(*names):
        run = open_run(tmp_path / "mine.json", options, names=names)
        assert [m.config.volume.extent for m in run.members] == [9.0] * len(names)
        return [*run.predict([tmp_path / "scan.npy"]).rows[0]["probabilities"].values()]

    alone = [probabilities(name) for name in ("fold0", "fold1")]
    both = probabilities("fold0", "fold1")
    np.testing.assert_allclose(both, np.mean(alone, axis=0), atol=1e-7)


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", ""])
def test_an_impossible_path_is_one_message(path):
    with pytest.raises(lmttm.InputError):
        open_run(path)
