"""NumPy files as scans: voxels of 1 mm, without an orientation."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lmttm.data.scan import Scan
from lmttm.errors import InputError

SUFFIXES = (".npy", ".npz")


def read_numpy(path: Path) -> Scan:
    """Reads an npy file, or an npz file of one array. Nothing in it can run.

    Raises:
        InputError: It holds objects, several arrays, or less than its header claims.
    """
    voxels = _npy(path) if path.suffix.lower() == ".npy" else _npz(path)
    return Scan(voxels, (1.0, 1.0, 1.0))


def _npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise InputError(f"{path} is of an unknown npy version {version}")
        read_header = npy.read_array_header_1_0 if version[0] == 1 else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
        size = path.stat().st_size - file.tell()
    if dtype.hasobject or np.prod(shape, dtype=float) * dtype.itemsize > size:
        raise InputError(f"{path} must hold numbers, as many as its header claims")
    loaded: NDArray[Any] = np.load(path, allow_pickle=False)
    return loaded


def _npz(path: Path) -> NDArray[Any]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        if len(arrays.files) != 1:
            raise InputError(f"{path} must hold one array, got {len(arrays.files)}")
        voxels: NDArray[Any] = arrays[arrays.files[0]]
    return voxels
