"""Answers of a run for scans of the user's own."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lmttm.data.cases import Given
from lmttm.data.dataset import Split
from lmttm.data.tables import Entry
from lmttm.data.unlabelled import list_cases, prepare_all
from lmttm.errors import InputError
from lmttm.evaluation.threshold import check_rule
from lmttm.runs import decisions, results
from lmttm.runs.likeness import likeness_warnings, refuse_unlike
from lmttm.runs.predictor import Prediction, predict
from lmttm.runs.trained import Trained
from lmttm.storage import printable


def answer_inputs(
    run: Trained,
    given: Sequence[Given],
    *,
    calibrate: bool,
    threshold: str | None,
    progress: bool,
) -> results.Answers:
    """Classifies cases and writes the answers; see `Run.predict`."""
    temperatures, point = None, None
    if calibrate:
        pairs = zip(run.folders, run.members, strict=True)
        temperatures = [decisions.stored_temperature(*pair) for pair in pairs]
    if threshold:
        check_rule(threshold)
        point = decisions.stored_threshold(run.folder, run.members, threshold)
    cases, failures = list_cases(given, run.config)
    prepared, unreadable = prepare_all(cases, run.config, progress=progress)
    failures |= unreadable
    warnings: dict[Entry, list[str]] = {}
    for case, (volume, notes) in prepared.items():
        found = likeness_warnings(run, volume, notes)
        try:
            refuse_unlike(run, case.title, found)
            warnings[case] = found
        except InputError as error:
            failures[case] = case.about(error)
    told = {printable(case.title): message for case, message in failures.items()}
    if not warnings:
        return results.Answers([], told, run.class_names)
    volumes = {case: prepared[case][0] for case in warnings}
    prediction = _predict_as_trained(run, volumes, progress)
    rows = prediction.probabilities()
    scaled = prediction.probabilities(temperatures) if temperatures else [None] * len(rows)
    answered = [
        results.answer(
            case,
            row,
            run.class_names,
            warnings[case],
            calibrated=at_temperature,
            threshold=point.value if point else None,
        )
        for case, row, at_temperature in zip(volumes, rows, scaled, strict=True)
    ]
    answers = results.Answers(answered, told, run.class_names, temperatures, point)
    results.write_answers(run.folder / "inputs", answers)
    return answers


def _predict_as_trained(
    run: Trained, volumes: dict[Entry, NDArray[np.uint8]], progress: bool
) -> Prediction:
    """Each member gets the scans as they are prepared for it."""
    logits: list[torch.Tensor] = []
    for member in run.members:
        shown = list(volumes.values())
        if member.config.volume != run.config.volume:
            others = prepare_all(list(volumes), member.config, progress=progress)[0]
            shown = [others[case][0] for case in volumes]
        images = torch.from_numpy(np.stack(shown))
        split = Split("inputs", images, torch.zeros(len(images), dtype=torch.int64))
        logits += predict([member], split, run.user, progress=progress).logits
    return Prediction(tuple(logits))
