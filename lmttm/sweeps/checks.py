"""Refuses, before the first run, what would make a table say something else than what was run."""

from collections.abc import Iterable, Sequence

from lmttm.config.files import overridden_keys
from lmttm.config.keys import differences, flatten
from lmttm.config.schema import Config
from lmttm.errors import InputError
from lmttm.sweeps.effective import effective

# The values of an axis: a label, and the `key=value` texts that it stands for.
Axes = dict[str, list[tuple[str, list[str]]]]

# What a sweep sets for each trial, and where it takes it from.
SET_BY_SWEEP = {
    "seed": 'the "seeds" of the sweep',
    "folds": "--folds",
    "fold": "--folds",
    "train.name": "the values of the axes",
    "output_dir": "the command line",
}

# Columns of results.csv and results.md beside the axes and the scores.
COLUMNS = {
    *("trial", "dataset", "seed", "folds", "fold", "runs", "epoch", "parameters", "gflop"),
    *("seconds_per_epoch", "GFLOP/volume", "s/epoch", "against", "over runs"),
    *("averaged predictions", "over volumes"),
}


def check_axes(
    axes: Axes,
    settings: Iterable[str],
    overrides: Sequence[str],
    *,
    scores: Sequence[str],
    datasets: bool,
) -> None:
    """Refuses axes and overrides that would be overruled or mistaken for something else.

    Args:
        axes: The axes of the file, without the data sets.
        settings: Names of axes with settings of several keys.
        overrides: `key=value` texts for all trials.
        scores: Names of scores, which are columns behind the name of a split.
        datasets: Whether the sweep names data sets.

    Raises:
        InputError: One of them; the text names it and says what to do.
    """
    columns = COLUMNS | {f"{split}_{score}" for split in ("val", "test") for score in scores}
    taken = dict(SET_BY_SWEEP)
    if datasets:
        taken |= dict.fromkeys(("dataset_name", "model.out_class_num"), 'its "datasets"')
    known = flatten(Config().model_dump())
    named_by: dict[str, str] = {}
    always: set[str] = set()  # what every value of an axis sets
    for axis, values in axes.items():
        if axis in columns and axis not in taken:
            raise InputError(f"an axis must not have the name of a column, got {axis}")
        if axis in settings and axis in known:
            raise InputError(
                f"the axis {axis} has the name of a key, so its values must be plain, not settings "
                "with a label; give it another name"
            )
        keys = [set(overridden_keys(texts)) for _, texts in values]
        always |= set.intersection(*keys)
        for key in sorted(set.union(*keys)):
            if key in taken:
                raise InputError(f"{key} must not vary in the grid: it comes from {taken[key]}")
            if key in named_by:
                raise InputError(f"two axes set {key}: {named_by[key]} and {axis}")
            named_by[key] = axis
    for key in overridden_keys(list(overrides)):
        if key in taken and key != "output_dir":
            raise InputError(f"{key} must not be overridden: it comes from {taken[key]}")
        if key in always:
            raise InputError(
                f"{key} must not be overridden: the axis {named_by[key]} sets it in each trial"
            )


def check_names(configs: dict[str, Config], names: Sequence[str]) -> None:
    """Refuses two trials that have one name, or that are one run under two names.

    Args:
        configs: The configuration of each trial, by its name.
        names: The names of all trials.

    Raises:
        InputError: The first two such trials.
    """
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise InputError(f"two trials of the sweep have the name {twice[0]}")
    seen: dict[str, str] = {}
    for name, config in configs.items():
        train = config.train.model_copy(update={"name": "trial"})
        content = effective(config.model_copy(update={"train": train})).model_dump_json()
        other = seen.setdefault(content, name)
        if other != name:
            _refuse_equal(other, name, configs)


def _refuse_equal(first: str, second: str, configs: dict[str, Config]) -> None:
    keys = sorted({*differences(configs[first], configs[second])} - {"train.name"})
    reason = "they have the same configuration"
    if keys:
        verb = "has" if len(keys) == 1 else "have"
        reason = f"{' and '.join(keys)} {verb} no effect in them"
    raise InputError(f"the trials {first} and {second} are the same run: {reason}")
