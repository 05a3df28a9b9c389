"""The folder of a run: one process at a time trains in it, and nothing in it is lost."""

import contextlib
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lmttm.config.fields import is_own
from lmttm.config.files import read_json, to_json, validate
from lmttm.config.keys import differences
from lmttm.config.schema import Config
from lmttm.config.volume import complete
from lmttm.errors import InputError
from lmttm.runs import checkpoint
from lmttm.runs.checkpoint import LAST, PREVIOUS, Checkpoint
from lmttm.storage import is_unfinished, write_text

log = logging.getLogger("lmttm")

CONFIG = "config.json"
LOCK = "lock"
LOG = "log.jsonl"

# What may differ when a run is resumed: how long, how often it is saved, and where things are.
_FREE_ON_RESUME = {
    *("train.epoch", "train.save_every", "train.logger", "device", "memory_share"),
    *("root", "output_dir", "cache"),
}


def check_folder(folder: Path, *, may_exist: bool) -> None:
    """Raises an InputError where a new run would overwrite something.

    Args:
        folder: The folder of the run.
        may_exist: Whether a run there may be replaced, or go on.
    """
    if not _content(folder):
        return
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} is not a run (it has no {CONFIG}): it is left alone")
    if not may_exist:
        raise InputError(
            f"the run {folder} exists; --resume continues it, --replace starts it anew, "
            "train.name=... makes another"
        )


def _content(folder: Path) -> list[Path]:
    """What a folder holds, beside its lock and what a killed process had not finished."""
    try:
        paths = [path for path in folder.iterdir() if path.name != LOCK]
    except OSError:
        return []
    return [path for path in paths if not is_unfinished(path)]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes the folder of a run and keeps other processes out while the block runs.

    The lock is the operating system's: it dies with its process.

    Raises:
        InputError: The folder cannot be made, or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(
            f"another process is training {folder}; wait for it, or give this run another "
            "train.name"
        ) from None
    except OSError as error:
        raise InputError(f"the run folder {folder} cannot be made: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def stored_config(folder: Path) -> Config:
    """The configuration that the run in a folder was begun with.

    Raises:
        InputError: There is none, or it is not valid.
    """
    path = folder / CONFIG
    return validate(complete(read_json(path)), source=str(path))


def as_begun(config: Config) -> Config:
    """A configuration with what it leaves to data and device decided as in the run of its folder.

    So a run that was begun with `train.precision=auto` keeps its precision on another device.
    """
    try:
        return decided_as(stored_config(config.run_dir), config)
    except InputError:  # there is none to be resumed, or `latest` says what is wrong
        return config


def refuse_other_run(config: Config) -> None:
    """Refuses to continue a run that would not end as one that was begun with a configuration.

    `latest` does so where somebody resumes a run, who may also train it for longer.

    Args:
        config: The configuration; there need not be a run in its folder.

    Raises:
        InputError: The run there has another configuration, or none that is valid.
    """
    if not (config.run_dir / CONFIG).is_file():
        return
    begun = stored_config(config.run_dir)
    free = _FREE_ON_RESUME - {"train.epoch"}
    changed = differences(begun, decided_as(begun, config))
    if other := [
        f"{key} (was {was!r}, here {now!r})"
        for key, (was, now) in changed.items()
        if key not in free
    ]:
        raise InputError(
            f"the run {config.run_dir} has another configuration: {', '.join(other)}; --replace "
            "starts it anew, output_dir=... makes another"
        )


def decided_as(begun: Config, config: Config) -> Config:
    """A configuration with what it leaves to data and device decided as in a begun one."""
    distance = begun.distance if config.distance == "auto" else config.distance
    volume = config.volume if config.volume.settled else begun.volume
    train, model = config.train, config.model
    if model.in_channels == 1:
        model = model.model_copy(update={"in_channels": begun.model.in_channels})
    if train.precision == "auto":
        train = train.model_copy(update={"precision": begun.train.precision})
    names = config.class_names or begun.class_names
    decided = {"distance": distance, "volume": volume, "train": train, "class_names": names}
    return config.model_copy(update=decided | {"model": model})


def latest(config: Config, data: str) -> Checkpoint | None:
    """The newest valid state of a run, to resume from.

    Args:
        config: The configuration of the run that is to be resumed.
        data: `Dataset.digest` of its data set as it is now.

    Returns:
        `last.pth`, or where it is damaged or missing `last.prev.pth`; None where neither
        exists.

    Raises:
        InputError: Both are damaged, or the run was started with another configuration or
            with other data.
    """
    paths = [config.run_dir / name for name in (LAST, PREVIOUS)]
    there = [path for path in paths if path.exists()]
    for path in there:
        try:
            state = checkpoint.load(path)
        except InputError as error:
            log.warning("%s", error)
            continue
        _refuse_other_data(state, config, data)
        changed = differences(state.config, config)
        if _moved(state, config, data):
            was, now = changed.pop("dataset_name")
            log.warning("the data set %s has moved to %s; its content is the same", was, now)
        if not state.config.class_names:  # earlier versions did not store them
            changed.pop("class_names", None)
        wrong = [key for key in changed if key not in _FREE_ON_RESUME]
        if wrong:
            listed = ", ".join(f"{key} (was {changed[key][0]!r})" for key in wrong)
            raise InputError(f"a resumed run must keep its configuration; changed: {listed}")
        if path.name == PREVIOUS:
            log.warning("resuming from %s instead of %s", PREVIOUS, LAST)
            paths[0].unlink(missing_ok=True)  # or it would take the place of the valid one
        return state
    if there:
        names = " and ".join(str(path) for path in there)
        raise InputError(f"{names} cannot be read; --replace starts the run anew")
    return None


def _moved(state: Checkpoint, config: Config, data: str) -> bool:
    """Whether a data set of the user's own has another path now, and the content that it had."""
    was, now = state.config.dataset_name, config.dataset_name
    return was != now and is_own(was) and is_own(now) and state.data == data != ""


def _refuse_other_data(state: Checkpoint, config: Config, data: str) -> None:
    changed = {part.partition(":")[0] for part in set(data.split()) - set(state.data.split())}
    if state.config.dataset_name == config.dataset_name and state.data and changed:
        raise InputError(
            f"the data set {config.dataset_name} was replaced since the run {config.run_dir} "
            f"started (other content: {', '.join(sorted(changed))}); --replace starts it anew, "
            "train.name=... makes another"
        )


def start(config: Config, *, resumed: bool) -> None:
    """Clears the folder for a new run, unless it is resumed, and writes its configuration."""
    folder = config.run_dir
    for path in filter(is_unfinished, folder.iterdir()):
        path.unlink()
    if not resumed:
        # The configuration last: it tells that the rest is a run.
        for path in sorted(_content(folder), key=lambda path: path.name == CONFIG):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_text(folder / CONFIG, to_json(config))


def write_log(folder: Path, history: list[dict[str, Any]]) -> None:
    """Writes `log.jsonl`: one line for each epoch."""
    write_text(folder / LOG, "".join(json.dumps(record) + "\n" for record in history))


def is_over(config: Config, history: list[dict[str, Any]]) -> bool:
    """Whether a run has all its epochs, or has reached the AUC at which it was to end."""
    train = config.train
    best = max((record["val_auc"] or 0.0 for record in history), default=0.0)
    return len(history) >= train.epoch or 0 < train.stop_auc <= best


def unfinished(folder: Path) -> str:
    """How far a run is that has not all its epochs: it was stopped, or is being trained right now.

    Returns:
        Such as `1 of 3 epochs`; empty where the training has ended, or the folder does not say.
    """
    try:
        config = stored_config(folder)
        history = [json.loads(line) for line in (folder / LOG).read_text("utf-8").splitlines()]
        over = is_over(config, history)
    except (InputError, OSError, ValueError, LookupError, TypeError):  # no log, or no valid one
        return ""
    return "" if over else f"{len(history)} of {config.train.epoch} epochs"


def best_of(config: Config, history: list[dict[str, Any]]) -> dict[str, Any]:
    """The epoch whose weights are kept, of at least one; of equals the earlier one."""
    return max(history, key=lambda record: rank(config, record))


def rank(config: Config, record: dict[str, Any]) -> tuple[float, float]:
    """What makes an epoch better than another: its validation AUC, then its loss; or its age."""
    if config.train.keep == "last":
        return (record["epoch"], 0.0)
    return (record["val_auc"] or 0.0, -record["val_loss"])
