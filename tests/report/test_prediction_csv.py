"""Predictions as CSV: what was written is read back."""

import csv
import io

import numpy as np

from lmttm.report.prediction_csv import inputs_csv, predictions_csv
from tests.report.made import LONG_CLASSES as CLASSES
from tests.report.made import own_rows


def test_predictions_are_read_back_from_their_table():
    probabilities = [[0.123456789, 0.876543211], [1.0, 0.0]]
    rows = list(csv.DictReader(io.StringIO(predictions_csv([1, 0], [1, 0], probabilities))))
    assert [row["index"] for row in rows] == ["0", "1"]
    assert [(row["label"], row["prediction"]) for row in rows] == [("1", "1"), ("0", "0")]
    found = [[float(row["probability_0"]), float(row["probability_1"])] for row in rows]
    np.testing.assert_allclose(found, probabilities, rtol=1e-7)


def test_predictions_of_scans_name_path_and_class():
    """A path with a comma stays one cell."""
    written = predictions_csv(
        [1, 0],
        [1, 1],
        [[0.25, 0.75], [0.5, 0.5]],
        class_names=("benign", "malignant"),
        paths=("a, b.nii", "c.nii"),
    )
    one, two = csv.DictReader(io.StringIO(written))
    assert (one["path"], one["label_name"], one["prediction_name"]) == (
        "a, b.nii",
        "malignant",
        "malignant",
    )
    assert (two["index"], two["label"], two["label_name"]) == ("1", "0", "benign")


def test_volumes_of_ones_own_are_read_back_from_their_table():
    """Guards against a path with a comma that shifts the columns."""
    rows = list(csv.DictReader(io.StringIO(inputs_csv(own_rows(), CLASSES))))
    for row, expected in zip(rows, own_rows(), strict=True):
        assert row["path"] == expected["path"]
        assert row["prediction"] == expected["prediction"]
        assert [float(row[name]) for name in CLASSES] == list(expected["probabilities"].values())
        assert row["warnings"] == "; ".join(expected["warnings"])


def test_what_a_table_says_of_its_cases_stands_beside_their_paths():
    rows = own_rows()
    rows[0] |= {"patient": "P01"}
    rows[1] |= {"extent": 40.0}
    written = inputs_csv(rows, CLASSES)
    assert written.splitlines()[0].startswith("path,patient,extent,prediction,")
    one, two = csv.DictReader(io.StringIO(written))
    assert (one["patient"], one["extent"], two["patient"], two["extent"]) == ("P01", "", "", "40.0")
    assert one["warnings"] == "first; second"
