"""What was tried, folds, ablations and costs in the documents, from results/ and the models."""

import json
import re

import numpy as np
import pytest

from lmttm.config.files import load_config
from lmttm.evaluation.comparison import over_folds
from lmttm.sweeps.cost import cost
from lmttm.sweeps.plan import find_sweep, load_sweep, make_trials
from tests.scripts.documents import (
    ABLATIONS,
    ACCURACY,
    PERFORMANCE,
    README,
    RESULTS,
    cells,
    part,
    prose,
)


def folds_table():
    """Of each line of results/folds.json: its name, AUC, gain, folds that gain and ACC."""
    found = json.loads((RESULTS / "folds.json").read_text())
    by_name = {(row["data"], row["label"]): row for row in found}
    assert len(by_name) == len(found)
    for row in found:
        auc = [value for value in row["auc"] if value is not None]
        mean, acc = f"{np.mean(auc):.3f}", f"{row['acc']:.3f}"
        if row["against"] is None:
            yield f"| **{row['data']}: {row['label']}** | {mean} | | {len(auc)} | {acc} |"
            continue
        other = by_name[row["data"], row["against"]]["auc"]
        gains = [a - b for a, b in zip(row["auc"], other, strict=True) if None not in (a, b)]
        interval = over_folds(gains, len(other))
        gain = f"{interval.mean:+.3f} ({interval})" if interval else f"{gains[0]:+.3f}"
        better = f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
        yield f"| {row['label']} | {mean} | {gain} | {better} | {acc} |"


def test_the_table_of_what_was_tried_is_that_of_the_folds():
    lines = part(ACCURACY, "What was tried").splitlines()
    for line in folds_table():
        assert line in lines
    rows_shown = [line for line in lines if line.startswith("| ") and "| gain," not in line]
    again = "| **AdrenalMNIST3D: 24 epochs** |"  # a line that others are compared with as well
    shown_once = [line for line in rows_shown if not line.startswith(again)]
    assert len(shown_once) == len(list(folds_table()))


def two_digits(number):
    return f"{number:#.2g}".removesuffix(".")


def test_parameters_and_arithmetic_of_the_networks():
    """accuracy.md and performance.md give the same numbers."""
    costs = [
        cost(load_config(name, overrides))
        for name, overrides in [
            ("adrenalmnist3d.json", []),
            ("adrenalmnist3d.json", ["model.model=ttm"]),
            ("resnet3d.json", []),
            ("base.json", []),
        ]
    ]
    first, ttm, resnet, base = (f"{two_digits(count / 1e6)} M" for count, _ in costs)
    arithmetic = [two_digits(gflop) for _, gflop in costs]
    assert (
        f"The recipe has {first} parameters and {arithmetic[0]} GFLOP a volume, TTM {ttm} and "
        f"{arithmetic[1]}, the 3D ResNet-18 {resnet} and {arithmetic[2]}, `base.json` {base} and "
        f"{arithmetic[3]}"
    ) in prose(ACCURACY)
    plain = cost(load_config("base.json", ["fast=false"]))[1]
    fast = costs[3][1]
    assert cells(PERFORMANCE, "GFLOP of one volume's forward pass")[:2] == [
        f"{plain:.2f}",
        f"{fast:.2f}",
    ]
    assert f"`base.json`: P = {costs[3][0] / 1e6:.2f} M, F = {fast:.2f}" in PERFORMANCE
    recipe = f"P = {costs[0][0] / 1e6:.3f} M, F = {costs[0][1]:.3f}"
    assert f"`adrenalmnist3d.json`: {recipe}" in PERFORMANCE


def test_variants_of_the_ablation_have_these_parameters_and_this_arithmetic():
    sweep = load_sweep(find_sweep("what_helps.json"))
    seen = {}
    for trial in make_trials(sweep, [], "runs"):
        (label,) = trial.labels.values()
        if label not in seen:
            seen[label] = cost(trial.config)
    for table in (ABLATIONS.split("## Phantoms")[0], ABLATIONS.split("## Phantoms")[1]):
        for label, (parameters, gflop) in seen.items():
            lines = [line for line in table.splitlines() if line.startswith(f"| {label} | 5 |")]
            got = [cell.strip() for cell in lines[0].strip("|").split("|")][-3:-1]
            assert got == [str(parameters), f"{round(gflop, 4):.3f}"], label


def test_differences_of_the_ablation_are_those_of_the_means():
    """Both were rounded, so a difference may be off by one in the last digit."""
    for table in (ABLATIONS.split("## Phantoms")[0], ABLATIONS.split("## Phantoms")[1]):
        head, *_ = [line for line in table.splitlines() if line.startswith("| variant | runs")]
        columns = [cell.strip() for cell in head.strip("|").split("|")]
        means = {}
        for line in table.splitlines():
            row = [cell.strip(" *") for cell in line.strip("|").split("|")]
            if len(row) == len(columns) and row[1] == "5":
                means[row[0]] = {
                    name: float(cell.split()[0])
                    for name, cell in zip(columns[2:], row[2:], strict=True)
                }
        assert len(means) == 9
        score, compared = "", 0
        for line in table.splitlines():
            if found := re.search(r"difference in (\w+)", line):
                score = found[1]
            row = [cell.strip() for cell in line.strip("|").split("|")]
            if len(row) == 5 and row[1] == "LMTTM":
                difference = means[row[0]][score] - means["LMTTM"][score]
                assert float(row[2]) == pytest.approx(difference, abs=0.0016), row
                low, high = map(float, row[3].split(" to "))
                assert (low + high) / 2 == pytest.approx(float(row[2]), abs=0.0011), row
                assert low < 0 < high
                compared += 1
        assert compared in (8, 16)


def test_means_of_folds_are_those_of_the_folds_beside_them():
    found = re.findall(r"\| (0\.\d{4}) \| ((?:\.\d{3} ){4}\.\d{3}) \|", PERFORMANCE)
    assert len(found) == 2
    for mean, folds in found:
        assert np.mean([float(text) for text in folds.split()]) == pytest.approx(
            float(mean), abs=0.0006
        )


def test_the_step_of_the_folds_has_its_interval():
    found = {row["label"]: row["auc"] for row in json.loads((RESULTS / "folds.json").read_text())}
    gain = over_folds(np.subtract(found["volumes of 64^3"], found["72 epochs"]).tolist(), 5)
    text = f"gained {gain.mean:.3f} ± {(gain.high - gain.low) / 2:.3f} of AUC"
    assert text in prose(ACCURACY)
    assert f"{gain.mean:.3f} ± {(gain.high - gain.low) / 2:.3f}" in README
