"""Numbers in the documents, against the raw numbers in results/."""

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"


def seeds_of(folder):
    paths = [p for p in sorted((RESULTS / folder).glob("*/metrics.json")) if p.parts[-2].isdigit()]
    if paths:
        return [json.loads(path.read_text()) for path in paths]
    lines = (RESULTS / folder / "seeds.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def shown(rows, key):
    values = [row[key] for row in rows]
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


@pytest.mark.parametrize(
    "folder",
    [
        "adrenalmnist3d",
        "adrenalmnist3d_ttm",
        "adrenalmnist3d_size64",
        "forest/28_test",
        "forest/64_test",
    ],
)
def test_means_in_the_documents_are_those_of_the_raw_numbers(folder):
    """Guards against a table whose numbers nobody can find."""
    rows = seeds_of(folder)
    assert len(rows) == 5
    readme, accuracy = ((ROOT / name).read_text() for name in ("README.md", "docs/accuracy.md"))
    for key in ("acc", "auc"):
        assert shown(rows, key) in readme
        assert shown(rows, key) in accuracy


def test_the_forest_on_validation():
    rows = seeds_of("forest/28_val")
    mean = {key: np.mean([row[key] for row in rows]) for key in ("acc", "auc")}
    text = " ".join((ROOT / "docs/accuracy.md").read_text().split())
    assert f"has ACC {mean['acc']:.3f} and AUC {mean['auc']:.3f} on validation" in text


def test_seeds_with_the_same_accuracy_have_four_confusion_matrices():
    """Guards against "their confusion matrices differ": of these five, two are the same."""
    rows = seeds_of("adrenalmnist3d_size64")
    assert len({row["acc"] for row in rows}) == 1
    matrices = [str(row["confusion_matrix"]) for row in rows]
    assert matrices[0] == matrices[3]
    assert len(set(matrices)) == 4
