"""Splits by class that keep a patient's scans together."""

import numpy as np
import pytest

from lmttm.data.splitting import draw_splits, folds
from lmttm.errors import InputError

LABELS = [0, 0, 0, 1, 1, 1] * 20
PATIENTS = [f"p{index // 3}" for index in range(120)]


def test_splits_are_stratified_and_patients_stay_together():
    splits = np.array(draw_splits(LABELS, PATIENTS))
    for split, share in (("train", 0.64), ("val", 0.16), ("test", 0.2)):
        assert abs((splits == split).mean() - share) < 0.05
        assert abs(np.array(LABELS)[splits == split].mean() - 0.5) < 0.15
    for patient in set(PATIENTS):
        assert len({s for s, p in zip(splits, PATIENTS, strict=True) if p == patient}) == 1
    assert draw_splits(LABELS, PATIENTS) == splits.tolist()


def test_folds_hold_each_scan_once():
    cuts = folds(LABELS, PATIENTS, 4)
    assert sorted(index for _, own in cuts for index in own) == list(range(120))
    for others, own in cuts:
        assert not {PATIENTS[i] for i in others} & {PATIENTS[i] for i in own}


def test_too_few_patients_are_told():
    """Guards against three scans of one patient counted as three."""
    with pytest.raises(InputError, match=r"at least 5 patients .* got 2 of class 1"):
        folds([0] * 9 + [1] * 6, [f"p{i // 3}" for i in range(15)], 5)
    with pytest.raises(InputError, match=r"^2 patients \(or scans\) of malignant are too few"):
        draw_splits([0] * 9 + [1] * 6, [f"p{i // 3}" for i in range(15)], ("benign", "malignant"))


def test_too_few_patients_to_draw_from_are_counted_in_the_whole_set():
    """Guards against "5 parts need ..., got 4" where the table has 6 and no folds were given."""
    labels = [0, 0, 1, 1] * 6
    patients = [f"p{index // 2}" for index in range(24)]
    with pytest.raises(InputError, match=r"^6 patients \(or scans\) of benign .* column split$"):
        draw_splits(labels, patients, ("benign", "malignant"))
