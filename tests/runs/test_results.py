"""What a run writes for people: tables and pictures that hold what was found."""

import csv
import json

import numpy as np

from lmttm.runs import results


def test_answers_are_written_as_json_and_csv(tmp_path):
    names = ("healthy", 'quoted "name", with comma')
    row = results.answer("scan.nii", np.array([0.25, 0.75]), names, ["unlike"])
    assert row["prediction"] == names[1]
    answers = results.Answers([row], {"other.nii": "unreadable"}, names)
    results.write_answers(tmp_path / "inputs", answers)
    assert json.loads((tmp_path / "inputs" / "predictions.json").read_text()) == [row]
    with (tmp_path / "inputs" / "predictions.csv").open(newline="") as file:
        (read,) = csv.DictReader(file)
    assert read["prediction"] == names[1]
    assert float(read[names[1]]) == 0.75
    assert read["warnings"] == "unlike"
