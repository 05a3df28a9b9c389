"""The published tables: the numbers of the papers, whose means the papers state themselves."""

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


def test_means_from_64_voxels_are_those_of_the_paper():
    """Its table A.1 has the mean over the six data sets, its table 3 the scores of each."""
    rows = [row for name in NAMES for row in published(name, 64) if "Raptor, " in row[0]]
    assert len(rows) == 6
    np.testing.assert_allclose(
        np.mean([row[1:] for row in rows], axis=0), (0.907, 0.835), atol=6e-4
    )


def test_another_data_set_or_size_has_no_rows():
    assert published("PhantomMNIST3D") == published("my/folder") == []
    assert published("PhantomMNIST3D", 64) == published(NAMES[0], 32) == []
