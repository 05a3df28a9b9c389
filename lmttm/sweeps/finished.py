"""Whether a run was begun, or finished, with a configuration: what a second command leaves out."""

import json

from lmttm.config.schema import Config
from lmttm.errors import InputError
from lmttm.runs.folder import LOG, best_of, decided_as, is_over, stored_config


def is_begun(config: Config) -> bool:
    """Whether the folder of a configuration holds a run, or a part of one, of just this one."""
    try:
        begun = stored_config(config.run_dir)
    except InputError:
        return False
    return begun == decided_as(begun, config)


def is_finished(config: Config, split: str) -> bool:
    """Whether a run was trained to its end with this configuration, and scored on a split.

    Scores of another epoch than the one that was kept are those of a run that went on since.
    """
    folder = config.run_dir
    try:
        scores = json.loads((folder / split / "metrics.json").read_text(encoding="utf-8"))
        lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
        history = [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return False
    if not history or not is_over(config, history):
        return False
    kept = best_of(config, history)
    return bool(scores.get("epoch") == kept["epoch"]) and is_begun(config)
