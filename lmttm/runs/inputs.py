"""Answers of a run for scans of the user's own."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lmttm.data.cases import Given, prepare_all
from lmttm.data.dataset import Split
from lmttm.errors import InputError
from lmttm.evaluation.threshold import check_rule
from lmttm.runs import decisions, results
from lmttm.runs.likeness import likeness_warnings, refuse_unlike
from lmttm.runs.predictor import Prediction, predict
from lmttm.runs.trained import Trained


def answer_inputs(
    run: Trained,
    paths: Sequence[Given],
    *,
    calibrate: bool,
    threshold: str | None,
    progress: bool,
) -> results.Answers:
    """Classifies scans and writes the answers; see `Run.predict`."""
    temperatures, point = None, None
    if calibrate:
        pairs = zip(run.folders, run.members, strict=True)
        temperatures = [decisions.stored_temperature(*pair) for pair in pairs]
    if threshold:
        check_rule(threshold)
        point = decisions.stored_threshold(run.folder, run.members, threshold)
    volumes, notes, failures = prepare_all(paths, run.config)
    warnings: dict[str, list[str]] = {}
    for path in list(volumes):
        warnings[path] = likeness_warnings(run, volumes[path], notes[path])
        try:
            refuse_unlike(run, path, warnings[path])
        except InputError as error:
            del volumes[path]
            failures[path] = str(error)
    if not volumes:
        return results.Answers([], failures, run.class_names)
    prediction = _predict_as_trained(run, paths, volumes, progress)
    rows = prediction.probabilities()
    scaled = prediction.probabilities(temperatures) if temperatures else [None] * len(rows)
    answered = [
        results.answer(
            path,
            row,
            run.class_names,
            warnings[path],
            calibrated=at_temperature,
            threshold=point.value if point else None,
        )
        for path, row, at_temperature in zip(volumes, rows, scaled, strict=True)
    ]
    answers = results.Answers(answered, failures, run.class_names, temperatures, point)
    results.write_answers(run.folder / "inputs", answers)
    return answers


def _predict_as_trained(
    run: Trained,
    paths: Sequence[Given],
    volumes: dict[str, NDArray[np.uint8]],
    progress: bool,
) -> Prediction:
    """Each member gets the scans as its own training prepared them."""
    logits: list[torch.Tensor] = []
    for member in run.members:
        shown = volumes
        if run.volume is None and member.config.volume != run.config.volume:
            others = prepare_all(paths, member.config)[0]
            shown = {path: others[path] for path in volumes}
        images = torch.from_numpy(np.stack(list(shown.values())))
        split = Split("inputs", images, torch.zeros(len(images), dtype=torch.int64))
        logits += predict([member], split, run.user, progress=progress).logits
    return Prediction(tuple(logits))
