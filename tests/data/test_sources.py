"""Where a data set comes from, whatever it is."""

import pytest

from lmttm.config.files import load_config
from lmttm.data.sources import check_set, is_local, load_dataset
from lmttm.errors import InputError


@pytest.mark.parametrize("wrong", [3, 11])
def test_a_wrong_number_of_classes_names_the_right_one(wrong):
    """Guards against an out_class_num that does not fit going unnoticed."""
    config = load_config("demo.json", [f"model.out_class_num={wrong}"])
    with pytest.raises(InputError, match=f"must be 2 for PhantomMNIST3D, got {wrong}"):
        load_dataset(config)


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
