"""A run that is killed, at any moment, resumes to the very same weights."""

import contextlib
import json
import random
import signal
import subprocess

import pytest
import torch

from lmttm.runs import checkpoint
from lmttm.runs.checkpoint import BEST, LAST
from lmttm.runs.folder import locked
from tests.reliability.conftest import wait_for


def read_log(folder):
    return (folder / "log.jsonl").read_text().splitlines()


def same_run(first, second):
    """Asserts that two runs ended with the same weights, bit for bit, and the same records."""
    for name in (LAST, BEST):
        a, b = (checkpoint.load(folder / name) for folder in (first, second))
        assert a.epoch == b.epoch
        assert a.weights.keys() == b.weights.keys()
        for key, value in a.weights.items():
            assert torch.equal(value, b.weights[key]), (name, key)
    a, b = (
        [json.loads(line) | {"seconds": 0} for line in read_log(folder)]
        for folder in (first, second)
    )
    assert a == b


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_at_random_moments(kills, command, start, whole, tmp_path):
    """SIGKILL, while it starts, trains, validates or writes; then --resume, again and again."""
    rng = random.Random(kills)
    arguments = [*command, "train.name=killed", "--resume"]
    folder = tmp_path / "killed"
    killed = 0
    while killed < kills:
        process = start(arguments)
        before = (folder / LAST).stat().st_mtime_ns if (folder / LAST).exists() else 0

        def goes_on(before=before):
            return (folder / LAST).exists() and (folder / LAST).stat().st_mtime_ns != before

        if rng.random() < 0.8:  # else perhaps in the middle of its start
            wait_for(goes_on, process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, 0.4))
        if process.poll() is None:
            killed += 1
        elif process.returncode == 0:
            break
        process.kill()
        process.communicate()
    last = start(arguments)
    out, _ = last.communicate()
    assert last.returncode == 0, out
    assert killed == kills
    same_run(whole, folder)
    assert not [path for path in folder.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_finishes_the_step_and_says_how_to_go_on(number, command, start, whole, tmp_path):
    folder = tmp_path / "stopped"
    stopped = start([*command, "train.name=stopped"])
    wait_for(lambda: (folder / LAST).exists(), stopped)
    stopped.send_signal(number)
    out, _ = stopped.communicate()
    assert stopped.returncode == 128 + number
    assert "resume with: python train.py demo.json" in out
    assert "--resume" in out
    assert "Traceback" not in out
    state = checkpoint.load(folder / LAST)
    assert state.training["trainer"]["epoch"] < 2

    resumed = start([*command, "train.name=stopped", "--resume"])
    out, _ = resumed.communicate()
    assert resumed.returncode == 0, out
    same_run(whole, folder)


def test_a_second_process_on_the_same_run_is_refused(command, start, tmp_path):
    first = start(command)
    wait_for(lambda: (tmp_path / "demo" / LAST).exists(), first)
    second = start([*command, "--resume"])
    out, _ = second.communicate()
    assert second.returncode == 2
    assert "another process is training" in out
    assert "Traceback" not in out
    first.kill()
    first.communicate()
    with locked(tmp_path / "demo"):  # the lock died with its process
        pass
