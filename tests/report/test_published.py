"""The published table: the numbers of the papers, whose means the LMTTM paper states."""

import numpy as np
import pytest

from lmttm.report.published import published

NAMES = [f"{n}MNIST3D" for n in ("Organ", "Nodule", "Fracture", "Adrenal", "Vessel", "Synapse")]


@pytest.mark.parametrize(
    ("method", "auc", "acc"),
    [
        ("ResNet-18 2.5D", 0.750, 0.731),
        ("ResNet-18 3D", 0.849, 0.767),
        ("ResNet-50 2.5D", 0.752, 0.732),
        ("ResNet-50 ACS", 0.848, 0.762),
        ("TTM (in the LMTTM paper)", 0.818, 0.802),
        ("LMTTM (paper)", 0.847, 0.824),
    ],
)
def test_means_over_the_data_sets_are_those_of_the_paper(method, auc, acc):
    rows = [row for name in NAMES for row in published(name) if row[0] == method]
    assert len(rows) == 6
    np.testing.assert_allclose(np.mean([row[1:] for row in rows], axis=0), (auc, acc), atol=6e-4)


def test_another_data_set_has_no_rows():
    assert published("PhantomMNIST3D") == published("my/folder") == []
