"""Scores in the documents, computed anew from the raw numbers in results/."""

import json
import re

import numpy as np
import pytest

from lmttm.config.files import load_config
from lmttm.evaluation.comparison import over_seeds
from lmttm.sweeps.reproduce import rows
from tests.scripts.documents import (
    ABLATIONS,
    ACCURACY,
    README,
    RESULTS,
    cells,
    part,
    prose,
    seeds_of,
    shown,
    under_bold_lines,
    value,
)


@pytest.mark.parametrize(
    ("folder", "count"),
    [
        ("adrenalmnist3d", 5),
        ("adrenalmnist3d_ttm", 5),
        ("adrenalmnist3d_size64", 5),
        ("vesselmnist3d", 5),
        ("vesselmnist3d_ttm", 5),
        ("vesselmnist3d_size64", 5),
        ("forest/28_test", 5),
        ("forest/64_test", 5),
        ("forest/vessel_28_test", 5),
        ("forest/vessel_64_test", 5),
    ],
)
def test_means_in_the_documents_are_those_of_the_raw_numbers(folder, count):
    """Guards against a table whose numbers nobody can find."""
    found = seeds_of(folder)
    assert len(found) == count
    for key in ("acc", "auc"):
        assert shown(found, key) in README
        assert shown(found, key) in ACCURACY


def test_the_readme_has_every_measured_row():
    lines = {
        "adrenalmnist3d": "recipe",
        "adrenalmnist3d_ttm": "TTM with the recipe",
        "resnet3d": "3D ResNet-18 with the recipe",
        "base": "published hyper-parameters",
        "vesselmnist3d": "the same recipe, unchanged",
        "vesselmnist3d_ttm": "TTM with the same recipe",
        "vesselmnist3d_resnet3d": "3D ResNet-18 with the same recipe",
        "adrenalmnist3d_size64": "AdrenalMNIST3D, the same recipe",
        "vesselmnist3d_size64": "VesselMNIST3D, the same recipe",
    }
    assert lines.keys() == rows().keys()
    for folder, first in lines.items():
        found = seeds_of(folder)
        got = [cell.strip("*") for cell in cells(README, first)[:3]]
        assert got == [shown(found, "acc"), shown(found, "auc"), str(len(found))], first
    for folder in ("28_test", "64_test", "vessel_28_test", "vessel_64_test"):
        found = seeds_of(f"forest/{folder}")
        assert f"| {shown(found, 'acc')} | {shown(found, 'auc')} | 5 | < 1 |" in README, folder


@pytest.mark.parametrize("folder", ["adrenalmnist3d", "vesselmnist3d"])
def test_what_linked_units_bring(folder):
    """Guards against a "none" that an interval without 0 contradicts."""
    pairs = list(zip(seeds_of(folder), seeds_of(f"{folder}_ttm"), strict=True))
    found = [over_seeds([lmttm[key] - ttm[key] for lmttm, ttm in pairs]) for key in ("acc", "auc")]
    assert all(score.low < 0 < score.high for score in found)
    acc, auc = (f"{score.mean:+.3f} ({score})" for score in found)
    assert f"none (95 % interval over seeds) | {acc} | {auc} | 5 |" in README


@pytest.mark.parametrize(
    "folder",
    ["adrenalmnist3d", "adrenalmnist3d_size64", "vesselmnist3d", "vesselmnist3d_size64"],
)
def test_ensembles_have_their_scores_and_intervals(folder):
    found = json.loads((RESULTS / folder / "ensemble" / "metrics.json").read_text())
    for key in ("acc", "auc"):
        low, high = found["interval"][key]
        text = f"{found[key]:.3f} ({low:.3f} to {high:.3f})"
        assert text in README
        assert text in ACCURACY


RUNS = {
    "AdrenalMNIST3D, 28^3": {
        "the recipe": "adrenalmnist3d",
        "TTM": "adrenalmnist3d_ttm",
        "3D ResNet-18": "resnet3d",
        "`base.json`, 20 epochs": "base",
        "forest, 14 shape features": "forest/28_test",
    },
    "AdrenalMNIST3D, 64^3": {
        "the recipe": "adrenalmnist3d_size64",
        "forest, 14 shape features": "forest/64_test",
    },
    "VesselMNIST3D, 28^3": {
        "the recipe": "vesselmnist3d",
        "TTM": "vesselmnist3d_ttm",
        "3D ResNet-18": "vesselmnist3d_resnet3d",
        "forest, 14 shape features": "forest/vessel_28_test",
    },
    "VesselMNIST3D, 64^3": {
        "the recipe": "vesselmnist3d_size64",
        "forest, 14 shape features": "forest/vessel_64_test",
    },
}


def test_the_table_of_scores_is_complete_and_that_of_the_raw_numbers():
    table = under_bold_lines(part(ACCURACY, "Scores").split("\n- A seed")[0])
    assert list(table) == list(RUNS)
    keys = ("acc", "auc", "balanced_acc", "sensitivity", "specificity", "ece", "validation")
    for group, folders in RUNS.items():
        ensembles = {"its ensemble, 95 % interval over volumes"} & set(table[group])
        assert set(table[group]) == set(folders) | ensembles
        for first, folder in folders.items():
            found = seeds_of(folder)
            known = keys if "forest" not in first else keys[:3]
            expected = [str(len(found)), *(shown(found, key) for key in known)]
            assert table[group][first][: len(expected)] == expected, (group, first)
        ensemble = json.loads(
            (RESULTS / folders["the recipe"] / "ensemble/metrics.json").read_text()
        )
        expected = [f"{value(ensemble, key):.3f}" for key in keys[2:6]]
        assert table[group]["its ensemble, 95 % interval over volumes"][3:7] == expected
    forest = table["AdrenalMNIST3D, 28^3"]["forest, 14 shape features"]
    assert forest[7] == shown(seeds_of("forest/28_val"), "auc")
    measured = {folder for folders in RUNS.values() for folder in folders.values()}
    assert rows().keys() <= measured


def test_the_gain_from_64_voxels_on_the_test_split():
    small, large = seeds_of("adrenalmnist3d"), seeds_of("adrenalmnist3d_size64")
    auc, acc = (
        np.mean([r[k] for r in large]) - np.mean([r[k] for r in small]) for k in ("auc", "acc")
    )
    assert f"gained {auc:.3f} of AUC and {acc:.3f} of ACC" in prose(ACCURACY)


def test_every_target_stands_with_its_distance():
    lines = [line for line in part(ACCURACY, "Targets").splitlines() if "MNIST3D, " in line]
    lines = [line for line in lines if line.startswith("| ")]
    assert len(lines) == 6
    for line in lines:
        name, target, reached, short = (cell.strip() for cell in line.strip("|").split("|"))
        group, score = name.rsplit(", ", 1)
        mean = np.mean([row[score.lower()] for row in seeds_of(RUNS[group]["the recipe"])])
        assert reached == f"{mean:.3f}"
        assert short == f"{float(target) - round(float(mean), 3):.3f}"
        assert float(short) > 0


def test_ttm_against_linked_units_in_words():
    for name in ("AdrenalMNIST3D", "VesselMNIST3D"):
        pairs = zip(seeds_of(name.lower()), seeds_of(f"{name.lower()}_ttm"), strict=True)
        found = over_seeds([ttm["auc"] - lmttm["auc"] for lmttm, ttm in pairs])
        interval = (
            f"{found}" if name == "VesselMNIST3D" else f"95 % interval over seeds only {found}"
        )
        assert f"{found.mean:+.3f} ({interval}) on {name}" in prose(ACCURACY)
        assert re.search(
            re.escape(f"{found.mean:+.3f}")
            + f"( of test AUC)?, {re.escape(str(found))}, on {name}",
            prose(ABLATIONS),
        )


def test_scores_at_the_threshold_from_validation():
    columns = []
    for row in ("vesselmnist3d", "vesselmnist3d_ttm"):
        lines = (RESULTS / row / "thresholds.jsonl").read_text().splitlines()
        seeds = [json.loads(line) for line in lines]
        assert [found["seed"] for found in seeds] == list(range(5))
        for found in seeds:
            found["balanced ACC"] = (found["sensitivity"] + found["specificity"]) / 2
        columns.append(seeds)
    names = {"threshold": "threshold", "balanced ACC at it": "balanced ACC"}
    names |= {f"{name} at it": name for name in ("sensitivity", "specificity")}
    for name, key in names.items():
        assert cells(ACCURACY, name) == [shown(seeds, key, plain=True) for seeds in columns], name
    for key in ("sensitivity", "specificity"):
        assert shown(columns[0], key, plain=True) in README


@pytest.mark.parametrize("name", rows())
def test_scores_are_of_the_weights_that_the_run_kept(name):
    """Guards against a run that was scored two epochs before its end, as one was."""
    row = rows()[name]
    config = load_config(row.config, list(row.overrides))
    for scores in seeds_of(name):
        assert scores["epoch"] == scores["validation"]["epoch"]
        if config.train.keep == "last":
            assert scores["epoch"] == config.train.epoch


def test_the_first_recipe():
    found = seeds_of("adrenalmnist3d_24epochs")
    text = " ".join(ACCURACY.split())
    assert (
        f"ACC {shown(found, 'acc')}, AUC {shown(found, 'auc')}, sensitivity "
        f"{shown(found, 'sensitivity')}, specificity {shown(found, 'specificity')}"
    ) in text


def test_seeds_with_the_same_accuracy_have_four_confusion_matrices():
    """Guards against "their confusion matrices differ": of these five, two are the same."""
    found = seeds_of("adrenalmnist3d_size64")
    assert len({row["acc"] for row in found}) == 1
    matrices = [str(row["confusion_matrix"]) for row in found]
    assert matrices[0] == matrices[3]
    assert len(set(matrices)) == 4
