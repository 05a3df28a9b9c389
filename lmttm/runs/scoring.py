"""Scores of a run: of a split of its data set, or of a set that it has never seen."""

import logging
from collections.abc import Sequence
from pathlib import Path

from lmttm.data.dataset import Dataset
from lmttm.data.tables import ALL
from lmttm.errors import InputError
from lmttm.evaluation import calibration, metrics
from lmttm.evaluation.calibration import Temperature
from lmttm.evaluation.resampling import grouped
from lmttm.evaluation.threshold import Threshold, check_rule, choose, rates
from lmttm.runs import decisions, pages, results
from lmttm.runs.external import predict_external
from lmttm.runs.folds import are_folds, predict_folds
from lmttm.runs.predictor import Prediction, predict
from lmttm.runs.trained import Trained
from lmttm.storage import write_text

log = logging.getLogger("lmttm")


def score_split(
    run: Trained, split: str, *, calibrate: bool, threshold: str | None, progress: bool
) -> results.Scores:
    """Scores a split; see `Run.score`."""
    _check_choices(run, split, calibrate, threshold)
    if are_folds(run.members):
        dataset, prediction = predict_folds(run, split, progress=progress)
        return _written(run, dataset, split, prediction, run.folder / split)
    dataset = run.dataset((split, "val") if calibrate or threshold else (split,))
    fits: list[Temperature] = []
    cut = None
    if calibrate or threshold:
        val = dataset.splits["val"]
        seen = predict(run.members, val, run.user)
        if calibrate:
            fits = [calibration.calibrate(logits, val.labels) for logits in seen.logits]
        if threshold:
            cut = choose(val.labels.numpy(), seen.probabilities(), threshold)
        _store(run, fits, len(val), cut)
    prediction = predict(run.members, dataset.splits[split], run.user, progress=progress)
    return _written(run, dataset, split, prediction, run.folder / split, fits, cut)


def score_external(run: Trained, path: Path, *, progress: bool) -> results.Scores:
    """Scores a labelled set that the run has never seen; see `Run.validate`."""
    dataset, prediction = predict_external(run, path, progress=progress)
    return _written(run, dataset, ALL, prediction, run.external_folder(path))


def _check_choices(run: Trained, split: str, calibrate: bool, threshold: str | None) -> None:
    """What is chosen on the validation split must not be scored there."""
    if split == "val" and (calibrate or threshold):
        option = "--calibrate" if calibrate else "--threshold"
        raise InputError(
            f"{option} chooses on the validation split, so its scores there would flatter; "
            "score another split"
        )
    if threshold:
        check_rule(threshold)
    if are_folds(run.members) and (calibrate or threshold):
        raise InputError("--calibrate and --threshold cannot be used with several folds")


def _store(run: Trained, fits: Sequence[Temperature], volumes: int, cut: Threshold | None) -> None:
    """Stores what was chosen on the validation split, once nothing can be refused any more."""
    for number, fit in enumerate(fits):
        if fit.kept:
            log.warning("the temperature of %s stays 1: %s", run.names[number], fit.kept)
        decisions.store_temperature(run.folders[number], run.members[number], fit, volumes)
    if cut:
        decisions.store_threshold(run.folder, run.members, cut)


def _written(
    run: Trained,
    dataset: Dataset,
    split: str,
    prediction: Prediction,
    folder: Path,
    fits: Sequence[Temperature] = (),
    cut: Threshold | None = None,
) -> results.Scores:
    """Scores a prediction and writes metrics, predictions, pictures and the report."""
    chosen = dataset.splits[split]
    labels = chosen.labels.numpy()
    probabilities = prediction.probabilities()
    first, alone = run.members[0], len(run.members) == 1
    found = {
        "dataset": dataset.name,
        "split": split,
        **metrics.score(labels, probabilities),
        "interval": metrics.intervals(labels, probabilities, patients=chosen.patients),
        "interval_over": "volumes" if grouped(chosen.patients) is None else "patients",
        "ece": metrics.calibration_error(labels, probabilities),
        "runs": list(run.names),
        "seed": first.config.seed if alone else [m.config.seed for m in run.members],
        "epoch": first.epoch if alone else [m.epoch for m in run.members],
        "validation": first.validation if alone else [m.validation for m in run.members],
        "unfinished": dict(run.unfinished),
    }
    calibrated = results.calibrated(labels, prediction, fits) if fits else None
    at_cut = cut.as_dict() | {split: rates(labels, probabilities, cut.value)} if cut else None
    scores = results.Scores(
        found,
        labels,
        probabilities,
        dataset.class_names,
        calibrated=calibrated,
        threshold=at_cut,
    )
    figure = results.write_scores(folder, scores, chosen)
    place = Path(run.user.output_dir)
    page = pages.report(scores, dataset, run.members, run.names, place, figure, run.notices)
    write_text(folder / "report.html", page)
    return scores
