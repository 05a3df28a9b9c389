"""Rows of the tables repeated: what agrees, and that each row can be run."""

import json
import os
import signal

import numpy as np
import pytest
import torch
from scipy import stats

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.errors import InputError
from lmttm.runs import checkpoint
from lmttm.sweeps.reproduce import RESULTS, compare, reproduce, rows
from lmttm.training.interrupt import Interrupted
from tests.conftest import TINY
from tools import reproduce as script


def test_every_committed_row_can_be_run():
    """A row that names a lost configuration cannot be repeated by anybody."""
    for row in rows().values():
        assert row.committed, row.name
        load_config(row.config, list(row.overrides))


def test_the_interval_is_students_prediction_interval():
    committed = [0.90, 0.91, 0.89, 0.905, 0.895]
    mean, sd = np.mean(committed), np.std(committed, ddof=1)
    low, high = stats.t.interval(0.95, 4, loc=mean, scale=sd * np.sqrt(1 + 1 / 5))
    found = compare("auc", [0.9], committed)
    assert found.interval == pytest.approx((low, high))
    assert found.agrees
    assert not compare("auc", [high + 0.001], committed).agrees


def test_seeds_without_a_spread_decide_nothing():
    """Guards against "DIFFERS" for one volume more, where all seeds happen to have one ACC."""
    assert compare("auc", [0.5], [0.9]).agrees is None
    alike = [260 / 298] * 5
    assert compare("acc", [261 / 298], alike).agrees is None
    assert compare("acc", [260 / 298], alike).interval is None


@pytest.fixture
def row(tmp_path, monkeypatch):
    """A row of two tiny seeds."""
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 16, "val": 8, "test": 8})
    overrides = [*TINY, "train.epoch=2", "train.stop_auc=0"]
    (tmp_path / "rows.json").write_text(
        json.dumps({"tiny": {"config": "demo.json", "overrides": overrides, "minutes": 1}})
    )
    for seed in (0, 1):
        folder = tmp_path / "tiny" / str(seed)
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps({"acc": 0.5, "auc": 0.5 + seed / 4}))
    (found,) = rows(tmp_path).values()
    return found


@pytest.fixture
def texts(tmp_path):
    return [f"output_dir={tmp_path}", "device=cpu"]


def test_a_row_is_trained_scored_and_compared(row, texts, tmp_path):
    acc, auc = reproduce(row, texts, seeds=[0])
    scores = json.loads((tmp_path / "reproduce-tiny-s0" / "test" / "metrics.json").read_text())
    assert (acc.found, auc.found) == (scores["acc"], scores["auc"])
    assert auc.committed == 0.625


def test_an_interrupted_row_goes_on(row, texts, tmp_path):
    """Guards against hours that are lost to Ctrl-C: each seed was started from nothing."""

    def interrupted(text):
        if "reproduce-tiny-s1" in text:
            interrupted.seed = 1
        if interrupted.seed == 1 and text.startswith("epoch   1/2"):
            os.kill(os.getpid(), signal.SIGINT)

    interrupted.seed = 0
    with pytest.raises(Interrupted, match="stopped in epoch 2, step 0"):
        reproduce(row, texts, report=interrupted)
    finished, begun = (tmp_path / f"reproduce-tiny-s{seed}" for seed in (0, 1))
    before = (finished / "last.pth").stat().st_mtime_ns, (finished / "test").stat().st_mtime_ns
    assert len((begun / "log.jsonl").read_text().splitlines()) == 1

    told = []
    found = reproduce(row, texts, report=told.append)
    after = (finished / "last.pth").stat().st_mtime_ns, (finished / "test").stat().st_mtime_ns
    assert before == after
    assert f"{finished} is finished: its scores are kept" in told
    assert "resumes after epoch 1, step 0" in told

    whole = [texts[1], f"output_dir={tmp_path / 'whole'}"]
    assert found == reproduce(row, whole)
    one, other = (
        checkpoint.load(folder / "reproduce-tiny-s1" / "last.pth").weights
        for folder in (tmp_path, tmp_path / "whole")
    )
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_a_finished_seed_without_scores_is_scored(row, texts, tmp_path):
    """Guards against a training that is repeated since only its scoring was interrupted."""
    first = reproduce(row, texts, seeds=[0])
    scores = tmp_path / "reproduce-tiny-s0" / "test" / "metrics.json"
    scores.unlink()
    told = []
    assert reproduce(row, texts, seeds=[0], report=told.append) == first
    assert any("is finished: 2 epochs are done" in text for text in told)
    assert scores.is_file()


def test_a_seed_with_another_configuration_is_left_alone(row, texts, tmp_path):
    """Guards against a trial of one epoch that is kept, or trained on, as a seed of the row."""
    reproduce(row, [*texts, "train.epoch=1"], seeds=[1])
    kept = (tmp_path / "reproduce-tiny-s1" / "last.pth").read_bytes()
    with pytest.raises(InputError) as caught:
        reproduce(row, texts)
    assert (
        "reproduce-tiny-s1 has another configuration: train.epoch (was 1, here 2); --replace "
        in (str(caught.value))
    )
    assert (tmp_path / "reproduce-tiny-s1" / "last.pth").read_bytes() == kept
    assert not (tmp_path / "reproduce-tiny-s0").exists()  # refused before hours of training
    reproduce(row, [*texts, "root=elsewhere", "train.save_every=1"], seeds=[1], replace=True)
    reproduce(row, texts, seeds=[1])  # where things lie changes no score
    assert checkpoint.load(tmp_path / "reproduce-tiny-s1" / "last.pth").epoch == 2


def test_a_command_that_is_interrupted_says_what_continues_it(monkeypatch, capsys):
    def stopped(*args, **options):
        raise Interrupted(signal.SIGTERM, "stopped in epoch 3, step 7")

    monkeypatch.setattr("lmttm.sweeps.reproduce.reproduce", stopped)
    assert script.main(["base"]) == 143
    told = "stopped in epoch 3, step 7; the same command continues it\n"
    assert capsys.readouterr().err == told
    assert script.main(["base", "--replace"]) == 143
    assert "the same command without --replace continues it" in capsys.readouterr().err


def test_the_command_lists_the_rows_and_refuses_others(capsys):
    assert script.main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in json.loads((RESULTS / "rows.json").read_text()))
    assert script.main(["nothing"]) == 2
    assert "there is no row nothing; there are adrenalmnist3d" in capsys.readouterr().err
    assert script.main(["--replace"]) == 2
    assert "--replace needs a row, or --all" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"rows\.json is missing"):
        rows(RESULTS / "nowhere")
