"""Sweeps that run: what they check, continue and write."""

import csv
import json

import numpy as np
import pytest

from lmttm.data import phantoms
from lmttm.sweeps import trials
from tools import sweep as script


def test_a_sweep_writes_its_tables(small, tmp_path, capsys):
    assert script.main([*small, "--test"]) == 0
    folder = tmp_path / "out" / "little"
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["2-s0", "2-s1", "4-s0", "4-s1"]
    for row in rows:
        scores = json.loads((folder / row["trial"] / "test" / "metrics.json").read_text())
        assert float(row["test_auc"]) == scores["auc"]
        config = json.loads((folder / row["trial"] / "config.json").read_text())
        assert config["model"]["num_blocks"] == int(row["model.num_blocks"])
        assert config["seed"] == int(row["seed"])

    table = (folder / "results.md").read_text()
    for units in ("2", "4"):
        aucs = [float(row["val_auc"]) for row in rows if row["model.num_blocks"] == units]
        assert f"{np.mean(aucs):.3f} ± {np.std(aucs, ddof=1):.3f}" in table
    assert (folder / "results.png").is_file()
    assert "4 trials, 0 of them finished" in capsys.readouterr().out


def test_finished_trials_are_skipped_and_a_broken_off_sweep_goes_on(small, monkeypatch, capsys):
    trained, real = [], trials.train

    def counts(config, **options):
        trained.append(config.train.name)
        return real(config, **options)

    def stops_at_the_third(config, **options):
        if len(trained) == 2:
            raise KeyboardInterrupt
        return counts(config, **options)

    monkeypatch.setattr(trials, "train", stops_at_the_third)
    assert script.main(small) == 130
    assert "the same command continues the sweep" in capsys.readouterr().err
    monkeypatch.setattr(trials, "train", counts)
    assert script.main(small) == 0
    assert "4 trials, 2 of them finished" in capsys.readouterr().out
    assert trained == ["2-s0", "2-s1", "4-s0", "4-s1"]
    assert script.main(small) == 0
    assert len(trained) == 4


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (["--folds", "99"], "folds must be at most 26, the rarest class, got 99"),
        (["device=cuda:9"], "got cuda:9"),
    ],
)
def test_what_would_fail_in_every_trial_is_told_before_the_first(
    small, extra, told, capsys, tmp_path
):
    assert script.main([*small, *extra]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_sweep_over_data_sets_of_your_own(small, tmp_path):
    """Guards against a KeyError for a path among the data sets."""
    rng = np.random.default_rng(0)
    for name, classes in (("two", 2), ("three", 3)):
        arrays = {}
        for split in ("train", "val", "test"):
            arrays[f"{split}_images"] = rng.integers(256, size=(9, 28, 28, 28), dtype=np.uint8)
            arrays[f"{split}_labels"] = np.arange(9)[:, None] % classes
        np.savez(tmp_path / f"{name}.npz", **arrays)
    path = tmp_path / "little.json"
    sets = [str(tmp_path / "two.npz"), str(tmp_path / "three.npz")]
    grid = {"model.num_blocks": [2]}
    document = json.loads(path.read_text()) | {"datasets": sets, "grid": grid, "seeds": [0]}
    path.write_text(json.dumps(document))
    assert script.main(small) == 0
    with (tmp_path / "out" / "little" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["dataset"] for row in rows] == sets
    folders = [tmp_path / "out" / "little" / row["trial"] for row in rows]
    classes = [
        json.loads((f / "config.json").read_text())["model"]["out_class_num"] for f in folders
    ]
    assert classes == [2, 3]


def test_a_table_does_not_mix_trials_on_other_volumes(small, tmp_path, monkeypatch, capsys):
    """Guards against a sweep that continues on a data set that was replaced."""
    assert script.main(small) == 0
    run = tmp_path / "out" / "little" / "4-s1"
    metrics = (run / "val" / "metrics.json").read_text()
    (run / "val" / "metrics.json").unlink()
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 32, "val": 24, "test": 20})
    assert script.main(small) == 2
    err = capsys.readouterr().err
    assert "PhantomMNIST3D was replaced since the trial 2-s0 was run" in err
    (run / "val" / "metrics.json").write_text(metrics)
    assert script.main(small) == 0  # nothing is to be run


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gird": {}}, "gird is not a known key; did you mean grid?"),
        ({"grid": {"model.dimm": [8, 16]}}, "did you mean model.dim?"),
        ({"grid": {"model.dim": []}}, "grid.model.dim"),
        ({"grid": {"train.lr": [0.5, 0.5]}}, "two trials of the sweep have the name 0.5-s0"),
        (
            {"grid": {"model.num_heads": [2, 3]}},
            "trial 3-s0: demo.json: model.dim must be",
        ),
        ({"grid": {"model.memory_mode": ["TL", "XX"]}}, "model.memory_mode must be 'TL'"),
        ({"seeds": []}, "seeds"),
        ({"seeds": None}, "seeds"),
        ({"base": "nothing.json"}, "the configuration nothing.json does not exist"),
        ({"datasets": ["Brain"]}, "dataset_name must be one of"),
        ({"datasets": ["./nowhere.npz"]}, "the data set nowhere.npz is not there"),
        ({"grid": {"epoch": [1, 2]}}, "an axis must not have the name of a column, got epoch"),
    ],
)
def test_bad_sweeps_are_told_before_the_first_trial_starts(small, change, told, capsys, tmp_path):
    path = tmp_path / "little.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert script.main(small) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
