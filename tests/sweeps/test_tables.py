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
