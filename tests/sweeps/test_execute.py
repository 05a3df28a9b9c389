"""Sweeps that run: what they write, what they survive."""

import csv
import json

import numpy as np
import pytest
import torch

from lmttm.data import phantoms
from lmttm.errors import InputError
from lmttm.sweeps import execute
from lmttm.sweeps.plan import find_sweep
from tests.conftest import TINY
from tools import sweep as script


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The file of a sweep of 2 x 2 trials, and a command line that runs it in seconds."""
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 32, "val": 20, "test": 20})
    document = {
        "base": "demo.json",
        "grid": {"model.num_blocks": [2, 4]},
        "seeds": [0, 1],
    }
    path = tmp_path / "little.json"
    path.write_text(json.dumps(document))
    return [str(path), *TINY, f"output_dir={tmp_path / 'out'}", "device=cpu"]


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
    assert (folder / "results.png").stat().st_size > 5000
    assert "4 trials, 0 of them finished" in capsys.readouterr().out


def test_finished_trials_are_skipped_and_a_broken_off_sweep_goes_on(small, monkeypatch, capsys):
    trained, real = [], execute.train

    def counts(config, **options):
        trained.append(config.train.name)
        return real(config, **options)

    def stops_at_the_third(config, **options):
        if len(trained) == 2:
            raise KeyboardInterrupt
        return counts(config, **options)

    monkeypatch.setattr(execute, "train", stops_at_the_third)
    assert script.main(small) == 130
    assert "the same command continues the sweep" in capsys.readouterr().err
    monkeypatch.setattr(execute, "train", counts)
    assert script.main(small) == 0
    assert "4 trials, 2 of them finished" in capsys.readouterr().out
    assert trained == ["2-s0", "2-s1", "4-s0", "4-s1"]
    assert script.main(small) == 0
    assert len(trained) == 4


def test_a_failing_trial_is_survived_and_told(small, monkeypatch, capsys, tmp_path):
    real = execute.train

    def fails(config, **options):
        if config.train.name == "2-s1":
            raise ValueError("broken")
        return real(config, **options)

    monkeypatch.setattr(execute, "train", fails)
    assert script.main(small) == 1
    err = capsys.readouterr().err
    assert "trial 2-s1 failed: ValueError: broken" in err
    with (tmp_path / "out" / "little" / "results.csv").open() as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["2-s0", "4-s0", "4-s1"]
    monkeypatch.setattr(execute, "train", real)
    assert script.main(small) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gird": {}}, "gird is not a known key; did you mean grid?"),
        ({"grid": {"model.dimm": [8, 16]}}, "did you mean model.dim?"),
        ({"grid": {"model.dim": []}}, "grid.model.dim"),
        ({"grid": {"model.dim": [8, 8]}}, "two trials of the sweep have the name 8-s0"),
        ({"grid": {"model.dim": [8, 9]}}, "trial 9-s0: demo.json: model.dim must be divisible"),
        ({"grid": {"model.memory_mode": ["TL", "XX"]}}, "model.memory_mode must be 'TL'"),
        ({"seeds": []}, "seeds"),
        ({"seeds": None}, "seeds"),
        ({"base": "nothing.json"}, "there is no configuration nothing.json"),
        ({"datasets": ["Brain"]}, "dataset_name must be one of"),
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


def test_a_missing_sweep_names_those_there_are():
    assert script.main(["nothing.json"]) == 2
    with pytest.raises(InputError, match=r"config/sweeps/ holds .*memory_size\.json"):
        find_sweep("nothing.json")


def test_a_sweep_on_ray_gives_the_same_numbers(small, tmp_path, monkeypatch):
    """A local cluster of two workers, found by Ray's environment variable, does the trials."""
    ray = pytest.importorskip("ray", reason="needs the extra: pip install 'lmttm[ray]'")
    from ray.cluster_utils import Cluster

    monkeypatch.undo()  # other processes generate the phantoms in full
    torch.set_num_threads(1)  # as Ray gives its workers: sums are taken in the same order
    here = [text for text in small if not text.startswith("output_dir=")]
    assert script.main([*here, f"output_dir={tmp_path / 'here'}"]) == 0
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        assert script.main([*small, "--ray"]) == 0
        assert not ray.is_initialized()
    finally:
        cluster.shutdown()

    def scores(folder):
        with (tmp_path / folder / "little" / "results.csv").open() as file:
            return [(row["trial"], row["val_auc"]) for row in csv.DictReader(file)]

    assert len(scores("out")) == 4
    assert scores("out") == scores("here")
