"""The tables of paired differences: which runs, which volumes, which interval."""

import numpy as np
import pytest

from lmttm.evaluation.comparison import Part, over_folds, over_seeds, over_volumes
from lmttm.sweeps.differences import Said, paired_tables

LABELS = np.arange(40) % 2


def row(kind, seed, auc, **place):
    name = "-".join(map(str, (kind, seed, *place.values())))
    return {"trial": name, "kind": kind, "seed": seed, "val_auc": auc, "test_auc": auc, **place}


def probabilities(trial):
    rng = np.random.default_rng(sum(map(ord, trial)))
    chance = np.clip(0.3 + 0.3 * LABELS + 0.3 * rng.standard_normal(40), 0, 1)
    return np.stack([1 - chance, chance], axis=1)


def predictions(trial, split):
    return Said(LABELS, probabilities(trial))


def table(rows, split="val", predictions=predictions):
    groups = {}
    for one in rows:
        groups.setdefault((one["kind"],), []).append(one)
    text = paired_tables(groups, ["kind"], [(split, "auc")], predictions)
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| b")]


def test_seeds_on_one_split_say_that_they_are_seeds_only():
    """Seed by seed, whatever their order; beside it the averaged predictions over volumes."""
    first, second = [0.6, 0.7, 0.8], [0.66, 0.74, 0.81]
    rows = [row("a", s, auc) for s, auc in enumerate(first)]
    rows += [row("b", s, auc) for s, auc in reversed(list(enumerate(second)))]
    (line,) = table(rows)
    seeds = over_seeds(np.subtract(second, first))
    means = [np.mean([probabilities(f"{k}-{s}") for s in range(3)], axis=0) for k in "ab"]
    volumes = over_volumes([Part(LABELS, *means)], "auc")
    shown = ["+0.037", str(seeds), "3 seeds only", f"{volumes.mean:+.3f}", str(volumes)]
    assert line == ["b", "a", *shown]


@pytest.mark.parametrize("split", ["val", "test"])
def test_folds_take_the_corrected_interval_over_the_means_of_their_seeds(split):
    """Guards against three seeds times three folds that count as nine independent pairs."""
    rng = np.random.default_rng(0)
    rows, means = [], []
    for fold in range(3):
        differences = rng.normal(0.02, 0.02, 3)
        means.append(differences.mean())
        for seed, difference in enumerate(differences):
            place = {"fold": fold, "folds": 3}
            rows += [row("a", seed, 0.7, **place), row("b", seed, 0.7 + difference, **place)]
    (line,) = table(rows, split)
    assert line[3:5] == [str(over_folds(means, 3)), "3 folds x 3 seeds"]

    def averaged(kind, folds):
        trials = [f"{kind}-{seed}-{fold}-3" for seed in range(3) for fold in folds]
        return np.mean([probabilities(trial) for trial in trials], axis=0)

    folds = [[0], [1], [2]] if split == "val" else [[0, 1, 2]]
    parts = [Part(LABELS, averaged("a", some), averaged("b", some)) for some in folds]
    assert line[6] == str(over_volumes(parts, "auc"))


def test_one_seed_has_an_interval_over_volumes_only():
    (line,) = table([row("a", 0, 0.6), row("b", 0, 0.7)])
    assert line[2:5] == ["+0.100", "-", "1 seed only"]
    assert " to " in line[6]


def test_a_run_without_its_partner_is_no_pair():
    rows = [row("a", 0, 0.5, fold=fold, folds=4) for fold in (0, 1)]
    rows += [row("b", 0, 0.6, fold=fold, folds=4) for fold in (0, 1, 2)]
    rows += [row("b", 1, 0.9, fold=0, folds=4), row("b", 0, None, fold=3, folds=4)]
    (line,) = table(rows)
    assert line[2:5] == ["+0.100", "+0.100 to +0.100", "2 folds"]


def test_runs_on_different_volumes_have_no_interval_over_volumes():
    """Guards against a comparison of predictions for a data set that was replaced in between."""

    def replaced(trial, split):
        labels, found, _ = predictions(trial, split)
        return Said(labels if trial.startswith("a") else labels[::-1], found)

    (line,) = table([row("a", 0, 0.6), row("b", 0, 0.7)], predictions=replaced)
    assert line[5:] == ["-", "-"]
    assert table([row("a", 0, 0.6)]) == []


def test_volumes_of_a_patient_are_drawn_together():
    """Guards against an interval of forty independent volumes that are four patients'."""
    patients = [f"p{index // 10}" for index in range(40)]

    def known(trial, split):
        return Said(LABELS, probabilities(trial), patients)

    (line,) = table([row("a", 0, 0.6), row("b", 0, 0.7)], predictions=known)
    both = [probabilities(f"{kind}-0") for kind in "ab"]
    assert line[6] == str(over_volumes([Part(LABELS, *both, patients)], "auc"))
    assert line[6] != str(over_volumes([Part(LABELS, *both)], "auc"))
