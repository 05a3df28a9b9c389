"""Labelled volumes in MedMNIST's npz form, or unpacked into a folder of npy files.

Volumes of several grey channels have an axis for them before D.

Nothing in a file can run, and no memory is taken for it before its headers are known to say
what they should.
"""

import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from lmttm.config.shape import Shape
from lmttm.data.tables import SPLITS
from lmttm.errors import InputError, one_line

LARGEST_NUMBER = 64  # of grey channels

# By the name of a split: volumes (N D H W) or (N C D H W) uint8 and labels (N) int64.
Labelled = dict[str, tuple[np.ndarray, np.ndarray]]


def read_npz(path: Path, shape: Shape, counts: dict[str, int] | None = None) -> Labelled:
    """Reads a file in MedMNIST's form: train_images, train_labels, val_images, ...

    Args:
        path: The file.
        shape: Of each volume, D H W.
        counts: Volumes of each split; None where that is not known beforehand.

    Returns:
        The three splits.

    Raises:
        InputError: The file cannot be read, or holds something else.
    """
    splits = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for split in SPLITS:
                count = counts[split] if counts else None
                images = _read_array(path, archive, f"{split}_images", (count, *shape))
                labels = _read_array(path, archive, f"{split}_labels", (len(images), 1))
                splits[split] = images, labels[:, 0].astype(np.int64)
    except InputError:
        raise
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path} cannot be read as an npz file: {one_line(error)}") from None
    return _of_one_shape(path, splits)


def is_unpacked(folder: Path) -> bool:
    """Whether a folder holds volumes, not tables of scans."""
    return (folder / "train_images.npy").is_file()


def read_unpacked(folder: Path, shape: Shape) -> Labelled:
    """Reads a folder of the arrays of such a file: train_images.npy, train_labels.npy, ...

    Args:
        folder: The folder.
        shape: Of each volume, D H W.

    Returns:
        The three splits; their volumes are memory-mapped, so that they may exceed memory.

    Raises:
        InputError: An array cannot be read, or holds something else.
    """
    splits = {}
    for split in SPLITS:
        images = _map_array(folder / f"{split}_images.npy", (None, *shape))
        labels = _map_array(folder / f"{split}_labels.npy", (len(images), 1))
        splits[split] = images, labels[:, 0].astype(np.int64)
    return _of_one_shape(folder, splits)


def _of_one_shape(path: Path, splits: Labelled) -> Labelled:
    """Raises an InputError unless all splits have as many grey channels."""
    shapes = {split: images.shape[1:] for split, (images, _) in splits.items()}
    for split, shape in shapes.items():
        if shape != shapes["train"]:
            raise InputError(
                f"{path}: volumes must have one shape, got {shapes['train']} in train and {shape} "
                f"in {split}"
            )
    return splits


def _map_array(path: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    if not path.is_file():
        raise InputError(f"{path} is missing")
    try:
        # Copied on write: a tensor must not point at memory that it may not write.
        found: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path} cannot be read as an npy file: {one_line(error)}") from None
    _check(path.name, path.stem, found.shape, found.dtype, shape)
    return found


def _check(
    file: str, key: str, got: tuple[int, ...], dtype: np.dtype, shape: tuple[int | None, ...]
) -> None:
    """Raises an InputError unless an array is what its name says."""
    kind = "uint8" if key.endswith("images") else "integers"
    right_type = dtype == np.uint8 if kind == "uint8" else dtype.kind in "ui"
    if shape[0] is None and got:
        shape = (max(got[0], 1), *shape[1:])
    if kind == "uint8" and len(got) == len(shape) + 1 and 1 < got[1] <= LARGEST_NUMBER:
        shape = (shape[0], got[1], *shape[1:])
    if not right_type or got != shape:
        raise InputError(
            f"{file}: {key} must be {kind} of shape {shape}, got {dtype} of shape {got}"
        )


def _read_array(
    path: Path, archive: zipfile.ZipFile, key: str, shape: tuple[int | None, ...]
) -> np.ndarray:
    if f"{key}.npy" not in archive.namelist():
        raise InputError(f"{path} has no array {key}")
    with archive.open(f"{key}.npy") as file:
        if npy.read_magic(file) != (1, 0):
            raise ValueError(f"{key} is of an unknown npy version")
        got, _, dtype = npy.read_array_header_1_0(file)
    _check(path.name, key, got, dtype, shape)
    if np.prod(got, dtype=float) * dtype.itemsize > archive.getinfo(f"{key}.npy").file_size:
        raise InputError(f"{path.name}: {key} is shorter than its header claims")
    with archive.open(f"{key}.npy") as file:
        return npy.read_array(file, allow_pickle=False)
