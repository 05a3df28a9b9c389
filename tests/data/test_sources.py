"""Data sets: the official files, and everything that can be wrong with them."""

import os
import shutil
from unittest.mock import patch

import medmnist
import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.sources import check_set, is_local, load_dataset
from lmttm.errors import InputError
from lmttm.storage import digest_of

SHAPES = {"train": 6, "val": 4, "test": 5}


def official(images=None, labels=None):
    """Arrays in MedMNIST form, small."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, number in SHAPES.items():
        arrays[f"{split}_images"] = rng.integers(0, 256, (number, 28, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(number, dtype=np.uint8)[:, None] % 2
    return arrays | (images or {}) | (labels or {})


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


@pytest.mark.parametrize("wrong", [3, 11])
def test_a_wrong_number_of_classes_names_the_right_one(wrong):
    """Guards against an out_class_num that does not fit going unnoticed."""
    config = load_config("demo.json", [f"model.out_class_num={wrong}"])
    with pytest.raises(InputError, match=f"must be 2 for PhantomMNIST3D, got {wrong}"):
        load_dataset(config)


def test_folds_are_disjoint_and_stratified():
    """Together the validation folds hold each volume of both splits once, by class."""
    whole = load_dataset(load_config("demo.json")).splits
    every = torch.cat([whole["train"].images, whole["val"].images])
    seen = []
    for fold in range(5):
        config = load_config("demo.json", ["folds=5", f"fold={fold}"])
        splits = load_dataset(config).splits
        train, val = splits["train"], splits["val"]
        assert len(train) + len(val) == len(every) == 900
        assert abs(val.labels.double().mean() - 0.5) < 0.01
        both = torch.cat([train.images[:], val.images[:]]).flatten(1).sum(dim=1).sort().values
        assert torch.equal(both, every.flatten(1).sum(dim=1).sort().values)
        assert torch.equal(splits["test"].images, whole["test"].images)
        seen.append(val.images[:])
    rows = {bytes(image.numpy()) for image in torch.cat(seen)}
    assert rows == {bytes(image.numpy()) for image in every}


def test_folds_do_not_depend_on_the_seed():
    """Guards against runs with other seeds that are compared on other volumes."""
    drawn = [
        load_dataset(load_config("demo.json", ["folds=4", "fold=1", f"seed={seed}"])).splits
        for seed in (0, 1)
    ]
    for name in ("train", "val"):
        first, second = (splits[name] for splits in drawn)
        assert torch.equal(first.labels, second.labels)
        assert torch.equal(first.images[:], second.images[:])


def test_more_folds_than_the_rarest_class_are_refused(monkeypatch):
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 6, "val": 4, "test": 4})
    with pytest.raises(InputError, match="folds must be at most 5, the rarest class, got 9"):
        load_dataset(load_config("demo.json", ["folds=9"]))


def test_a_file_of_masks_of_0_and_1_is_one_of_0_and_255(tmp_path):
    """Guards against masks of one's own that reach the model as 1/255."""
    arrays = {
        key: (value > 100).astype(np.uint8) if key.endswith("images") else value
        for key, value in official().items()
    }
    np.savez(tmp_path / "own.npz", **arrays)
    dataset = load_dataset(load_config("base.json", [f"dataset_name={tmp_path / 'own.npz'}"]))
    assert dataset.volume.intensity == "masks"
    for name, split in dataset.splits.items():
        assert split.images.dtype == torch.uint8
        assert np.array_equal(split.images, 255 * arrays[f"{name}_images"])


def test_a_window_holds_for_a_file_of_bytes_too(tmp_path):
    np.savez(tmp_path / "own.npz", **official())
    overrides = [f"dataset_name={tmp_path / 'own.npz'}", "volume.window=50,101"]
    dataset = load_dataset(load_config("base.json", overrides))
    expected = np.rint(255 * ((official()["val_images"] - 50.0) / 51).clip(0, 1))
    assert np.array_equal(dataset.splits["val"].images, expected)
    assert dataset.volume.intensity == "window"


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


def test_one_volume_in_two_splits_of_a_file_is_a_leak(tmp_path, caplog):
    """Guards against scores that are too good, also where folds cut the file anew."""
    arrays = official()
    arrays["test_images"][2] = arrays["train_images"][4]
    arrays["train_images"][1] = arrays["train_images"][0]
    np.savez(tmp_path / "own.npz", **arrays)
    overrides = [f"dataset_name={tmp_path / 'own.npz'}"]
    with pytest.raises(InputError, match=r"(?s)volume 4 of train and volume 2 of test.*leaks="):
        load_dataset(load_config("base.json", overrides))
    with pytest.raises(InputError, match="are one"):
        load_dataset(load_config("base.json", [*overrides, "folds=2"]))
    load_dataset(load_config("base.json", [*overrides, "leaks=allow"]))
    assert "volume 0 of train and volume 1 of train are one" in caplog.text
    findings, counts = check_set(load_config("base.json", overrides))
    assert (len(findings.leaks), len(findings.duplicates)) == (1, 1)
    assert counts["test"] == {"class 0": 3, "class 1": 2}


def test_an_official_set_is_not_checked():
    with pytest.raises(InputError, match="only a set of your own can be checked, got Adrenal"):
        check_set(load_config("base.json"))


def unpacked(folder, arrays):
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return load_config("base.json", [f"dataset_name={folder}/", f"cache={folder}/cache"])


def test_a_folder_of_npy_files_is_the_npz_unpacked(tmp_path):
    """Guards against volumes that are read into memory, and a digest that reads them each time."""
    np.savez(tmp_path / "own.npz", **official())
    packed = load_dataset(load_config("base.json", [f"dataset_name={tmp_path / 'own.npz'}"]))
    config = unpacked(tmp_path / "own", official())
    dataset = load_dataset(config)
    for name, split in dataset.splits.items():
        assert torch.equal(split.images, packed.splits[name].images)
        assert torch.equal(split.labels, packed.splits[name].labels)
    assert dataset.digest() == packed.digest()
    before, again = set(dataset.digest().split()), load_dataset(config)
    with patch("lmttm.data.dataset.in_parts", None):
        assert again.digest() == dataset.digest()
    images = np.load(tmp_path / "own" / "val_images.npy")
    images[0, 0, 0, 0] ^= 1
    np.save(tmp_path / "own" / "val_images.npy", images)
    os.utime(tmp_path / "own" / "val_images.npy", ns=(1, 1))  # its clock may be coarse
    changed = set(load_dataset(config).digest().split()) - before
    assert [part.partition(":")[0] for part in changed] == ["val"]


def test_masks_of_0_and_1_in_a_folder_become_bytes_in_the_cache(tmp_path):
    """Guards against the bytes of a large set in memory."""
    arrays = {
        key: (value > 100).astype(np.uint8) if key.endswith("images") else value
        for key, value in official().items()
    }
    config = unpacked(tmp_path / "own", arrays)
    for _ in range(2):
        dataset = load_dataset(config)
        for name, split in dataset.splits.items():
            assert np.array_equal(split.images, 255 * arrays[f"{name}_images"])
    assert len(list((tmp_path / "own" / "cache").glob("volumes-*.npy"))) == 3


@pytest.mark.parametrize(
    ("name", "array", "told"),
    [
        ("val_images", None, "val_images.npy is missing"),
        ("val_images", np.zeros((4, 28, 28, 27), np.uint8), "val_images must be uint8 of shape"),
        ("test_labels", np.zeros((4, 1)), "test_labels must be integers"),
        ("test_labels", np.array([[{}]]), "cannot be read as an npy file"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(tmp_path, name, array, told):
    config = unpacked(tmp_path / "own", official())
    path = tmp_path / "own" / f"{name}.npy"
    path.unlink() if array is None else np.save(path, array, allow_pickle=True)
    with pytest.raises(InputError) as caught:
        load_dataset(config)
    assert told in str(caught.value)


def test_folds_of_a_folder_copy_no_volumes(tmp_path):
    """Guards against the memory of all volumes, and once more for each fold."""
    config = unpacked(tmp_path / "own", official())
    dataset = load_dataset(config.model_copy(update={"folds": 2, "fold": 1}))
    for name in ("train", "val"):
        sources = dataset.splits[name].images.sources
        assert [source.shape[0] for source in sources] == [6, 4]
