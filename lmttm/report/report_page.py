"""The report of a run: one HTML file that opens from disk."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lmttm.config.kinds import METRICS
from lmttm.data.chosen import Arrays
from lmttm.report import page, sheet
from lmttm.report.curves import curves
from lmttm.report.published import REPORTED_BY, published
from lmttm.report.sentences import percent
from lmttm.report.style import to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BUDGET = 3_000_000  # characters of volumes: the whole file stays under 5 MB

_MEANINGS = {
    **{name: (metric.label, metric.meaning) for name, metric in METRICS.items()},
    "majority": ("majority rate", "ACC of always answering the most frequent class"),
    "ece": ("calibration error", "mean distance of probabilities from the share that is right"),
}


def report_page(
    *,
    title: str,
    facts: Mapping[str, str],
    protocol: Sequence[str],
    scores: Mapping[str, Any],
    history: list[dict[str, Any]],
    labels: np.ndarray,
    probabilities: np.ndarray,
    images: np.ndarray | Arrays,
    class_names: Sequence[str],
    volume_names: Sequence[str],
    limits: Sequence[str],
    commands: Sequence[str],
    size: int | Sequence[int],
    score_figure: "Figure",
    notices: Sequence[str] = (),
) -> str:
    """Builds the report.

    Args:
        title: The run, the data set and the split.
        facts: What was trained on what, by name.
        protocol: How it was scored, as sentences.
        scores: What metrics.json holds.
        history: The records of the epochs; may be empty.
        labels: `(N)` integers.
        probabilities: `(N C)`.
        images: `(N D H W)` uint8.
        class_names: The C names.
        volume_names: The N names of the volumes, such as file names.
        limits: What the scores do not show, as sentences.
        commands: What repeats the run.
        size: Voxels along an edge of the volumes, or of each axis.
        score_figure: The picture of the scores.
        notices: What a reader must know first, as sentences.

    Returns:
        HTML that needs nothing else.
    """
    shown = _Volumes(labels, probabilities, images, class_names, volume_names)
    wrong = shown.add(sheet.most_wrong(labels, probabilities))
    typical = shown.add(sheet.most_typical(labels, probabilities, 2 if len(class_names) < 5 else 1))
    drawn = to_svg(curves(history), f"{title}: training") if history else ""
    rows, note = _published(scores, size)
    columns = ("precision", "recall", "f1", "specificity", "support")
    return page.page(
        "report.html",
        title=title,
        notices=notices,
        data={"volumes": shown.packed, "slabs": None},
        facts=facts,
        protocol=protocol,
        scores=_score_rows(scores),
        class_columns=["precision", "recall (sensitivity)", "F1", "specificity", "volumes"],
        classes=[
            {
                "name": name,
                "values": [_number(scores["per_class"][key][index]) for key in columns],
            }
            for index, name in enumerate(class_names)
        ],
        score_figure=page.markup(to_svg(score_figure, f"{title}: scores")),
        curve_figure=page.markup(drawn),
        published=rows,
        published_note=note,
        wrong=wrong,
        typical=typical,
        left_out=shown.left_out,
        limits=limits,
        commands=commands,
    )


class _Volumes:
    """Collects volumes for the viewer until the budget is spent."""

    def __init__(
        self,
        labels: np.ndarray,
        probabilities: np.ndarray,
        images: np.ndarray | Arrays,
        class_names: Sequence[str],
        volume_names: Sequence[str],
    ) -> None:
        self.labels = labels
        self.probabilities = probabilities
        self.images = images
        self.class_names = class_names
        self.volume_names = volume_names
        self.packed: list[dict[str, Any]] = []
        self.left_out = 0
        self._left = _BUDGET

    def add(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Packs volumes; gives what the page says about those that fit."""
        shown = []
        for index in indices:
            volume = self.images[index]
            found = page.packed(volume, start=sheet.centre_of(volume))
            if len(found["voxels"]) > self._left:
                self.left_out += 1
                continue
            self._left -= len(found["voxels"])
            answer = int(self.probabilities[index].argmax())
            shown.append(
                {
                    "number": len(self.packed),
                    "name": self.volume_names[index],
                    "label": self.class_names[self.labels[index]],
                    "prediction": self.class_names[answer],
                    "probability": percent(self.probabilities[index, answer]),
                }
            )
            self.packed.append(found)
        return shown


def _number(value: float | None) -> str:
    if value is None:
        return "not defined"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _score_rows(scores: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = []
    for key, (name, meaning) in _MEANINGS.items():
        if key not in scores:
            continue
        interval = (scores.get("interval") or {}).get(key)
        reach = f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else ""
        value = _number(scores[key])
        rows.append({"name": name, "value": value, "interval": reach, "meaning": meaning})
    return rows


def _published(
    scores: Mapping[str, Any], size: int | Sequence[int]
) -> tuple[list[dict[str, Any]], str]:
    shown = size if isinstance(size, int) and size in REPORTED_BY else 28
    rows = [
        {"name": name, "auc": f"{auc:.3f}", "acc": f"{acc:.3f}", "ours": False}
        for name, auc, acc in published(scores["dataset"], shown)
    ]
    if not rows:
        return [], ""
    ours = {"auc": _number(scores["auc"]), "acc": _number(scores["acc"]), "ours": True}
    note = f"Test split, volumes of {shown}^3, as {REPORTED_BY[shown]}."
    if scores["split"] != "test" or size != shown:
        note += " This run was scored on another split or size: the rows cannot be compared."
    return [{"name": "this run", **ours}, *rows], note
