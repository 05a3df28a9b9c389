"""Sweeps: their files, their trials, what they survive and what they write."""

import csv
import itertools
import json

import numpy as np
import pytest
import scipy.stats
import torch

import sweep as script
import train
from lmttm.data import phantoms
from lmttm.errors import InputError
from lmttm.sweeps.plan import SWEEP_DIR, cost, load_sweep, make_trials
from lmttm.sweeps.tables import interval, to_markdown
from tests.conftest import TINY

SHIPPED = sorted(path.name for path in SWEEP_DIR.glob("*.json"))


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


def test_the_sweeps_of_the_paper_are_shipped():
    named = "linked_vs_ttm memory_size tokenizer_noise memory_mode mdu units memory_start"
    assert {f"{name}.json" for name in f"{named} radius paper_table".split()} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_sweep_makes_trials_that_can_be_built(name):
    sweep = load_sweep(SWEEP_DIR / name)
    trials = make_trials(sweep, ["model.dim=16", "model.depth=1"], "runs")
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
    trained, real = [], train.main

    def stops_at_the_third(argv):
        if len(trained) == 2:
            return 130
        trained.append(argv)
        return real(argv)

    monkeypatch.setattr(train, "main", stops_at_the_third)
    assert script.main(small) == 130
    assert "the same command goes on" in capsys.readouterr().err
    monkeypatch.setattr(train, "main", lambda argv: trained.append(argv) or real(argv))
    assert script.main(small) == 0
    assert "4 trials, 2 of them finished" in capsys.readouterr().out
    names = [text for argv in trained for text in argv if text.startswith("train.name=")]
    assert names == [f"train.name={trial}" for trial in ("2-s0", "2-s1", "4-s0", "4-s1")]
    assert script.main(small) == 0
    assert len(trained) == 4


def test_a_failing_trial_is_survived_and_told(small, monkeypatch, capsys, tmp_path):
    real = train.main

    def fails(argv):
        if "train.name=2-s1" in argv:
            raise MemoryError("too much")
        return real(argv)

    monkeypatch.setattr(train, "main", fails)
    assert script.main(small) == 1
    err = capsys.readouterr().err
    assert "trial 2-s1 failed: MemoryError: too much" in err
    with (tmp_path / "out" / "little" / "results.csv").open() as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["2-s0", "4-s0", "4-s1"]
    monkeypatch.setattr(train, "main", real)
    assert script.main(small) == 0


def test_overrides_change_every_trial_and_base_the_base(small):
    sweep = load_sweep(SWEEP_DIR / "linked_vs_ttm.json", base="demo.json")
    trials = make_trials(sweep, ["train.epoch=2"], "runs")
    assert len(trials) == 6
    assert {trial.config.dataset_name for trial in trials} == {"PhantomMNIST3D"}
    assert {trial.config.train.epoch for trial in trials} == {2}


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
        script.sweep.find_sweep("nothing.json")


def test_intervals_are_students():
    values = [0.01, 0.03, -0.02, 0.04, 0.02]
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert interval(values) == pytest.approx((expected.low, expected.high))


def test_paired_differences_go_seed_by_seed():
    def row(kind, seed, auc):
        scores = {"val_auc": auc, "val_acc": 0.5, "val_balanced_acc": 0.5}
        rest = {"parameters": 1, "gflop": 1.0, "seconds_per_epoch": 1.0}
        return {"kind": kind, "seed": seed, **scores, **rest}

    rows = [row("a", s, 0.6 + s / 10) for s in range(3)]
    rows += [row("b", s, 0.65 + s / 10) for s in (2, 1, 0)]
    table = to_markdown(rows, ["kind"], ["val"])
    assert "| b | a | +0.050 | +0.050 to +0.050 | 3 |" in table
    assert "**0.750 ± 0.100**" in table


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
