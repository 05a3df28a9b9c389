"""Several processes against one: the same losses, and one end for all of them.

The processes are on the CPU (gloo). NCCL has not run: it needs GPUs.
"""

import json
import os
import subprocess
import sys

import pytest
import torch

import train
from lmttm.training.distributed import Alone, Team, joined
from tests.conftest import TINY
from tests.training import faulty
from tests.training.team import ROOT, processes
from tests.training.worker import CASES, run


def team(size, root, jobs):
    """Runs jobs of `worker.py` in a team."""
    codes, errors = processes(size, root, run, root, jobs)
    assert codes == [0] * size, errors


def results(folder, case):
    """The losses of a run's epochs, and its final weights."""
    lines = (folder / case / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    last = torch.load(folder / case / "last.pth", weights_only=True)
    return records, last["model"] | last["training"]["trainer"].get("averaged", {})


def check_equal(folder, expected_folder, case):
    records, weights = results(folder, case)
    expected_records, expected = results(expected_folder, case)
    assert len(records) == len(expected_records) == 3
    for record, other in zip(records, expected_records, strict=True):
        assert record["train_loss"] == pytest.approx(other["train_loss"], rel=0, abs=1e-9)
        assert record["val_loss"] == pytest.approx(other["val_loss"], abs=1e-6)  # in float32
        assert record["val_auc"] == other["val_auc"]
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        if not name.endswith("in_proj_bias"):  # a key's has no gradient but rounding
            torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-9, msg=name)


RESUMED = "lmttm-bn"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of runs: `1`, `2`, `3` processes; `2to3`: stopped with 2, resumed with 3; ..."""
    root = tmp_path_factory.mktemp("runs")
    run(root, [*(f"1:{case}" for case in CASES), f"1to2:{RESUMED}:stop"])
    stopped = [f"{name}:{RESUMED}:stop" for name in ("2to1", "2to3")]
    team(2, root, [*(f"2:{case}" for case in CASES), f"1to2:{RESUMED}:resume", *stopped])
    team(3, root, [f"2to3:{RESUMED}:resume", "3:ttm-bn"])
    run(root, [f"2to1:{RESUMED}:resume"])
    return root


@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_losses_of_one(runs, case):
    """Guards against batches, statistics, memories and averages that each process has alone."""
    check_equal(runs / "2", runs / "1", case)


def test_a_batch_smaller_than_the_team_counts_once(runs):
    """Guards against a last batch that some processes lack, or that counts three times."""
    check_equal(runs / "3", runs / "1", "ttm-bn")


@pytest.mark.parametrize("way", ["1to2", "2to1", "2to3"])
def test_another_number_of_processes_resumes_a_run(runs, way):
    """Guards against a state that fits the number of processes that saved it only."""
    check_equal(runs / way, runs / "1", RESUMED)


QUICK = [
    *TINY,
    "model.patch_size=14",
    "model.num_blocks=2",
    "batch_size=4",
    "train.stop_auc=0",
    "device=cpu",
]

# By fault: the exit code of all processes, what the message says, what the run's folder has.
ENDS = {
    "error": (1, "error: the disk of this process is on fire", None),
    "not_finite": (1, "not finite at epoch 1, step 4", "not_finite.json"),
    "signal": (143, "stopped in epoch 1, step 3; resume with: python train.py", "last.pth"),
}


@pytest.mark.parametrize("fault", ENDS)
def test_a_fault_of_one_process_ends_all_with_one_message(tmp_path, fault):
    """Guards against processes that wait for one that has gone, and a traceback from each."""
    code, message, left = ENDS[fault]
    run_args = ["demo.json", *QUICK, f"output_dir={tmp_path}"]
    mark = tmp_path / "mark"
    codes, errors = processes(2, tmp_path, faulty.main, fault, mark, *run_args)
    assert codes == [code, code], errors
    lines = [line for error in errors for line in error.splitlines() if "WARNING" not in line]
    assert len(lines) == 1, lines
    assert message in lines[0]
    assert left is None or (tmp_path / "demo" / left).is_file()


def test_an_input_that_all_refuse_is_reported_once(tmp_path):
    """Guards against as many messages as there are processes."""
    run_args = ["demo.json", f"output_dir={tmp_path}", "batch_size=1"]
    codes, errors = processes(2, tmp_path, train.main, run_args)
    assert codes == [2, 2]
    assert "".join(errors).count("batch_size must be at least the number of processes") == 1
    assert len("".join(errors).splitlines()) == 1


@pytest.mark.slow
def test_the_launcher_restarts_a_team_that_lost_a_process(tmp_path):
    """Guards against a killed process that ends the training, or a log of only its second half."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    script = ["--max-restarts=1", "-m", "tests.training.faulty", "kill", str(tmp_path / "mark")]
    run_args = [
        "demo.json",
        *QUICK,
        f"output_dir={tmp_path}",
        "train.save_every=2",
        "train.epoch=2",
        "--resume",
    ]
    done = subprocess.run(
        [sys.executable, *launcher, *script, *run_args],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "resumes after epoch 1, step 2" in done.stdout
    assert [done.stdout.count(f"epoch   {number}/2") for number in (1, 2)] == [1, 1]
    assert len((tmp_path / "demo" / "log.jsonl").read_text().splitlines()) == 2


def test_alone_nothing_is_shared():
    """Guards against a training in one process that pays for, or waits for, others."""
    with joined() as team:
        assert type(team) is Alone
        part = torch.arange(3)
        assert team.share(part) is part
        assert (team.copies, team.leads, team.agree(None), team.agree(15)) == (1, True, None, 15)
        assert team.place("cuda:1", 1) == "cuda:1"
        assert team.collect("x") == ["x"]


@pytest.mark.parametrize(("volumes", "shares"), [(7, [3, 2, 2]), (3, [1, 1, 1]), (2, [2, 2, 2])])
def test_shares_of_a_batch(volumes, shares):
    """Guards against volumes that no process, or two of them, take."""
    given = []
    for rank in range(3):
        team = Team.__new__(Team)
        team.rank, team.size = rank, 3
        given.append(team.share(torch.arange(volumes)))
        assert team.copies == (3 if volumes < 3 else 1)
    assert [len(part) for part in given] == shares
    if volumes >= 3:
        assert torch.equal(torch.cat(given), torch.arange(volumes))
