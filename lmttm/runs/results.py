"""What a run found, and the files that it becomes."""

import contextlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmttm.data.chosen import Arrays
from lmttm.data.dataset import Split
from lmttm.data.placement import Placement
from lmttm.data.tables import Entry, split_in_words
from lmttm.evaluation import metrics
from lmttm.evaluation.calibration import Temperature
from lmttm.evaluation.explanation import Explanation
from lmttm.evaluation.saliency import Saliency
from lmttm.evaluation.threshold import Threshold
from lmttm.report import heatmap, sheet, text
from lmttm.report.explain_page import ExplainedVolume, explain_page
from lmttm.report.map_figure import draw_maps
from lmttm.report.nifti import heat_nifti
from lmttm.report.prediction_csv import inputs_csv, predictions_csv
from lmttm.report.score_figure import scores as draw_scores
from lmttm.report.sentences import percent
from lmttm.report.style import run_names, save, to_png
from lmttm.report.tensorboard import TensorBoard
from lmttm.runs.predictor import Prediction
from lmttm.storage import last_part, printable, write_bytes, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Scores:
    """Scores of a split.

    Attributes:
        metrics: What metrics.json holds.
        labels: `(N)` integers.
        probabilities: `(N classes)`.
        class_names: The names of the classes.
        calibrated: What metrics-calibrated.json holds; None where nothing was calibrated.
        threshold: What threshold.json holds; None where none was chosen.
    """

    metrics: dict[str, Any]
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    calibrated: "Calibrated | None" = None
    threshold: dict[str, Any] | None = None

    def text(self, folder: Path) -> str:
        """What a person reads of them, with the names of the files in the folder."""
        parts = [text.score_table(self.metrics, self.class_names)]
        files = ["report.html", "metrics.json", "predictions.csv", "scores.png", "wrong.png"]
        if self.calibrated:
            parts.append(text.calibration_lines(self.calibrated.metrics))
            files += ["metrics-calibrated.json", "predictions-calibrated.csv"]
        if self.threshold:
            split = self.metrics["split"]
            parts.append(text.threshold_lines(self.threshold, split, self.class_names[1]))
            files.append("threshold.json")
        return "\n\n".join([*parts, text.written(folder, files)])


@dataclass(frozen=True)
class Calibrated:
    """The scores of a split at the temperatures of its runs.

    Attributes:
        metrics: What metrics-calibrated.json holds.
        probabilities: `(N classes)`.
    """

    metrics: dict[str, Any]
    probabilities: np.ndarray


def calibrated(
    labels: np.ndarray, prediction: Prediction, fits: Sequence[Temperature]
) -> Calibrated:
    """Scores a prediction at the temperatures of its runs, with what it was without them."""
    temperatures = [fit.value for fit in fits]
    probabilities = prediction.probabilities(temperatures)
    found = {
        "temperature": temperatures,
        "kept_at_1": [fit.kept or None for fit in fits],
        "ece": metrics.calibration_error(labels, probabilities),
        "ece_uncalibrated": metrics.calibration_error(labels, prediction.probabilities()),
        **metrics.score(labels, probabilities),
    }
    return Calibrated(found, probabilities)


@dataclass(frozen=True)
class Answers:
    """What a run says about scans of the user's own.

    Attributes:
        rows: For each case that could be read its path (in a table as that spells it, with
            `patient` and its place where that gives them), the predicted class, the
            probabilities by class, and warnings where it is unlike the training data.
        failures: For each other case, by path and place, why not.
        class_names: The names of the classes.
        temperatures: Of the calibrated probabilities; None where there are none.
        threshold: Of the class that is predicted by a threshold; None where there is none.
    """

    rows: list[dict[str, Any]]
    failures: dict[str, str]
    class_names: tuple[str, ...]
    temperatures: list[float] | None = None
    threshold: Threshold | None = None

    def text(self, folder: Path) -> str:
        """What a person reads of them, with the names of the files in the folder."""
        parts = [text.inputs_table(self.rows)]
        if self.temperatures:
            values = ", ".join(f"{value:.3f}" for value in self.temperatures)
            parts.append(f"calibrated at the stored temperature {values}")
        if self.threshold:
            point = self.threshold
            parts.append(f"threshold {point.value:.3f}, as stored ({point.rule})")
        parts.append(text.written(folder, ["predictions.csv", "predictions.json"]))
        return "\n\n".join(parts)


@dataclass(frozen=True)
class Explained:
    """An explanation of one volume.

    Attributes:
        title: The volume, its label and the answer.
        explanation: As arrays without the axis b; or what a model without steps has.
        files: What was written.
        warnings: Where the volume is unlike the training data, as sentences.
        notes: What else a reader must know about the probabilities of the run, likewise.
    """

    title: str
    explanation: Explanation[np.ndarray] | Saliency
    files: list[Path]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What a person reads of it."""
        return self.text_after(())

    def text_after(self, told: Collection[str]) -> str:
        """What a person reads of it who has read some of the notes, as of the case before it."""
        warnings = [f"warning: {warning}" for warning in self.warnings]
        notes = [note for note in self.notes if note not in told]
        lines = [text.wrapped(sentence) for sentence in (self.title, *warnings, *notes)]
        files = text.written(self.files[0].parent, [path.name for path in self.files])
        return "\n".join([*lines, files])


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


def write_scores(folder: Path, scores: Scores, split: Split) -> "Figure":
    """Writes metrics.json, predictions.csv, scores.png and wrong.png, and TensorBoard's.

    Returns:
        The picture of the scores, for the report.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels, probabilities = scores.labels, scores.probabilities
    predictions = metrics.predict(probabilities).tolist()
    paths = [printable(path) for path in split.paths or ()]
    named: Any = {
        "class_names": scores.class_names if paths else (),
        "paths": paths,
        "patients": [printable(patient) for patient in split.patients or ()],
    }
    csv = predictions_csv(labels.tolist(), predictions, probabilities.tolist(), **named)
    write_text(folder / "predictions.csv", csv)
    write_text(folder / "metrics.json", json.dumps(scores.metrics, indent=2) + "\n")
    _write_beside(folder, scores, named)
    wrong = sheet.most_wrong(labels, probabilities)
    names = scores.class_names
    title = f"{run_names(scores.metrics['runs'])}: {last_part(scores.metrics['dataset'])}, "
    title += f"{split_in_words(split.name)}, {len(split)} volumes"
    shown = f", first of {split.num_grey} channels" if split.num_grey > 1 else ""
    pictures = {
        "scores": draw_scores(
            labels,
            probabilities,
            names,
            title=title,
            threshold=scores.threshold["value"] if scores.threshold else None,
            intervals=scores.metrics["interval"],
        ),
        "wrong": sheet.contact_sheet(
            Arrays(split.images),
            wrong,
            labels,
            probabilities,
            names,
            volume_names=paths,
            title=f"{title}{shown}: most confidently wrong",
        ),
    }
    with contextlib.closing(TensorBoard(folder.parent / "tensorboard")) as board:
        for name, figure in pictures.items():
            png = to_png(figure)
            write_bytes(folder / f"{name}.png", png)
            board.add_picture(f"{split.name}/{name}", png)
    return pictures["scores"]


def _write_beside(folder: Path, scores: Scores, named: dict[str, Any]) -> None:
    """Writes what a temperature or a threshold gives; what they gave before goes."""
    for name in ("predictions-calibrated.csv", "metrics-calibrated.json", "threshold.json"):
        (folder / name).unlink(missing_ok=True)
    if scores.threshold:
        write_text(folder / "threshold.json", json.dumps(scores.threshold, indent=2) + "\n")
    if scores.calibrated:
        found = scores.calibrated
        predictions = metrics.predict(found.probabilities).tolist()
        csv = predictions_csv(
            scores.labels.tolist(), predictions, found.probabilities.tolist(), **named
        )
        write_text(folder / "predictions-calibrated.csv", csv)
        content = json.dumps(found.metrics, indent=2) + "\n"
        write_text(folder / "metrics-calibrated.json", content)


def answer(
    case: Entry,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
    warnings: list[str],
    *,
    calibrated: np.ndarray | None = None,
    threshold: float | None = None,
) -> dict[str, Any]:
    """A row of `Answers`."""
    row = {
        "path": printable(case.name),
        **case.identity,
        "prediction": class_names[int(probabilities.argmax())],
        "probabilities": dict(zip(class_names, probabilities.tolist(), strict=True)),
        "warnings": warnings,
    }
    if calibrated is not None:
        row["calibrated"] = dict(zip(class_names, calibrated.tolist(), strict=True))
    if threshold is not None:
        row["at_threshold"] = class_names[int(probabilities[1] >= threshold)]
    return row


def write_answers(folder: Path, answers: Answers) -> None:
    """Writes predictions.json and predictions.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "predictions.json", json.dumps(answers.rows, indent=2) + "\n")
    write_text(folder / "predictions.csv", inputs_csv(answers.rows, answers.class_names))


def write_explanation(
    folder: Path,
    name: str,
    explained: ExplainedVolume,
    label: int | None,
    place: Placement | None,
    command: str,
    notices: Sequence[str] = (),
) -> Explained:
    """Writes a page, pictures and, for a scan, its heat maps as NIfTI.

    A machine's slabs are shown by an animation as well. Pictures show the first grey channel; the
    page lets one choose.

    Args:
        folder: Where to.
        name: Of the volume, and of the files.
        explained: The volume and its explanation.
        label: The true class, where it is known.
        place: Where the volume lies in the scan that it was made of; None for one of a split.
        command: What repeats the explanation.
        notices: What a reader of the page must know first, as sentences.

    Returns:
        The explanation with its title and files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found, names = explained.found, explained.class_names
    truth = f"label {names[label]}, " if label is not None else ""
    answer = int(found.probabilities.argmax())
    title = f"{name}: {truth}predicted {names[answer]} ({percent(found.probabilities[answer])})"
    above = f"{folder.parent.name}: {name}, {truth}".rstrip(", ")
    files = [folder / f"{name}.html", folder / f"{name}.png"]
    write_text(files[0], explain_page(explained, title=above, commands=[command], notices=notices))
    if isinstance(found, Saliency):
        save(files[1], draw_maps(explained.grey[0], explained.maps, above))
    else:
        shown = (explained.grey[0], found, explained.slabs, names, above)
        save(files[1], heatmap.draw(*shown))
        files += [folder / f"{name}-tokens.png", folder / f"{name}.gif"]
        save(files[2], heatmap.draw_tokens(explained.grey[0], found, above))
        heatmap.animate(files[3], *shown)
    if place is not None:
        for heat_map in explained.maps:
            files.append(folder / f"{name}-{heat_map.name}.nii.gz")
            write_bytes(files[-1], heat_nifti(heat_map.heat, place))
    return Explained(title, found, files, tuple(explained.warnings), tuple(explained.notes))
