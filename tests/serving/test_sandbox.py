"""Reading apart: the same numbers as here, and a bad file harms only its own process."""

import os

import numpy as np
import pytest

from lmttm.config.volume import Intensity
from lmttm.data.placement import prepared
from lmttm.data.preparation import Geometry
from lmttm.errors import InputError
from lmttm.serving.sandbox import read_apart

HOW = Geometry((28, 28, 28)), [Intensity("each")]


def scan(path, edge=40, dtype=np.int16):
    rng = np.random.default_rng(0)
    np.save(path, rng.integers(0, 200, (edge, edge + 2, edge + 4)).astype(dtype))
    return path


def test_the_numbers_are_those_of_this_process(tmp_path):
    path = scan(tmp_path / "a.npy")
    here, apart = prepared([path], *HOW), read_apart(path, *HOW)
    np.testing.assert_array_equal(apart.volume, here.volume)
    assert apart.notes == here.notes
    assert apart.place.source.shape == here.place.source.shape
    np.testing.assert_allclose(apart.place.source.affine, here.place.source.affine)
    np.testing.assert_allclose(apart.place.to_prepared, here.place.to_prepared)


def test_a_fault_is_one_sentence_without_the_path_of_the_server(tmp_path):
    (tmp_path / "a.nii.gz").write_text("this is a text")
    with pytest.raises(InputError) as error:
        read_apart(tmp_path / "a.nii.gz", *HOW)
    assert str(tmp_path) not in str(error.value)
    assert "cannot be read" in str(error.value)


def test_too_much_memory_ends_the_process_not_the_server(tmp_path):
    path = scan(tmp_path / "a.npy", edge=200)
    with pytest.raises(InputError, match=r"memory|allocate"):
        read_apart(path, *HOW, memory=2**20)


def test_too_much_time_ends_the_process_not_the_server(tmp_path):
    os.mkfifo(tmp_path / "a.npy")  # a file that never ends
    with pytest.raises(InputError, match=r"more than 0\.5 s"):
        read_apart(tmp_path / "a.npy", *HOW, seconds=0.5)


def test_a_folder_must_hold_one_scan(tmp_path):
    for name in "ab":
        scan(tmp_path / f"{name}.npy")
    with pytest.raises(InputError, match="must hold one scan, got 2"):
        read_apart(tmp_path, *HOW)
