"""Volumes and labels: the six MedMNIST 3D data sets and the phantoms, batched by index."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmttm import phantoms
from lmttm.config import PHANTOM, Config
from lmttm.download import fetch, md5_of
from lmttm.errors import InputError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """One split of a data set, in file order.

    Attributes:
        name: train, val or test.
        images: `(N D H W)` uint8.
        labels: `(N)` int64, from 0 to the number of classes less 1.
    """

    name: str
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Split":
        """The same split with its tensors on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

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
        config: `dataset_name`, `size`, `root` and `model.out_class_num` matter.

    Returns:
        The data set with its three splits.

    Raises:
        InputError: The file is missing and can not be fetched, is not the official one, or
            holds something else than it should; or `out_class_num` does not fit.
    """
    if config.dataset_name == PHANTOM:
        dataset = _phantom()
    else:
        dataset = _medmnist(config.dataset_name, config.size, Path(config.root))
    num_classes = len(dataset.class_names)
    if config.model.out_class_num != num_classes:
        raise InputError(
            f"model.out_class_num must be {num_classes} for {dataset.name}, "
            f"got {config.model.out_class_num}"
        )
    return dataset


def class_names(dataset_name: str) -> tuple[str, ...]:
    """The names of a data set's classes, in the order of the labels."""
    if dataset_name == PHANTOM:
        return phantoms.CLASS_NAMES
    from medmnist import INFO

    names = INFO[dataset_name.lower()]["label"]
    return tuple(names[key] for key in sorted(names, key=int))


def prepare(volumes: np.ndarray | Tensor, config: Config) -> Tensor:
    """Makes of stored volumes what the model takes.

    Args:
        volumes: `(b D H W)` uint8, each axis as long as `config.size`.
        config: The configuration of the model.

    Returns:
        `(b c D H W)` float32 in [0, 1], on the device of the volumes.

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
    return volumes[:, None].float() / 255


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
    splits = {}
    for seed, name in enumerate(SPLITS):
        images, labels = phantoms.generate(phantoms.SPLITS[name], seed)
        splits[name] = _split(name, images, labels)
    return Dataset(PHANTOM, class_names(PHANTOM), splits)


def _medmnist(name: str, size: int, root: Path) -> Dataset:
    from medmnist import INFO  # brings pandas and scikit-learn along

    info = INFO[name.lower()]
    suffix = "" if size == 28 else f"_{size}"
    path = root / f"{name.lower()}{suffix}.npz"
    url, md5 = info[f"url{suffix}"], info[f"MD5{suffix}"]
    if not path.exists():
        fetch(url, path, md5)
    elif (got := md5_of(path)) != md5:
        raise InputError(
            f"{path} is damaged or altered: its MD5 is {got}, not {md5}; "
            f"delete it, and it is fetched again from {url}"
        )
    arrays = _read_npz(path)
    names = class_names(name)
    splits = {}
    for split in SPLITS:
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        _check(path.name, split, images, labels, info["n_samples"][split], size, len(names))
        splits[split] = _split(split, images, labels)
    return Dataset(name, names, splits)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    keys = [f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels")]
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in keys}
    except KeyError as error:
        raise InputError(f"{path} has no array {error.args[0]}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} can not be read as an npz file: {error}") from None


def _check(
    file: str,
    split: str,
    images: np.ndarray,
    labels: np.ndarray,
    num_volumes: int,
    size: int,
    num_classes: int,
) -> None:
    shape = (num_volumes, size, size, size)
    if images.dtype != np.uint8 or images.shape != shape:
        raise InputError(
            f"{file}: {split}_images must be uint8 of shape {shape}, "
            f"got {images.dtype} of shape {images.shape}"
        )
    if labels.shape != (num_volumes, 1) or labels.dtype.kind not in "ui":
        raise InputError(
            f"{file}: {split}_labels must be integers of shape {(num_volumes, 1)}, "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(
            f"{file}: {split}_labels must be from 0 to {num_classes - 1}, "
            f"got {labels.min()} to {labels.max()}"
        )


def _split(name: str, images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(name, torch.from_numpy(images), torch.from_numpy(labels[:, 0].astype(np.int64)))
