"""Predictions as CSV texts, which other programs read."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from lmttm.data.tables import IDENTIFYING


def predictions_csv(
    labels: list[int],
    predictions: list[int],
    probabilities: Any,
    *,
    class_names: Sequence[str] = (),
    paths: Sequence[str] = (),
    patients: Sequence[str] = (),
) -> str:
    """Of a split: index, label, prediction and one probability for each class.

    Args:
        labels: Of the volumes, as numbers.
        predictions: Likewise.
        probabilities: `(N C)`.
        class_names: The names of the classes, for two more columns; empty for none.
        paths: Those of the scans, for another; empty for none.
        patients: Those of the scans, likewise.

    Returns:
        The text. Probabilities near 1 have enough digits to keep their order.
    """
    num_classes = len(probabilities[0])
    header = ["index", "label", "prediction"] + [f"probability_{c}" for c in range(num_classes)]
    header += ["label_name", "prediction_name"] if class_names else []
    header += ["path"] if paths else []
    header += ["patient"] if patients else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    triples = zip(labels, predictions, probabilities, strict=True)
    for index, (label, prediction, row) in enumerate(triples):
        names = [class_names[label], class_names[prediction]] if class_names else []
        path = [paths[index]] if paths else []
        path += [patients[index]] if patients else []
        writer.writerow([index, label, prediction, *(f"{p:.15g}" for p in row), *names, *path])
    return text.getvalue()


def inputs_csv(rows: list[dict[str, Any]], class_names: tuple[str, ...]) -> str:
    """Of volumes of the user's own: path, prediction, one probability for each class, warnings.

    Args:
        rows: What `Answers` holds; columns of their table that identify a case follow its path.
        class_names: The names of the classes.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    calibrated = bool(rows) and "calibrated" in rows[0]
    cut = bool(rows) and "at_threshold" in rows[0]
    more = [f"calibrated {name}" for name in class_names] if calibrated else []
    more += ["at threshold"] if cut else []
    identity = [name for name in IDENTIFYING if any(name in row for row in rows)]
    writer.writerow(["path", *identity, "prediction", *class_names, *more, "warnings"])
    for row in rows:
        named = [row["path"], *(row.get(name, "") for name in identity)]
        numbers = [f"{row['probabilities'][name]:.8g}" for name in class_names]
        if calibrated:
            numbers += [f"{row['calibrated'][name]:.8g}" for name in class_names]
        if cut:
            numbers.append(row["at_threshold"])
        writer.writerow([*named, row["prediction"], *numbers, "; ".join(row["warnings"])])
    return text.getvalue()
