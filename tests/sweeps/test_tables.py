"""The tables of a sweep, against scipy."""

import pytest
import scipy.stats

from lmttm.sweeps.tables import interval, to_markdown


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


def trial(kind, seed, fold, auc):
    scores = {"val_auc": auc, "val_acc": 0.5, "val_balanced_acc": 0.5}
    rest = {"parameters": 1, "gflop": 1.0, "seconds_per_epoch": 1.0}
    return {"kind": kind, "seed": seed, "fold": fold, **scores, **rest}


def test_paired_differences_compare_the_same_seed_on_the_same_fold():
    """Guards against runs that are compared on other volumes: folds differ more than models."""
    rows = [
        trial(kind, seed, fold, 0.5 + fold / 10 + seed / 100 + (0.02 if kind == "b" else 0))
        for kind in "ab"
        for seed in (0, 1)
        for fold in (0, 1, 2)
    ]
    table = to_markdown(rows, ["kind"], ["val"])
    assert "| b | a | +0.020 | +0.020 to +0.020 | 6 |" in table


def test_a_trial_without_its_partner_is_no_pair():
    rows = [trial("a", 0, fold, 0.5) for fold in (0, 1)]
    rows += [trial("b", 0, fold, 0.6) for fold in (0, 1, 2)]
    rows += [trial("b", 1, 0, 0.9), trial("b", 0, 3, None)]
    table = to_markdown(rows, ["kind"], ["val"])
    assert "| b | a | +0.100 | +0.100 to +0.100 | 2 |" in table
