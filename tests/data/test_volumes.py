"""Sets of volumes that are prepared already: bytes, leaks, folds, files larger than memory."""

import os
from unittest.mock import patch

import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.sources import check_set, load_dataset
from lmttm.errors import InputError
from lmttm.training.setup import settle
from tests.official import official


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


def test_an_axis_of_channels(tmp_path):
    """Guards against a mask of 0 and 1 beside an image that reaches the model as 1/255."""
    arrays = {}
    for name, value in official().items():
        mask = (value > 100).astype(np.uint8)
        arrays[name] = np.stack([value, mask], 1) if name.endswith("images") else value
    np.savez(tmp_path / "own.npz", **arrays)
    config = load_config("base.json", [f"dataset_name={tmp_path / 'own.npz'}", "distance=auto"])
    folder = unpacked(tmp_path / "own", arrays)
    for source in (config, folder):
        dataset = load_dataset(source)
        assert dataset.volume.intensity == ["bytes", "masks"]
        for name, split in dataset.splits.items():
            assert np.array_equal(split.images[:, 0], arrays[f"{name}_images"][:, 0])
            assert np.array_equal(split.images[:, 1], 255 * arrays[f"{name}_images"][:, 1])
    assert settle(config, load_dataset(config)).distance_of == (1,)
    folded = load_dataset(config.model_copy(update={"folds": 2}))
    assert folded.splits["val"].num_grey == 2
    arrays["test_images"] = arrays["test_images"][:, :1].repeat(3, 1)
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(InputError, match=r"got \(2, 28, 28, 28\) in train and \(3,"):
        load_dataset(config)


def test_percentiles_of_bytes_are_refused(tmp_path):
    """Guards against a setting that is stored and has no effect."""
    np.savez(tmp_path / "own.npz", **official())
    overrides = [f"dataset_name={tmp_path / 'own.npz'}", "volume.intensity=percentiles"]
    with pytest.raises(InputError, match=r"intensity=percentiles needs volume\.window=LOW,HIGH"):
        load_dataset(load_config("base.json", overrides))
