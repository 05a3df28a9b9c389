"""Where a data set comes from: one with a name, or files of your own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lmttm.config.fields import is_own
from lmttm.config.schema import Config
from lmttm.config.shape import Shape
from lmttm.data.checking import Findings, check_volumes, report
from lmttm.data.dataset import Dataset, with_grey
from lmttm.data.labelled import is_unpacked
from lmttm.data.labels import labels_of
from lmttm.data.named import source_of
from lmttm.data.own import check_own, load_own
from lmttm.data.tables import SPLITS, read_tables
from lmttm.data.volumes import (
    as_scans_would_be,
    checked,
    dataset_of,
    numbered,
    read_volumes,
    refolded,
)
from lmttm.errors import InputError


def load_dataset(config: Config, splits: Sequence[str] = SPLITS) -> Dataset:
    """Loads the data set that a configuration names; downloads it on first use.

    Args:
        config: `dataset_name`, `size`, `root`, `folds`, `fold`, `volume`, `cache`, `leaks`,
            `class_names`, `model.out_class_num` and `model.in_channels` matter.
        splits: Those that are needed. Scans of one's own are read for no other split; a file
            that holds all splits gives all.

    Returns:
        The data set with its splits; with `folds`, training and validation split are drawn
        anew from both, by class. Its `volume` is settled.

    Raises:
        InputError: The file is missing and cannot be fetched, is not the official one, or
            holds something else than it should; or `out_class_num`, `in_channels` or
            `class_names` does not fit.
    """
    if is_own(config.dataset_name):
        dataset = _own(Path(config.dataset_name), config, splits)
    else:
        source = source_of(config.dataset_name)
        dataset = dataset_of(config.dataset_name, source.class_names, source.load(config))
    config = with_grey(config, dataset.num_grey, dataset.name)
    num_classes = len(dataset.class_names)
    if config.model.out_class_num != num_classes:
        raise InputError(
            f"model.out_class_num must be {num_classes} for {dataset.name}, "
            f"got {config.model.out_class_num}"
        )
    dataset = _named(dataset, config.class_names)
    if dataset.volume is None:  # a file of volumes, not of scans
        dataset = as_scans_would_be(dataset, config)
        dataset = refolded(dataset, config) if config.folds else dataset
        if is_own(config.dataset_name):
            report(checked(dataset), config, full=False)
    return dataset


def _named(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """The data set with names for its classes, where these have numbers only.

    Raises:
        InputError: Its classes have other names already, or names are missing or twice.
    """
    known = dataset.class_names
    if not names or tuple(names) == known:
        return dataset
    if known != numbered(len(known)):
        raise InputError(
            f"class_names must be empty or those of {dataset.name} ({', '.join(known)}), "
            f"got {', '.join(names)}"
        )
    if len(names) != len(known) or len(set(names)) < len(names):
        raise InputError(
            f"class_names must be {len(known)} different names for {dataset.name}, "
            f"got {', '.join(names)}"
        )
    return replace(dataset, class_names=tuple(names))


def is_local(config: Config) -> bool:
    """Whether `load_dataset` needs no download."""
    if is_own(config.dataset_name):
        return Path(config.dataset_name).exists()
    return source_of(config.dataset_name).is_local(config)


def check_set(config: Config) -> tuple[Findings, dict[str, dict[str, int]]]:
    """Checks all of a labelled set of the user's own; nothing is refused but what is no set.

    Args:
        config: Names the set.

    Returns:
        What was found, and the number of volumes of each class by split.

    Raises:
        InputError: It is not a set of the user's own, or cannot be read at all.
    """
    path = Path(config.dataset_name)
    if not is_own(config.dataset_name):
        raise InputError(f"only a set of your own can be checked, got {config.dataset_name}")
    if path.is_dir() and not is_unpacked(path):
        return check_own(config)
    dataset = read_volumes(path, config.shape, config.cache)
    names = dataset.class_names
    counts = {
        name: dict(zip(names, split.counts(len(names)).tolist(), strict=True))
        for name, split in dataset.splits.items()
    }
    return check_volumes(dataset.splits, names), counts


def class_names(dataset_name: str, shape: Shape = (28, 28, 28)) -> tuple[str, ...]:
    """The names of a data set's classes, in the order of the labels.

    Args:
        dataset_name: Its name, or the path of one of your own, which is read for it.
        shape: Of its volumes, D H W.
    """
    if is_own(dataset_name):
        path = Path(dataset_name)
        tables = path.is_dir() and not is_unpacked(path)
        return labels_of(read_tables(path))[1] if tables else read_volumes(path, shape).class_names
    return source_of(dataset_name).class_names


def class_names_of(config: Config) -> tuple[str, ...]:
    """The names of the classes that a configuration's model tells apart."""
    if config.class_names:
        return tuple(config.class_names)
    if is_own(config.dataset_name):
        return numbered(config.model.out_class_num)
    return class_names(config.dataset_name)


def _own(path: Path, config: Config, splits: Sequence[str]) -> Dataset:
    """A labelled set of the user's own: volumes in MedMNIST's form, or a folder of tables."""
    if not path.exists():
        raise InputError(f"the data set {path} is not there")
    if path.is_dir() and not is_unpacked(path):
        return load_own(path, config, splits)
    return read_volumes(path, config.shape, config.cache)
