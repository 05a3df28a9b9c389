"""What a run found, and the files that it becomes."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmttm.data.dataset import Split
from lmttm.evaluation import metrics
from lmttm.evaluation.explanation import Explanation
from lmttm.report import heatmap, sheet, text
from lmttm.report.score_figure import scores as draw_scores
from lmttm.report.style import save
from lmttm.report.tensorboard import TensorBoard
from lmttm.storage import write_text


@dataclass(frozen=True)
class Scores:
    """Scores of a split.

    Attributes:
        metrics: What metrics.json holds.
        labels: `(N)` integers.
        probabilities: `(N classes)`.
        class_names: The names of the classes.
    """

    metrics: dict[str, Any]
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What a run says about scans of the user's own.

    Attributes:
        rows: For each scan that could be read its path, the predicted class, the
            probabilities by class, and warnings where it is unlike the training data.
        failures: For each other scan, by path, why not.
        class_names: The names of the classes.
    """

    rows: list[dict[str, Any]]
    failures: dict[str, str]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Explained:
    """An explanation of one volume.

    Attributes:
        title: The volume, its label and the answer.
        explanation: As arrays without the axis b.
        files: What was written.
    """

    title: str
    explanation: Explanation[np.ndarray]
    files: list[Path]


@dataclass(frozen=True)
class Exported:
    """An exported run.

    Attributes:
        folder: Where its files lie.
        difference: The largest difference of a logit between onnxruntime and the model.
        num_volumes: Volumes on which the two were compared.
    """

    folder: Path
    difference: float
    num_volumes: int


def write_scores(folder: Path, scores: Scores, split: Split) -> None:
    """Writes metrics.json, predictions.csv, scores.png and wrong.png, and TensorBoard's."""
    folder.mkdir(parents=True, exist_ok=True)
    labels, probabilities = scores.labels, scores.probabilities
    predictions = metrics.predict(probabilities).tolist()
    csv = text.predictions_csv(labels.tolist(), predictions, probabilities.tolist())
    write_text(folder / "predictions.csv", csv)
    write_text(folder / "metrics.json", json.dumps(scores.metrics, indent=2) + "\n")
    wrong = sheet.most_wrong(labels, probabilities)
    names = scores.class_names
    title = f"{folder.parent.name}: {scores.metrics['dataset']}, {split.name} split, "
    title += f"{len(split)} volumes"
    pictures = {
        "scores": draw_scores(
            labels, probabilities, names, title=title, intervals=scores.metrics["interval"]
        ),
        "wrong": sheet.contact_sheet(
            split.images.numpy(),
            wrong,
            labels,
            probabilities,
            names,
            title=f"{title}: most confidently wrong",
        ),
    }
    with contextlib.closing(TensorBoard(folder.parent / "tensorboard")) as board:
        for name, figure in pictures.items():
            save(folder / f"{name}.png", figure)
            board.add_figure(f"{split.name}/{name}", figure)


def answer(
    path: str, probabilities: np.ndarray, class_names: tuple[str, ...], warnings: list[str]
) -> dict[str, Any]:
    """A row of `Answers`."""
    return {
        "path": path,
        "prediction": class_names[int(probabilities.argmax())],
        "probabilities": dict(zip(class_names, probabilities.tolist(), strict=True)),
        "warnings": warnings,
    }


def write_answers(folder: Path, answers: Answers) -> None:
    """Writes predictions.json and predictions.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "predictions.json", json.dumps(answers.rows, indent=2) + "\n")
    write_text(folder / "predictions.csv", text.inputs_csv(answers.rows, answers.class_names))


def write_explanation(
    folder: Path,
    name: str,
    volume: np.ndarray,
    explanation: Explanation[np.ndarray],
    slabs: Sequence[tuple[int, int]],
    class_names: tuple[str, ...],
    label: int | None,
) -> Explained:
    """Writes two pictures and an animation.

    Args:
        folder: Where to.
        name: Of the volume, and of the files.
        volume: `(D H W)` uint8.
        explanation: As arrays without the axis b.
        slabs: The first and last slice of each step.
        class_names: The names of the classes.
        label: The true class, where it is known.

    Returns:
        The explanation with its title and files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    predicted = class_names[int(explanation.probabilities.argmax())]
    truth = f"label {class_names[label]}, " if label is not None else ""
    title = f"{name}: {truth}predicted {predicted}"
    files = [folder / f"{name}{end}" for end in (".png", "-tokens.png", ".gif")]
    above = f"{folder.parent.name}: {name}, {truth}".rstrip(", ")
    save(files[0], heatmap.draw(volume, explanation, slabs, class_names, above))
    save(files[1], heatmap.draw_tokens(volume, explanation, above))
    heatmap.animate(files[2], volume, explanation, slabs, class_names, above)
    return Explained(title, explanation, files)
