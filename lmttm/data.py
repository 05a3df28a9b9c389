"""Volumes and labels: the six MedMNIST 3D data sets and the phantoms, batched by index."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmttm import phantoms
from lmttm.config import PHANTOM, Config, is_own
from lmttm.distance import is_mask, signed_distance
from lmttm.download import fetch
from lmttm.errors import InputError
from lmttm.labelled import SPLITS, Labelled, read_npz, read_tables
from lmttm.storage import digest_of

log = logging.getLogger("lmttm")


@dataclass(frozen=True)
class Split:
    """One split of a data set, in file order.

    Attributes:
        name: train, val or test.
        images: `(N D H W)` uint8.
        labels: `(N)` int64, from 0 to the number of classes less 1.
        distances: `(N D H W)` float32, signed distances to the surface of a shape mask; None
            where the model does not see them.
    """

    name: str
    images: Tensor
    labels: Tensor
    distances: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Split":
        """The same split with its tensors on a device."""
        distances = None if self.distances is None else self.distances.to(device)
        return replace(
            self,
            images=self.images.to(device),
            labels=self.labels.to(device),
            distances=distances,
        )

    def inputs(self, chosen: Tensor) -> Tensor:
        """What the model takes for some of the volumes, `(b c D H W)`; see `prepare`."""
        distances = None if self.distances is None else self.distances[chosen]
        return _stack(self.images[chosen], distances)

    def class_weights(self) -> Tensor:
        """Weights `(classes)` by which each class weighs the same in a loss; 1 on average."""
        counts = self.labels.bincount()
        return len(self) / (len(counts) * counts.clamp(min=1))

    def majority_rate(self) -> float:
        """Share of the most frequent class: what a constant answer scores."""
        return self.labels.bincount().max().item() / len(self)


@dataclass(frozen=True)
class Dataset:
    """A data set: its name, the names of its classes, and its splits by name."""

    name: str
    class_names: tuple[str, ...]
    splits: dict[str, Split]


def load_dataset(config: Config) -> Dataset:
    """Loads the data set that a configuration names; downloads it on first use.

    Args:
        config: `dataset_name`, `size`, `root`, `folds`, `fold` and `model.out_class_num`
            matter.

    Returns:
        The data set with its three splits; with `folds`, training and validation split
        are drawn anew from both, by class.

    Raises:
        InputError: The file is missing and can not be fetched, is not the official one, or
            holds something else than it should; or `out_class_num` does not fit.
    """
    if config.dataset_name == PHANTOM:
        dataset = _phantom()
    elif is_own(config.dataset_name):
        dataset = _own(Path(config.dataset_name), config.size)
    else:
        dataset = _medmnist(config.dataset_name, config.size, Path(config.root))
    num_classes = len(dataset.class_names)
    if config.model.out_class_num != num_classes:
        raise InputError(
            f"model.out_class_num must be {num_classes} for {dataset.name}, "
            f"got {config.model.out_class_num}"
        )
    return _refolded(dataset, config) if config.folds else dataset


def _refolded(dataset: Dataset, config: Config) -> Dataset:
    from sklearn.model_selection import StratifiedKFold

    train, val = dataset.splits["train"], dataset.splits["val"]
    images = torch.cat([train.images, val.images])
    labels = torch.cat([train.labels, val.labels])
    rarest = labels.bincount().min().item()
    if config.folds > rarest:
        raise InputError(f"folds must be at most {rarest}, the rarest class, got {config.folds}")
    # One seed for all, so that the folds of different runs are the same.
    folds = StratifiedKFold(config.folds, shuffle=True, random_state=0).split(labels, labels)
    parts = zip(("train", "val"), list(folds)[config.fold], strict=True)
    drawn = {name: Split(name, images[chosen], labels[chosen]) for name, chosen in parts}
    return replace(dataset, splits=dataset.splits | drawn)


def settle(config: Config, dataset: Dataset) -> Config:
    """The configuration with `distance=auto` decided by the training split: on for masks."""
    if config.distance != "auto":
        return config
    shapes = is_mask(dataset.splits["train"].images)
    return config.model_copy(update={"distance": "on" if shapes else "off"})


def with_distances(split: Split, config: Config) -> Split:
    """The split with its distance channel, where the configuration has one."""
    if config.distance != "on":
        return split
    return replace(split, distances=signed_distance(split.images))


def class_names(dataset_name: str) -> tuple[str, ...]:
    """The names of a data set's classes, in the order of the labels."""
    if dataset_name == PHANTOM:
        return phantoms.CLASS_NAMES
    from medmnist import INFO

    names = INFO[dataset_name.lower()]["label"]
    return tuple(names[key] for key in sorted(names, key=int))


def class_names_of(config: Config) -> tuple[str, ...]:
    """The names of the classes that a configuration's model tells apart."""
    if is_own(config.dataset_name):
        return _numbered(config.model.out_class_num)
    return class_names(config.dataset_name)


def _numbered(num_classes: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(num_classes))


def prepare(volumes: np.ndarray | Tensor, config: Config) -> Tensor:
    """Makes of stored volumes what the model takes.

    Args:
        volumes: `(b D H W)` uint8, each axis as long as `config.size`.
        config: The configuration of the model.

    Returns:
        `(b c D H W)` float32 on the device of the volumes: intensities in [0, 1] and, with
        `distance=on`, the signed distance to the shape's surface in edges of the volume.

    Raises:
        InputError: Another type or shape.
    """
    volumes = torch.as_tensor(volumes)
    edge = config.size
    if volumes.dtype != torch.uint8 or volumes.ndim != 4 or volumes.shape[1:] != (edge,) * 3:
        raise InputError(
            f"volumes must be uint8 of shape (b, {edge}, {edge}, {edge}), "
            f"got {str(volumes.dtype).removeprefix('torch.')} of shape {tuple(volumes.shape)}"
        )
    return _stack(volumes, signed_distance(volumes) if config.distance == "on" else None)


def _stack(volumes: Tensor, distances: Tensor | None) -> Tensor:
    channels = [volumes.float() / 255] + ([] if distances is None else [distances])
    return torch.stack(channels, dim=1)


def batches(
    num_volumes: int, batch_size: int, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """Cuts a split into batches of indices; the last one may be smaller.

    Args:
        num_volumes: Volumes of the split.
        batch_size: Volumes of a batch.
        generator: Shuffles with it; without one the order is the file's.

    Yields:
        Index tensors, int64; together they hold each volume once.
    """
    if generator is None:
        order = torch.arange(num_volumes)
    else:
        order = torch.randperm(num_volumes, generator=generator)
    yield from order.split(batch_size)


def _phantom() -> Dataset:
    drawn = {}
    for seed, name in enumerate(SPLITS):
        images, labels = phantoms.generate(phantoms.SPLITS[name], seed)
        drawn[name] = images, labels[:, 0].astype(np.int64)
    return _dataset(PHANTOM, class_names(PHANTOM), drawn)


def _medmnist(name: str, size: int, root: Path) -> Dataset:
    from medmnist import INFO  # brings pandas and scikit-learn along

    info = INFO[name.lower()]
    suffix = "" if size == 28 else f"_{size}"
    path = root / f"{name.lower()}{suffix}.npz"
    url, md5 = info[f"url{suffix}"], info[f"MD5{suffix}"]
    if not path.exists():
        fetch(url, path, md5)
    elif (got := digest_of(path, "md5")) != md5:
        raise InputError(
            f"{path} is damaged or altered: its MD5 is {got}, not {md5}; "
            f"delete it, and it is fetched again from {url}"
        )
    return _dataset(name, class_names(name), read_npz(path, size, info["n_samples"]))


def _own(path: Path, size: int) -> Dataset:
    """A labelled set of the user's own: an npz in MedMNIST's form, or a folder of tables."""
    if not path.exists():
        raise InputError(f"the data set {path} is not there")
    labelled = read_tables(path, size) if path.is_dir() else read_npz(path, size)
    num_classes = max(int(labels.max()) for _, labels in labelled.values()) + 1
    return _dataset(str(path), _numbered(num_classes), labelled)


def _dataset(name: str, names: tuple[str, ...], labelled: Labelled) -> Dataset:
    for split, (images, labels) in labelled.items():
        if labels.min() < 0 or labels.max() >= len(names):
            raise InputError(
                f"{name}: {split}_labels must be from 0 to {len(names) - 1}, "
                f"got {labels.min()} to {labels.max()}"
            )
        empty = np.flatnonzero(~images.reshape(len(images), -1).any(axis=1)).tolist()
        if empty:
            shown = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
            count = len(empty)
            log.warning(
                "%s: %d volumes of the %s split are all zero: %s", name, count, split, shown
            )
    splits = {
        split: Split(split, torch.from_numpy(images), torch.from_numpy(labels))
        for split, (images, labels) in labelled.items()
    }
    return Dataset(name, names, splits)
