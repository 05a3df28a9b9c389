"""Text for people: lines that fit a terminal and say the numbers that were computed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lmttm.data.sources import load_dataset
from lmttm.evaluation.metrics import score
from lmttm.model.build import build_model
from lmttm.report import text
from tests.report.made import LONG_CLASSES as CLASSES
from tests.report.made import own_rows


def test_a_score_has_three_digits_or_a_dash():
    assert [text.number(value) for value in (0.98765, 0.0, None)] == ["0.988", "0.000", "-"]


def test_a_run_at_a_glance(tiny, monkeypatch):
    monkeypatch.setattr("lmttm.data.phantoms.SPLITS", {"train": 9, "val": 4, "test": 6})
    model = build_model(tiny)
    lines = text.summary(tiny, load_dataset(tiny), model, torch.device("cpu")).splitlines()
    whole = "\n".join(lines)
    count = sum(parameter.numel() for parameter in model.parameters())
    for part in (
        *("PhantomMNIST3D, 28^3 voxels, 2 classes", "9 train, 4 val, 6 test"),
        *("majority rate 0.500 (val)", f"{count / 1e6:.3f} M", "cpu", str(tiny.run_dir)),
    ):
        assert part in whole
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("best", "auc"), [(True, 0.75), (False, None)])
def test_an_epoch_is_one_line(best, auc):
    record = {
        **{"epoch": 7, "train_loss": 0.5, "val_loss": 0.25, "val_auc": auc, "val_acc": 0.5},
        **{"seconds": 3.21, "best": best},
    }
    line = text.epoch_line(record, 20)
    assert line.startswith("epoch   7/20  loss 0.5000  val: loss 0.2500")
    assert f"AUC {'0.750' if auc else '-'}" in line
    assert line.endswith("*") == best
    assert len(line) <= 80


def scored(labels, probabilities):
    return {"dataset": "Some", "split": "test"} | score(np.array(labels), np.array(probabilities))


def test_the_score_table_has_a_row_for_each_class():
    scores = scored([0, 0, 0, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8]])
    lines = text.score_table(scores, CLASSES).splitlines()
    assert lines[0] == "Some, test split, 4 volumes"
    assert "  majority rate      0.750" in lines
    assert lines[2].split() == ["AUC", "1.000"]
    assert lines[3].split() == ["ACC", "0.750"]
    rows = [line[26:].split() for line in lines[-2:]]
    assert rows[0] == ["1.000", "0.667", "0.800", "1.000", "3"]
    assert rows[1] == ["0.500", "1.000", "0.667", "0.667", "1"]
    assert max(map(len, lines)) <= 80


def test_an_auc_that_is_not_defined_is_explained():
    table = text.score_table(scored([0, 0], [[0.9, 0.1], [0.4, 0.6]]), CLASSES)
    assert "not defined: a class has no volume in this split" in table
    first, second = (line.split()[-5:] for line in table.splitlines()[-2:])
    assert first == ["1.000", "0.500", "0.667", "-", "2"]
    assert second == ["0.000", "-", "0.000", "0.500", "0"]


def test_volumes_of_ones_own_are_listed_with_their_warnings():
    lines = text.inputs_table(own_rows()).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("...")
    assert lines[1].endswith("0.750")
    assert lines[2:4] == ["  warning: first", "  warning: second"]
    assert lines[4].split() == ["b.npy", "normal", "1.000"]


def test_a_long_warning_is_folded():
    """Guards against a line of 130 columns, of which a terminal breaks words."""
    row = own_rows()[0] | {
        "warnings": ["its mean intensity is 250, as of " + "no other volume " * 9]
    }
    lines = text.inputs_table([row]).splitlines()[2:]
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("  warning: its mean intensity")
    assert all(line.startswith("    ") for line in lines[1:])
    assert " ".join(map(str.strip, lines)) == f"warning: {row['warnings'][0].strip()}"


def test_a_word_that_fits_no_line_stays_whole():
    assert text.wrapped(f"see {'x' * 90}").splitlines() == ["see", f"  {'x' * 90}"]


def test_what_was_written_fits_a_terminal():
    """Guards against a line that a terminal breaks in the middle of a name."""
    assert (
        text.written(Path("runs/demo"), ["a.csv", "b.png"]) == "written to runs/demo: a.csv, b.png"
    )
    names = [f"vessel-tokens-{number}.nii.gz" for number in range(8)]
    first, *rest = text.written(Path("runs/demo"), names).splitlines()
    assert first == "written to runs/demo:"
    assert ", ".join(line.strip().rstrip(",") for line in rest).split(", ") == names
    assert max(map(len, rest)) <= 80


def test_tables_of_a_check():
    table = text.counts_table({"train": {"bad": 3, "good": 4}})
    assert table.splitlines()[1].split() == ["train", "7", "3", "4"]
    assert text.findings_table([]) == "\nno faults were found"
    assert "leak           a and b" in text.findings_table([("leak", "a and b")])
