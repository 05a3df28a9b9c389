"""Sweeps that run: what they write, what they survive."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lmttm.data import phantoms
from lmttm.errors import RunError
from lmttm.runs import checkpoint
from lmttm.runs.run import Run
from lmttm.sweeps import execute, plan
from lmttm.training.trainer import Trainer
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
    assert (folder / "results.png").is_file()
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
    assert len([line for line in err.splitlines() if "failed" in line]) == 1
    with (tmp_path / "out" / "little" / "results.csv").open() as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["2-s0", "4-s0", "4-s1"]
    monkeypatch.setattr(execute, "train", real)
    assert script.main(small) == 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError(), "ValueError (see its log)"),
        (RunError(""), "RunError"),
        (RunError("no disk"), "no disk"),
        (StopIteration(), "StopIteration (see its log)"),
    ],
)
def test_a_fault_of_all_trials_is_reported_once_and_has_a_reason(
    small, monkeypatch, capsys, error, told
):
    """Guards against the same line for each of a hundred trials, and against an empty reason."""

    def fails(config, **options):
        raise error

    monkeypatch.setattr(execute, "train", fails)
    assert script.main(small) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "failed" in line]
    assert line.startswith(f"trial 2-s0 and 3 others failed: {told} (see ")


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_sweep_and_the_running_trial_is_saved(
    small, number, monkeypatch, capsys, tmp_path
):
    """Guards against a SIGTERM, as SLURM sends it, that kills the trial or starts the next."""
    real, begun = Trainer._step, []

    def step(trainer, *arguments):
        begun.append(1)
        if len(begun) == 5:
            os.kill(os.getpid(), number)
        return real(trainer, *arguments)

    monkeypatch.setattr(Trainer, "_step", step)
    command = [*small, "batch_size=4", "train.epoch=2", "train.stop_auc=0"]
    assert script.main(command) == 128 + number
    captured = capsys.readouterr()
    assert "interrupted; the same command continues the sweep" in captured.err
    assert "failed" not in captured.err
    folder = tmp_path / "out" / "little"
    assert [path.name for path in folder.iterdir() if path.name.startswith(("2-", "4-"))] == [
        "2-s0"
    ]
    state = checkpoint.load(folder / "2-s0" / "last.pth").training["trainer"]
    assert len(state["losses"]) == 5
    monkeypatch.undo()
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_trial_is_scored_starts_no_other(small, number, monkeypatch, tmp_path):
    """Guards against a death between two trainings, where no loop listens for the signal."""
    real = Run.score

    def score(run, *arguments, **options):
        os.kill(os.getpid(), number)
        return real(run, *arguments, **options)

    monkeypatch.setattr(Run, "score", score)
    assert script.main(small) == 128 + number
    folder = tmp_path / "out" / "little"
    assert (folder / "2-s0" / "val" / "metrics.json").is_file()
    assert not (folder / "2-s1").exists()
    assert (folder / "results.csv").read_text().count("2-s0") == 1


def test_a_signal_in_the_last_trial_leaves_nothing_to_continue(small, monkeypatch, capsys):
    """Guards against a complete table that is called interrupted."""
    real, scored = Run.score, []

    def score(run, *arguments, **options):
        scored.append(run.names)
        if len(scored) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(run, *arguments, **options)

    monkeypatch.setattr(Run, "score", score)
    assert script.main(small) == 0
    assert len(scored) == 4
    assert "interrupted" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_signal_on_ray_saves_every_running_trial(small, tmp_path):
    """Guards against Ray's own handler of SIGTERM, which ends the process at once.

    In a process of its own: the workers do not see what a test patches.
    """
    pytest.importorskip("ray", reason='needs the extra: pip install -e ".[ray]"')
    command = [sys.executable, "tools/sweep.py", *small, "train.epoch=50", "train.stop_auc=0"]
    root = Path(__file__).resolve().parents[2]
    log = (tmp_path / "sweep.log").open("w")
    process = subprocess.Popen([*command, "--ray"], cwd=root, stdout=log, stderr=log)
    folder = tmp_path / "out" / "little"
    try:
        deadline = time.monotonic() + 300
        # A trial that has not done an epoch may have nothing to save yet.
        while time.monotonic() < deadline and not list(folder.glob("*/log.jsonl")):
            time.sleep(0.2)
        training = [path.parent for path in folder.glob("*/log.jsonl")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 143
    finally:
        process.kill()
        log.close()
    assert training
    assert len(list(folder.glob("*/config.json"))) < 4
    for run in training:
        assert 0 < checkpoint.load(run / "last.pth").epoch < 50
    assert "interrupted; the same command continues" in (tmp_path / "sweep.log").read_text()


def test_scores_of_a_run_that_is_not_over_finish_no_trial(small, tmp_path):
    """Guards against a table of half-trained runs that somebody scored in between."""
    longer = [*small, "train.epoch=2", "train.stop_auc=0"]
    assert script.main([*longer]) == 0
    folder = tmp_path / "out" / "little"
    first, second = (folder / name / "log.jsonl" for name in ("2-s0", "4-s1"))
    first.write_text(first.read_text().splitlines(keepends=True)[0])
    scores = json.loads((second.parent / "val" / "metrics.json").read_text())
    (second.parent / "val" / "metrics.json").write_text(json.dumps(scores | {"epoch": 99}))
    sweep = plan.load_sweep(Path(small[0]))
    trials = plan.make_trials(sweep, longer[1:], str(folder))
    finished = {trial.name for trial in trials if plan.is_finished(trial.config, "val")}
    assert finished == {"2-s1", "4-s0"}


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


@pytest.mark.slow  # a minute, nearly all of which is the start of Ray
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_sweep_on_ray_gives_the_same_numbers(threads, small, tmp_path, monkeypatch):
    """A local cluster of two workers, found by Ray's environment variable, does the trials.

    Each on one core, whatever OMP_NUM_THREADS says: with two threads the sums, and so the
    scores, were others.
    """
    ray = pytest.importorskip("ray", reason='needs the extra: pip install -e ".[ray]"')
    from ray.cluster_utils import Cluster

    # From a file, since other processes know nothing of a changed number of phantoms.
    arrays = {}
    for seed, (split, number) in enumerate({"train": 32, "val": 20, "test": 20}.items()):
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = phantoms.generate(number, seed)
    np.savez(tmp_path / "own.npz", **arrays)
    small = [*small, f"dataset_name={tmp_path / 'own.npz'}"]
    here = [text for text in small if not text.startswith("output_dir=")]
    assert script.main([*here, f"output_dir={tmp_path / 'here'}"]) == 0
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
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
