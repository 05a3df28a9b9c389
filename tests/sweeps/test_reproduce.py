"""Rows of the tables repeated: what agrees, and that each row can be run."""

import json

import numpy as np
import pytest
from scipy import stats

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.errors import InputError
from lmttm.sweeps.reproduce import RESULTS, compare, reproduce, rows
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
    assert compare("auc", [0.5], [0.9]).agrees is None


def test_a_row_is_trained_scored_and_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 16, "val": 8, "test": 8})
    (tmp_path / "rows.json").write_text(
        json.dumps({"tiny": {"config": "demo.json", "overrides": list(TINY), "minutes": 1}})
    )
    for seed in (0, 1):
        folder = tmp_path / "tiny" / str(seed)
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps({"acc": 0.5, "auc": 0.5 + seed / 4}))
    (row,) = rows(tmp_path).values()
    acc, auc = reproduce(row, [f"output_dir={tmp_path}", "device=cpu"], seeds=[0])
    scores = json.loads((tmp_path / "reproduce-tiny-s0" / "test" / "metrics.json").read_text())
    assert (acc.found, auc.found) == (scores["acc"], scores["auc"])
    assert auc.committed == 0.625


def test_the_command_lists_the_rows_and_refuses_others(capsys):
    assert script.main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in json.loads((RESULTS / "rows.json").read_text()))
    assert script.main(["nothing"]) == 2
    assert "there is no row nothing; there are adrenalmnist3d" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"rows\.json is missing"):
        rows(RESULTS / "nowhere")
