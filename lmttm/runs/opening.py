"""Opens a trained run: by its folder, its configuration, or the name of shipped weights."""

import logging
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from lmttm.config.fields import is_own
from lmttm.config.files import load_config, overridden_keys
from lmttm.config.keys import differences
from lmttm.config.paths import as_path
from lmttm.config.schema import Config
from lmttm.errors import InputError
from lmttm.runs import checkpoint, pretrained
from lmttm.runs.agreement import agreed, with_volume
from lmttm.runs.checkpoint import BEST, Checkpoint
from lmttm.runs.folder import CONFIG, unfinished
from lmttm.runs.folds import are_folds
from lmttm.runs.predictor import FROM_USER
from lmttm.runs.run import Run

log = logging.getLogger("lmttm")


def open_run(
    target: str | Path, overrides: Sequence[str] = (), *, names: Sequence[str] = ()
) -> Run:
    """Opens a trained run, or several as an ensemble.

    Args:
        target: The folder of a run, such as `runs/demo`; a configuration, such as
            `demo.json`, whose run it is; or the name of shipped weights, such as
            `vesselmnist3d_28`.
        overrides: `key=value` texts: `root`, `device`, `batch_size`, `output_dir` and
            `train.name` say where and how to compute. Others must agree with the run.
        names: Runs beside it whose probabilities are averaged; empty for the run itself.

    Returns:
        The run.

    Raises:
        InputError: There is no such run, its checkpoint cannot be read, an override
            contradicts it, or the runs of an ensemble are about different data.
    """
    models = pretrained.shipped()
    left: dict[str, str] = {}
    if str(target) in models:
        folder = models[str(target)]
        user = load_config(folder / CONFIG, list(overrides))
        names, members = [folder.name], [pretrained.load(folder)]
    else:
        user = _user_config(target, overrides)
        names = names or [user.train.name]
        folders = [Path(user.output_dir) / name for name in names]
        members = [checkpoint.load(folder / BEST) for folder in folders]
        left = {folder.name: unfinished(folder) for folder in folders}
    for member in members:
        _refuse_contradictions(user, member.config, overrides)
    _refuse_mismatch(members, names)
    keys = overridden_keys(list(overrides))
    placed = [with_volume(member, agreed(member, user, keys)) for member in members]
    run = Run(
        tuple(placed),
        tuple(names),
        user,
        strict=str(target) in models,
        unfinished={name: text for name, text in left.items() if text},
    )
    for sentence in run.notices:
        log.warning("%s", sentence)
    return run


def from_pretrained(name: str, overrides: Sequence[str] = ()) -> Run:
    """Opens a model that travels with the package.

    Args:
        name: Such as `vesselmnist3d_28`.
        overrides: As for `open_run`.

    Returns:
        The run.

    Raises:
        InputError: There is no such model; the text names those there are.
    """
    if name not in pretrained.shipped():
        names = ", ".join(pretrained.shipped()) or "none"
        raise InputError(f"there are no shipped weights {name}; there are {names}")
    return open_run(name, overrides)


def _user_config(target: str | Path, overrides: Sequence[str]) -> Config:
    """The configuration that says which run, and where and how to compute."""
    folder = as_path(target)
    if not folder.is_dir() and folder.suffix != ".json":
        names = ", ".join(pretrained.shipped())
        raise InputError(
            f"{target} is neither the folder of a run nor a configuration (.json)"
            + (f" nor shipped weights ({names})" if names else "")
        )
    if not folder.is_dir():
        return load_config(target, list(overrides))
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} is not a run (it has no {CONFIG})")
    config = load_config(folder / CONFIG, list(overrides))
    # The folder may have been moved or renamed since it was made.
    folder = folder.resolve()
    name = {"train": config.train.model_copy(update={"name": folder.name})}
    return config.model_copy(update={"output_dir": str(folder.parent), **name})


# What may be given again as it was not when the weights were saved: it changes no answer.
_WITHOUT_EFFECT = ("train.name", "train.epoch", "train.save_every", "train.logger")


def _refuse_contradictions(user: Config, trained: Config, overrides: Sequence[str]) -> None:
    """An override must be of use, or say what the checkpoint says."""
    different = differences(trained, user)
    for key in overridden_keys(list(overrides)):
        if key not in different or key in (*FROM_USER, *_WITHOUT_EFFECT):
            continue
        was, now = different[key]
        if now == "auto" or key.startswith("volume."):  # as decided in training; see `agreed`
            continue
        if key == "dataset_name" and is_own(was) and is_own(now):
            continue  # it may have moved: see `Run.dataset`
        raise InputError(
            f"{key} was {was!r} when the run was trained, got {now!r}, which would have no effect; "
            f"only {', '.join(FROM_USER)} and train.name can be given"
        )


def _refuse_mismatch(members: Sequence[Checkpoint], names: Sequence[str]) -> None:
    """The runs of an ensemble must be about the same volumes and the same classes."""
    first = members[0].config
    for member, name in zip(members, names, strict=True):
        keys = ["dataset_name", "size", "folds", "model.out_class_num"]
        if first.class_names and member.config.class_names:  # earlier versions stored none
            keys.append("class_names")
        if members[0].knows_volume and member.knows_volume and not are_folds(members):
            keys.append("volume")
        for key in keys:
            here, there = (attrgetter(key)(config) for config in (first, member.config))
            if here != there:
                raise InputError(
                    f"{key} must be the same in all runs, got {here!r} in {names[0]} "
                    f"and {there!r} in {name}"
                )
