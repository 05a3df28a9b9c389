"""The trials of a sweep: a fault ends one of them, a signal the sweep, and both leave a state."""

import csv
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
from lmttm.sweeps import trials
from lmttm.training.trainer import Trainer
from tools import sweep as script


def test_a_failing_trial_is_survived_and_told(small, monkeypatch, capsys, tmp_path):
    real = trials.train

    def fails(config, **options):
        if config.train.name == "2-s1":
            raise ValueError("broken")
        return real(config, **options)

    monkeypatch.setattr(trials, "train", fails)
    assert script.main(small) == 1
    err = capsys.readouterr().err
    assert "trial 2-s1 failed: ValueError: broken" in err
    assert len([line for line in err.splitlines() if "failed" in line]) == 1
    with (tmp_path / "out" / "little" / "results.csv").open() as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["2-s0", "4-s0", "4-s1"]
    monkeypatch.setattr(trials, "train", real)
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

    monkeypatch.setattr(trials, "train", fails)
    assert script.main(small) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "failed" in line]
    assert line.startswith(f"trial 2-s0 and 3 others failed: {told} (see ")


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
