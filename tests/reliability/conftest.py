"""What the tests of reliability share: a small run, in this process or in one of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import TINY

ROOT = Path(__file__).resolve().parents[2]


SETTINGS = [
    "demo.json",
    *TINY,
    "batch_size=8",
    "train.epoch=2",
    "train.save_every=7",
    "train.ema=0.9",
    "train.optimizer=Adam",
    "train.accumulate=2",
    "model.memory_start=carried",
    "model.drop_r=0.1",
    "augment.flip_axes=H,W",
    "augment.mixup=0.3",
    "device=cpu",
]


@pytest.fixture
def command(tmp_path):
    """Arguments of a run of 2 epochs of 100 steps that has everything with a state."""
    return [*SETTINGS, f"output_dir={tmp_path}"]


@pytest.fixture
def start():
    """Starts `python train.py` as a process of its own; all are ended with the test."""
    processes = []

    def start(arguments):
        processes.append(launch(arguments))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The folder of the same run, uninterrupted, in a process of its own."""
    folder = tmp_path_factory.mktemp("whole")
    process = launch([*SETTINGS, f"output_dir={folder}"])
    out, _ = process.communicate()
    assert process.returncode == 0, out
    return folder / "demo"


def launch(arguments):
    return subprocess.Popen(
        [sys.executable, "train.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition, process, seconds=60):
    """Waits until a condition holds or the process ends."""
    deadline = time.monotonic() + seconds
    while not condition() and process.poll() is None:
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)
