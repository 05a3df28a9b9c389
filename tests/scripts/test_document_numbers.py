"""Numbers in the documents, computed anew from the raw numbers in results/ and from the models."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from lmttm.config.files import load_config
from lmttm.config.kinds import DATASETS, PHANTOM
from lmttm.evaluation.comparison import over_folds, over_seeds
from lmttm.report.published import published
from lmttm.sweeps.cost import cost
from lmttm.sweeps.plan import find_sweep, load_sweep, make_trials
from lmttm.sweeps.reproduce import rows

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
README, ACCURACY, ABLATIONS, PERFORMANCE = (
    (ROOT / name).read_text()
    for name in ("README.md", "docs/accuracy.md", "docs/ablations.md", "docs/performance.md")
)


def seeds_of(folder):
    paths = [p for p in sorted((RESULTS / folder).glob("*/metrics.json")) if p.parts[-2].isdigit()]
    if paths:
        return [json.loads(path.read_text()) for path in paths]
    lines = (RESULTS / folder / "seeds.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def value(row, key):
    """A score of a run: a key of metrics.json, or sensitivity, specificity, validation AUC."""
    if key in ("specificity", "sensitivity"):
        return row["per_class"]["recall"][key == "sensitivity"]
    return row["validation"]["val_auc"] if key == "validation" else row[key]


def shown(found, key, plain=False):
    values = [row[key] if plain else value(row, key) for row in found]
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def cells(document, first):
    """The cells of the line of a table that begins so; the line must be the only one."""
    (line,) = [line for line in document.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


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


def part(document, title):
    """A section of a document, up to the next title."""
    return re.split(r"^## ", document.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def prose(text):
    return " ".join(text.split())


def under_bold_lines(section):
    """The lines of a table by the bold line above them: name -> first cell -> other cells."""
    found, name = {}, ""
    for line in section.splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| **"):
            name = row[0].strip("*")
            found[name] = {}
        elif line.startswith("| ") and name:
            found[name][row[0]] = row[1:]
    return found


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


def test_published_numbers_are_the_papers():
    for name in DATASETS:
        if name == PHANTOM:
            continue
        (ttm, lmttm) = published(name)[-2:]
        texts = [f"{acc:.3f} / {auc:.3f}".replace("0.", ".") for _, auc, acc in (lmttm, ttm)]
        assert cells(README, name)[:2] == texts, name


def test_the_best_published_scores_are_those_of_the_tables():
    """Guards against a best published network that is not the best of its table."""
    table = part(ACCURACY, "Beside published results")
    names = ("AdrenalMNIST3D", "VesselMNIST3D")
    for size, methods in {
        28: ("LMTTM", "ResNet-18 ACS", "auto-sklearn"),
        64: ("ResNet-50 3D", "Raptor-B", "Raptor, ", "VoCo-L", "SuPreM"),
    }.items():
        for method in methods:
            found = [row for name in names for row in published(name, size) if method in row[0]]
            found = [row for row in found if not row[0].startswith("TTM")]
            texts = [f"{acc:.3f} / {auc:.3f}".replace("0.", ".") for _, auc, acc in found]
            lines = [line for line in table.splitlines() if line.startswith(f"| {method}")]
            assert [cell.strip() for cell in lines[0].strip("|").split("|")][1:3] == texts, method
    for name in names:
        for size, papers in {28: lambda row: "paper" not in row[0], 64: lambda row: True}.items():
            rows_of = [row for row in published(name, size) if papers(row)]
            by_auc, by_acc = (max(rows_of, key=lambda row: row[key]) for key in (1, 2))
            table = README.split("64^3, not comparable")[size == 64]
            shown_best = [line for line in table.splitlines() if line.startswith("| best AUC")]
            both = [by_auc] if by_auc == by_acc else [by_auc, by_acc]
            text = " | ".join(
                " / ".join(f"{row[key]:.3f}".replace("0.", ".") for row in both) for key in (2, 1)
            )
            assert any(text in line for line in shown_best), (name, size, text)


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
