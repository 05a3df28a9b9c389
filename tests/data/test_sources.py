"""Where a data set comes from, whatever it is."""

import numpy as np
import pytest

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.sources import check_set, class_names_of, is_local, load_dataset
from lmttm.errors import InputError
from lmttm.training.setup import settle


@pytest.mark.parametrize("wrong", [3, 11])
def test_a_wrong_number_of_classes_names_the_right_one(wrong):
    """Guards against an out_class_num that does not fit going unnoticed."""
    config = load_config("demo.json", [f"model.out_class_num={wrong}"])
    with pytest.raises(InputError, match=f"must be 2 for PhantomMNIST3D, got {wrong}"):
        load_dataset(config)


def npz_of(folder, num_classes):
    arrays = {}
    for number, split in enumerate(("train", "val", "test")):
        rng = np.random.default_rng(number)
        arrays[f"{split}_images"] = rng.integers(0, 256, (6, 28, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(6)[:, None] % num_classes
    np.savez(folder / "mine.npz", **arrays)
    return load_config("base.json", [f"dataset_name={folder}/mine.npz"])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["healthy", "ill"], ""),
        (["class 0", "class 1"], ""),
        (["healthy"], "class_names must be 2 different names for .*npz, got healthy"),
        (["ill", "ill"], "2 different names"),
    ],
)
def test_classes_that_have_numbers_take_the_names_of_the_configuration(names, told, tmp_path):
    """Guards against `class_names` that a training overwrites without a word."""
    config = npz_of(tmp_path, 2).model_copy(update={"class_names": names})
    if told:
        with pytest.raises(InputError, match=told):
            load_dataset(config)
    else:
        assert load_dataset(config).class_names == tuple(names)
        assert class_names_of(settle(config, load_dataset(config))) == tuple(names)


def test_classes_that_have_names_keep_them(monkeypatch):
    """Guards against two names in another order, under which a score means the other class."""
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 4, "val": 4, "test": 4})
    config = load_config("demo.json")
    assert load_dataset(config).class_names == phantoms.CLASS_NAMES
    same = config.model_copy(update={"class_names": [*phantoms.CLASS_NAMES]})
    assert load_dataset(same).class_names == phantoms.CLASS_NAMES
    other = config.model_copy(update={"class_names": [*phantoms.CLASS_NAMES[::-1]]})
    with pytest.raises(
        InputError, match=r"class_names must be empty or those of PhantomMNIST3D \("
    ):
        load_dataset(other)


def test_what_is_local_needs_no_download(tmp_path):
    def local(*overrides):
        return is_local(load_config("base.json", [f"root={tmp_path}", *overrides]))

    assert not local()
    (tmp_path / "adrenalmnist3d.npz").touch()
    assert local()
    assert not local("size=64")
    assert local("dataset_name=PhantomMNIST3D")
    assert not local(f"dataset_name={tmp_path}/mine.npz")
    assert local(f"dataset_name={tmp_path}/adrenalmnist3d.npz")


def test_an_official_set_is_not_checked():
    with pytest.raises(InputError, match="only a set of your own can be checked, got Adrenal"):
        check_set(load_config("base.json"))
