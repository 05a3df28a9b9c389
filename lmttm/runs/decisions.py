"""What a run stores beside its weights, to be used with volumes of your own as well.

`calibration.json` has the temperature, `threshold.json` the operating point. Both were chosen on
the validation split, for certain weights: with others they are refused.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from lmttm.errors import InputError
from lmttm.evaluation.calibration import Temperature
from lmttm.evaluation.threshold import Threshold
from lmttm.runs.checkpoint import Checkpoint
from lmttm.storage import write_text

log = logging.getLogger("lmttm")

CALIBRATION = "calibration.json"
THRESHOLD = "threshold.json"


def store_temperature(
    folder: Path, member: Checkpoint, temperature: Temperature, volumes: int
) -> None:
    """Writes the temperature of a run, from so many validation volumes."""
    content = {
        "temperature": temperature.value,
        "kept_at_1": temperature.kept or None,
        "volumes": volumes,
        "weights": [member.fingerprint()],
    }
    _write(folder / CALIBRATION, content)


def stored_temperature(folder: Path, member: Checkpoint) -> float:
    """The temperature of a run, with a warning where none could be fitted.

    Raises:
        InputError: None is stored, or that of other weights.
    """
    content = _read(folder / CALIBRATION, [member], "--calibrate")
    temperature = content.get("temperature")
    if not isinstance(temperature, float) or not 0 < temperature < 1000:
        raise InputError(f"{folder / CALIBRATION} has no temperature")
    if kept := content.get("kept_at_1"):
        log.warning("the stored temperature of %s is 1: %s", folder.name, kept)
    return temperature


def store_threshold(folder: Path, members: Sequence[Checkpoint], threshold: Threshold) -> None:
    """Writes the operating point of a run or of an ensemble."""
    fingerprints = [member.fingerprint() for member in members]
    _write(folder / THRESHOLD, threshold.as_dict() | {"weights": fingerprints})


def stored_threshold(folder: Path, members: Sequence[Checkpoint], rule: str) -> Threshold:
    """The operating point of a run or of an ensemble, if it was chosen by this rule.

    Raises:
        InputError: None is stored, or that of another rule or of other weights.
    """
    content = _read(folder / THRESHOLD, members, f"--threshold {rule}")
    if content.get("rule") != rule:
        raise InputError(
            f"{folder / THRESHOLD} was chosen by {content.get('rule')}; run predict.py with "
            f"--threshold {rule} and without --input first"
        )
    try:
        return Threshold(**{field.name: content[field.name] for field in fields(Threshold)})
    except KeyError as error:
        raise InputError(f"{folder / THRESHOLD} has no {error}") from None


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=2) + "\n")


def _read(path: Path, members: Sequence[Checkpoint], option: str) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"there is no {path}; run predict.py with {option} and without --input")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a JSON object")
    if content.get("weights") != [member.fingerprint() for member in members]:
        raise InputError(
            f"{path} was made for other weights; run predict.py with {option} and without --input"
        )
    return content
