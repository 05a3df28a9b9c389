"""Runs of several folds: out-of-fold predictions, and their ensemble."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import lmttm
from lmttm.data import phantoms
from lmttm.data.dataset import Split
from lmttm.errors import InputError
from lmttm.runs.folds import _patients, are_folds, predict_folds
from tests.conftest import TINY


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    former, phantoms.SPLITS = phantoms.SPLITS, {"train": 24, "val": 12, "test": 10}
    options = [*TINY, f"output_dir={folder}", "device=cpu", "folds=3"]
    for fold in range(3):
        options_of = [*options, f"fold={fold}", f"train.name=f{fold}"]
        lmttm.train(lmttm.load_config("demo.json", options_of))
    yield folder, lambda *names: lmttm.open_run("demo.json", options, names=names)
    phantoms.SPLITS = former


def test_out_of_fold_predictions_are_pooled_into_one_table(runs):
    """Guards against a scan that is scored by a run which was trained on it."""
    _, opened = runs
    pooled = opened("f0", "f1", "f2").score("val")
    assert len(pooled.labels) == 36
    single = np.concatenate([opened(f"f{n}").score("val").probabilities for n in range(3)])
    np.testing.assert_array_equal(pooled.probabilities, single)
    assert pooled.metrics["n"] == 36


def test_the_test_split_is_scored_by_the_mean_of_all_folds(runs):
    _, opened = runs
    mean = np.mean([opened(f"f{n}").score("test").probabilities for n in range(3)], axis=0)
    np.testing.assert_allclose(opened("f0", "f1", "f2").score("test").probabilities, mean)


def test_no_run_is_independent_of_the_training_split(runs):
    _, opened = runs
    run = opened("f0", "f1")
    assert are_folds(run.members)
    with pytest.raises(InputError, match="got train"):
        run.score("train")
    twice = replace(run, members=(*run.members, run.members[0]), names=("f0", "f1", "f0"))
    with pytest.raises(InputError, match="each fold once"):
        predict_folds(twice, "val")
    with pytest.raises(InputError, match="--calibrate and --threshold cannot"):
        run.score("test", calibrate=True)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_data_set_that_was_replaced_is_noticed(runs, split, caplog):
    """Guards against folds that are scored on other volumes without a word: one run warned."""
    _, opened = runs
    run = opened("f0", "f1", "f2")
    predict_folds(run, split)
    assert caplog.text == ""
    members = (run.members[0], replace(run.members[1], data="test:0 val:0"), run.members[2])
    predict_folds(replace(run, members=members), split)
    assert caplog.text.count("was replaced since") == 1
    assert "was replaced since f1 was trained on it" in caplog.text


def test_patients_are_pooled_in_the_order_of_the_scans():
    """Guards against intervals over the patients of other scans."""
    empty = torch.zeros(2, 1, 1, 1, dtype=torch.uint8)
    known = Split("val", empty, torch.zeros(2, dtype=torch.int64), patients=("p", "q"))
    unknown = replace(known, patients=None)
    assert _patients([known, unknown, known]) == ("p", "q", "", "", "p", "q")
    assert _patients([unknown, unknown]) is None
