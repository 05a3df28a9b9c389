"""The official files, and everything that can be wrong with them."""

import shutil

import medmnist
import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data.sources import load_dataset
from lmttm.errors import InputError
from lmttm.storage import digest_of
from tests.official import SHAPES, official


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a small file where AdrenalMNIST3D is looked for, and makes it the official one."""

    def fake(arrays):
        path = tmp_path / "adrenalmnist3d.npz"
        np.savez(path, **arrays)
        info = dict(medmnist.INFO["adrenalmnist3d"])
        info |= {"MD5": digest_of(path, "md5"), "n_samples": SHAPES}
        monkeypatch.setitem(medmnist.INFO, "adrenalmnist3d", info)
        return load_config("base.json", [f"root={tmp_path}"])

    return fake


@pytest.mark.parametrize("size", [28, 64])
def test_real_file_equals_what_the_medmnist_package_gives(real_root, size):
    if size == 64 and not (real_root / "adrenalmnist3d_64.npz").is_file():
        pytest.skip("needs the official adrenalmnist3d_64.npz beside the checkout")
    dataset = load_dataset(load_config("base.json", [f"root={real_root}", f"size={size}"]))
    assert dataset.class_names == ("normal", "hyperplasia")
    for name, split in dataset.splits.items():
        theirs = medmnist.AdrenalMNIST3D(split=name, root=str(real_root), size=size)
        assert np.array_equal(split.images.numpy(), theirs.imgs)
        assert np.array_equal(split.labels.numpy(), theirs.labels[:, 0])
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64


def test_majority_rate_of_the_real_test_split(real_root):
    dataset = load_dataset(load_config("base.json", [f"root={real_root}"]))
    assert round(dataset.splits["test"].majority_rate(), 3) == 0.768


def test_a_sound_file_loads(fake):
    arrays = official()
    dataset = load_dataset(fake(arrays))
    assert np.array_equal(dataset.splits["val"].images.numpy(), arrays["val_images"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"val_images": np.zeros((4, 28, 28, 28))}, "val_images must be uint8 of shape"),
        ({"val_images": np.zeros((4, 28, 28, 27), np.uint8)}, "got uint8 of shape (4, 28, 28, 27)"),
        ({"test_images": np.zeros((3, 28, 28, 28), np.uint8)}, "test_images must be uint8"),
        ({"val_labels": np.full((4, 1), 2, np.uint8)}, "must be from 0 to 1, got 2 to 2"),
        ({"val_labels": np.zeros((4, 1))}, "val_labels must be integers"),
        ({"val_labels": np.zeros((4, 2), np.uint8)}, "got uint8 of shape (4, 2)"),
    ],
)
def test_wrong_contents_are_named(fake, changes, told):
    with pytest.raises(InputError) as caught:
        load_dataset(fake(official() | changes))
    assert told in str(caught.value)


def test_a_missing_array_is_named(fake):
    arrays = official()
    del arrays["test_labels"]
    with pytest.raises(InputError, match="has no array test_labels"):
        load_dataset(fake(arrays))


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_file_is_told_by_its_md5(real_root, tmp_path, damage):
    """Guards against an altered file that goes in because it is already there."""
    path = tmp_path / "adrenalmnist3d.npz"
    shutil.copyfile(real_root / path.name, path)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    else:
        content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged or altered.*bbd3c5a5576322bc4cdfea780653b1ce"):
        load_dataset(load_config("base.json", [f"root={tmp_path}"]))
    assert path.read_bytes() == content
