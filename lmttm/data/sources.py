"""Where a data set comes from: MedMNIST 3D, the phantoms, files of your own."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from lmttm.config.fields import is_own
from lmttm.config.kinds import DATASETS, find
from lmttm.config.schema import Config
from lmttm.config.shape import Shape
from lmttm.config.volume import VolumeConfig
from lmttm.data import phantoms
from lmttm.data.cache import Cache, folder_of
from lmttm.data.checking import Findings, check_volumes, report
from lmttm.data.chosen import Chosen, in_parts
from lmttm.data.dataset import Dataset, Split
from lmttm.data.download import fetch
from lmttm.data.labelled import Labelled, is_unpacked, read_npz, read_unpacked
from lmttm.data.own import check_own, load_own
from lmttm.data.remembered import Remembered, name_of
from lmttm.data.tables import SPLITS, labels_of, read_tables
from lmttm.errors import InputError
from lmttm.storage import digest_of

log = logging.getLogger("lmttm")


def load_dataset(config: Config, splits: Sequence[str] = SPLITS) -> Dataset:
    """Loads the data set that a configuration names; downloads it on first use.

    Args:
        config: `dataset_name`, `size`, `root`, `folds`, `fold`, `volume`, `cache`,
            `leaks` and `model.out_class_num` matter.
        splits: Those that are needed. Scans of one's own are read for no other split; a file
            that holds all splits gives all.

    Returns:
        The data set with its splits; with `folds`, training and validation split are drawn
        anew from both, by class. Its `volume` is settled.

    Raises:
        InputError: The file is missing and cannot be fetched, is not the official one, or
            holds something else than it should; or `out_class_num` does not fit.
    """
    if is_own(config.dataset_name):
        dataset = _own(Path(config.dataset_name), config, splits)
    else:
        source = _source(config.dataset_name)
        dataset = _dataset(config.dataset_name, source.class_names, source.load(config))
    num_classes = len(dataset.class_names)
    if config.model.out_class_num != num_classes:
        raise InputError(
            f"model.out_class_num must be {num_classes} for {dataset.name}, "
            f"got {config.model.out_class_num}"
        )
    if dataset.volume is None:  # a file of volumes, not of scans
        dataset = as_scans_would_be(dataset, config.volume, config.cache)
        dataset = _refolded(dataset, config) if config.folds else dataset
        if is_own(config.dataset_name):
            report(_checked(dataset), config, full=False)
    return dataset


def _checked(dataset: Dataset) -> Findings:
    """What a check of the volumes finds; of volumes in files it is remembered."""
    train = dataset.splits["train"]
    name = f"check of {dataset.digest()}" if train.known else ""
    found = train.remembered(
        name, lambda: asdict(check_volumes(dataset.splits, dataset.class_names))
    )
    return Findings(**found)


def is_local(config: Config) -> bool:
    """Whether `load_dataset` needs no download."""
    if is_own(config.dataset_name):
        return Path(config.dataset_name).exists()
    return _source(config.dataset_name).is_local(config)


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
    dataset = _volumes(path, config.shape, config.cache)
    names = dataset.class_names
    counts = {
        name: dict(zip(names, split.counts(len(names)).tolist(), strict=True))
        for name, split in dataset.splits.items()
    }
    return check_volumes(dataset.splits, names), counts


def as_scans_would_be(dataset: Dataset, volume: VolumeConfig, cache: str) -> Dataset:
    """Treats stored bytes as the bytes of a scan: a mask of 0 and 1 becomes one of 0 and 255.

    Args:
        dataset: Its volumes are as their file holds them.
        volume: The section `volume`; what is auto is decided by the training split.
        cache: The key `cache`: where changed bytes of volumes go that lie in a file.

    Returns:
        The data set with `volume` settled.
    """
    if not volume.settled:
        masks = len(dataset.splits["train"].grey_values()) <= 2
        kind = "masks" if masks else "bytes" if volume.window is None else "window"
        volume = volume.model_copy(update={"intensity": kind})
    changed = {}
    for name, split in dataset.splits.items():
        table = _table(split, volume)
        changed[name] = split if table is None else _looked_up(split, table, cache)
    return replace(dataset, splits=changed, volume=volume)


def _looked_up(split: Split, table: torch.Tensor, cache: str) -> Split:
    """The split with other bytes; those of volumes in a file go to a file."""

    def fill(result: np.ndarray) -> None:
        start = 0
        for part in in_parts(split.images):
            result[start : start + len(part)] = table[part.int()].numpy()
            start += len(part)

    shape = tuple(split.images.shape)
    if split.known is None:
        images = np.empty(shape, dtype=np.uint8)
        fill(images)
        return replace(split, images=torch.from_numpy(images))
    text = f"{split.digest()} {table.tolist()}"
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    images, known = Cache(folder_of(cache)).volumes(key, shape, fill)
    return replace(split, images=torch.from_numpy(images), known=known)


def _table(split: Split, volume: VolumeConfig) -> torch.Tensor | None:
    """What each byte becomes, where that is another byte."""
    grey = torch.arange(256)
    if volume.intensity == "masks":
        values = split.grey_values()
        shape = max(values, default=255)
        if shape in (0, 255) or len(values) > 2:
            return None
        return ((grey == shape) * 255).to(torch.uint8)
    if volume.window is None or volume.intensity in ("bytes", "each"):
        return None
    low, high = volume.window
    return (255 * ((grey - low) / (high - low)).clamp(0, 1)).round().to(torch.uint8)


def _refolded(dataset: Dataset, config: Config) -> Dataset:
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


def class_names(dataset_name: str, shape: Shape = (28, 28, 28)) -> tuple[str, ...]:
    """The names of a data set's classes, in the order of the labels.

    Args:
        dataset_name: Its name, or the path of one of your own, which is read for it.
        shape: Of its volumes, D H W.
    """
    if is_own(dataset_name):
        path = Path(dataset_name)
        tables = path.is_dir() and not is_unpacked(path)
        return labels_of(read_tables(path))[1] if tables else _volumes(path, shape).class_names
    return _source(dataset_name).class_names


def class_names_of(config: Config) -> tuple[str, ...]:
    """The names of the classes that a configuration's model tells apart."""
    if config.class_names:
        return tuple(config.class_names)
    if is_own(config.dataset_name):
        return _numbered(config.model.out_class_num)
    return class_names(config.dataset_name)


def _numbered(num_classes: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(num_classes))


class Source(Protocol):
    """What loads a data set with a name; `lmttm.config.kinds` lists them.

    Args:
        name: The name of the data set.
    """

    def __init__(self, name: str) -> None: ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""

    def is_local(self, config: Config) -> bool:
        """Whether `load` needs no download."""

    def load(self, config: Config) -> Labelled:
        """Loads the three splits, in the size and from the root that a configuration names."""


def _source(dataset_name: str) -> Source:
    source: Source = find(DATASETS[dataset_name].source)(dataset_name)
    return source


class Phantoms:
    """PhantomMNIST3D, which is drawn on the spot; see `Source`."""

    def __init__(self, name: str) -> None:
        self.class_names = phantoms.CLASS_NAMES

    def is_local(self, config: Config) -> bool:
        """Always."""
        return True

    def load(self, config: Config) -> Labelled:
        """Draws the three splits."""
        drawn = {}
        for seed, split in enumerate(SPLITS):
            images, labels = phantoms.generate(phantoms.SPLITS[split], seed)
            drawn[split] = images, labels[:, 0].astype(np.int64)
        return drawn


class MedMNIST:
    """A data set of MedMNIST 3D, which is downloaded on first use; see `Source`."""

    def __init__(self, name: str) -> None:
        from medmnist import INFO  # brings pandas and scikit-learn along

        self.file_name = name.lower()
        self.info = INFO[self.file_name]
        names = self.info["label"]
        self.class_names = tuple(names[key] for key in sorted(names, key=int))

    def is_local(self, config: Config) -> bool:
        """Whether the file is there."""
        return self._path(config).exists()

    def _path(self, config: Config) -> Path:
        return Path(config.root) / f"{self.file_name}{_suffix(config)}.npz"

    def load(self, config: Config) -> Labelled:
        """Loads the official file, and holds it to its MD5."""
        suffix, path = _suffix(config), self._path(config)
        url, md5 = self.info[f"url{suffix}"], self.info[f"MD5{suffix}"]
        if not path.exists():
            fetch(url, path, md5)
        elif (got := digest_of(path, "md5")) != md5:
            raise InputError(
                f"{path} is damaged or altered: its MD5 is {got}, not {md5}; "
                f"delete it, and it is fetched again from {url}"
            )
        return read_npz(path, config.shape, self.info["n_samples"])


def _suffix(config: Config) -> str:
    """What MedMNIST adds to the names of its files of other sizes."""
    return "" if config.size == 28 else f"_{config.size}"


def _own(path: Path, config: Config, splits: Sequence[str]) -> Dataset:
    """A labelled set of the user's own: volumes in MedMNIST's form, or a folder of tables."""
    if not path.exists():
        raise InputError(f"the data set {path} is not there")
    if path.is_dir() and not is_unpacked(path):
        return load_own(path, config, splits)
    return _volumes(path, config.shape, config.cache)


def _volumes(path: Path, shape: Shape, cache: str = "off") -> Dataset:
    """A set of volumes: an npz file, or a folder of its arrays as npy files."""
    if not path.exists():
        raise InputError(f"the data set {path} is not there")
    labelled = read_unpacked(path, shape) if path.is_dir() else read_npz(path, shape)
    num_classes = max(2, *(int(labels.max()) + 1 for _, labels in labelled.values()))
    known = _known(path, folder_of(cache)) if path.is_dir() and cache != "off" else {}
    return _dataset(str(path), _numbered(num_classes), labelled, known)


def _known(folder: Path, cache: Path) -> dict[str, Remembered]:
    """What is remembered of the files of volumes, by split."""
    files = {split: folder / f"{split}_images.npy" for split in SPLITS}
    return {
        split: Remembered(file, cache / f"known-{name_of(file)}.json")
        for split, file in files.items()
    }


def _dataset(
    name: str,
    names: tuple[str, ...],
    labelled: Labelled,
    known: Mapping[str, Remembered] | None = None,
) -> Dataset:
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
