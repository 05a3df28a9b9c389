"""A data set of volumes that lie prepared in a file: from its arrays to splits."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lmttm.config.schema import Config
from lmttm.config.shape import Shape
from lmttm.config.volume import Intensity
from lmttm.data.cache import Cache, folder_of
from lmttm.data.checking import Findings, check_volumes
from lmttm.data.chosen import Chosen, in_parts
from lmttm.data.dataset import Dataset, Split, with_channels
from lmttm.data.labelled import Labelled, read_npz, read_unpacked
from lmttm.data.remembered import Remembered, name_of
from lmttm.data.tables import SPLITS
from lmttm.errors import InputError

log = logging.getLogger("lmttm")


def read_volumes(path: Path, shape: Shape, cache: str = "off") -> Dataset:
    """A set of volumes: an npz file, or a folder of its arrays as npy files."""
    if not path.exists():
        raise InputError(f"the data set {path} is not there")
    labelled = read_unpacked(path, shape) if path.is_dir() else read_npz(path, shape)
    num_classes = max(2, *(int(labels.max()) + 1 for _, labels in labelled.values()))
    known = _known(path, folder_of(cache)) if path.is_dir() and cache != "off" else {}
    return dataset_of(str(path), numbered(num_classes), labelled, known)


def _known(folder: Path, cache: Path) -> dict[str, Remembered]:
    """What is remembered of the files of volumes, by split."""
    files = {split: folder / f"{split}_images.npy" for split in SPLITS}
    return {
        split: Remembered(file, cache / f"known-{name_of(file)}.json")
        for split, file in files.items()
    }


def dataset_of(
    name: str,
    names: tuple[str, ...],
    labelled: Labelled,
    known: Mapping[str, Remembered] | None = None,
) -> Dataset:
    """A data set of volumes as their file holds them; warns of those that are all zero.

    Args:
        name: Of the data set.
        names: Of its classes.
        labelled: The splits.
        known: What is remembered of the files of volumes, by split.

    Raises:
        InputError: A label is no class.
    """
    splits = {}
    for split, (images, labels) in labelled.items():
        if labels.min() < 0 or labels.max() >= len(names):
            raise InputError(
                f"{name}: {split}_labels must be from 0 to {len(names) - 1}, "
                f"got {labels.min()} to {labels.max()}"
            )
        made = Split(split, torch.from_numpy(images), torch.from_numpy(labels))
        splits[split] = made = replace(made, known=(known or {}).get(split))
        empty = made.remembered("empty volumes", partial(_empty, images))
        if empty:
            shown = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
            count = len(empty)
            log.warning(
                "%s: %d volumes of the %s split are all zero: %s", name, count, split, shown
            )
    return Dataset(name, names, splits)


def _empty(images: np.ndarray) -> list[int]:
    """The volumes that are all zero."""
    return [index for index, volume in enumerate(images) if not volume.any()]


def numbered(num_classes: int) -> tuple[str, ...]:
    """The names of classes that have numbers only."""
    return tuple(f"class {number}" for number in range(num_classes))


def as_scans_would_be(dataset: Dataset, config: Config) -> Dataset:
    """Treats stored bytes as the bytes of a scan: a mask of 0 and 1 becomes one of 0 and 255.

    Args:
        dataset: Its volumes are as their file holds them.
        config: `volume` says how, what is auto is decided by the training split; `cache` is where
            changed bytes of volumes go that lie in a file.

    Returns:
        The data set with `volume` settled.

    Raises:
        InputError: Percentiles are wanted, which only scans have.
    """
    train = dataset.splits["train"]
    channels = [
        channel if channel.settled else Intensity(_kind(train, number, channel), channel.window)
        for number, channel in enumerate(config.volume.channels(dataset.num_grey))
    ]
    changed = {}
    for name, split in dataset.splits.items():
        tables = [_table(split, number, channel) for number, channel in enumerate(channels)]
        same = all(table is None for table in tables)
        changed[name] = split if same else _looked_up(split, tables, config.cache)
    return replace(dataset, splits=changed, volume=config.volume.with_channels(channels))


def _kind(train: Split, number: int, channel: Intensity) -> str:
    if channel.kind == "percentiles":
        raise InputError(
            "volume.intensity=percentiles needs volume.window=LOW,HIGH where volumes are bytes "
            "already"
        )
    if len(train.grey_values(number)) <= 2:
        return "masks"
    return "bytes" if channel.window is None else "window"


def _looked_up(split: Split, tables: list[torch.Tensor | None], cache: str) -> Split:
    """The split with other bytes; those of volumes in a file go to a file."""

    def fill(result: np.ndarray) -> None:
        start = 0
        for part in in_parts(split.images):
            grey = zip(with_channels(part).unbind(1), tables, strict=True)
            other = [bytes_ if table is None else table[bytes_.int()] for bytes_, table in grey]
            result[start : start + len(part)] = torch.stack(other, 1).view_as(part).numpy()
            start += len(part)

    shape = tuple(split.images.shape)
    if split.known is None:
        images = np.empty(shape, dtype=np.uint8)
        fill(images)
        return replace(split, images=torch.from_numpy(images))
    listed = " ".join("as it is" if table is None else str(table.tolist()) for table in tables)
    text = f"{split.digest()} {listed}"
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    images, known = Cache(folder_of(cache)).volumes(key, shape, fill)
    return replace(split, images=torch.from_numpy(images), known=known)


def _table(split: Split, number: int, channel: Intensity) -> torch.Tensor | None:
    """What each byte of a grey channel becomes, where that is another byte."""
    grey = torch.arange(256)
    if channel.kind == "masks":
        values = split.grey_values(number)
        shape = max(values, default=255)
        if shape in (0, 255) or len(values) > 2:
            return None
        return ((grey == shape) * 255).to(torch.uint8)
    if channel.window is None or channel.kind in ("bytes", "each"):
        return None
    low, high = channel.window
    return (255 * ((grey - low) / (high - low)).clamp(0, 1)).round().to(torch.uint8)


def refolded(dataset: Dataset, config: Config) -> Dataset:
    """The data set with training and validation split drawn anew from both, by class."""
    from sklearn.model_selection import StratifiedKFold

    train, val = dataset.splits["train"], dataset.splits["val"]
    sources = [train.images, val.images]
    labels = torch.cat([train.labels, val.labels])
    rarest = labels.bincount().min().item()
    if config.folds > rarest:
        raise InputError(f"folds must be at most {rarest}, the rarest class, got {config.folds}")
    # One seed for all, so that the folds of different runs are the same.
    folds = StratifiedKFold(config.folds, shuffle=True, random_state=0).split(labels, labels)
    parts = zip(("train", "val"), list(folds)[config.fold], strict=True)
    drawn = {
        name: Split(name, Chosen(sources, torch.from_numpy(rows)), labels[rows])
        for name, rows in parts
    }
    return replace(dataset, splits=dataset.splits | drawn)


def checked(dataset: Dataset) -> Findings:
    """What a check of the volumes finds; of volumes in files it is remembered."""
    train = dataset.splits["train"]
    name = f"check of {dataset.digest()}" if train.known else ""
    found = train.remembered(
        name, lambda: asdict(check_volumes(dataset.splits, dataset.class_names))
    )
    return Findings(**found)
