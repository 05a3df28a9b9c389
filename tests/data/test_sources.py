"""Data sets: the official files, and everything that can be wrong with them."""

import shutil

import medmnist
import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.dataset import Split, batches, prepare, with_distances
from lmttm.data.sources import load_dataset
from lmttm.errors import InputError
from lmttm.storage import digest_of
from lmttm.training.setup import settle

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
    if size == 64:
        pytest.importorskip("medmnist")
        if not (real_root / "adrenalmnist3d_64.npz").is_file():
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


def test_prepare_scales_to_one_and_adds_the_channel(tiny):
    volumes = torch.randint(256, (3, 28, 28, 28), dtype=torch.uint8)
    ready = prepare(volumes, tiny)
    assert ready.shape == (3, 1, 28, 28, 28)
    np.testing.assert_allclose(ready[:, 0], volumes.numpy() / 255, rtol=1e-6)
    assert torch.equal(prepare(volumes.numpy(), tiny), ready)


@pytest.mark.parametrize(
    "volumes",
    [
        torch.zeros(2, 28, 28, 28),
        torch.zeros(2, 28, 28, 27, dtype=torch.uint8),
        torch.zeros(28, 28, 28, dtype=torch.uint8),
    ],
)
def test_prepare_refuses_other_types_and_shapes(tiny, volumes):
    with pytest.raises(InputError, match=r"volumes must be uint8 of shape \(b, 28, 28, 28\), got"):
        prepare(volumes, tiny)


def test_batches_hold_each_volume_once_in_file_order():
    """Guards against a dropped last batch and a shuffled test split."""
    parts = list(batches(10, 4))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert torch.cat(parts).tolist() == list(range(10))
    shuffled = torch.cat(list(batches(10, 4, torch.Generator().manual_seed(0)))).tolist()
    assert shuffled != list(range(10))
    assert sorted(shuffled) == list(range(10))


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
        both = torch.cat([train.images, val.images]).flatten(1).sum(dim=1).sort().values
        assert torch.equal(both, every.flatten(1).sum(dim=1).sort().values)
        assert torch.equal(splits["test"].images, whole["test"].images)
        seen.append(val.images)
    rows = {bytes(image.numpy()) for image in torch.cat(seen)}
    assert rows == {bytes(image.numpy()) for image in every}


def test_more_folds_than_the_rarest_class_are_refused(monkeypatch):
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 6, "val": 4, "test": 4})
    with pytest.raises(InputError, match="folds must be at most 5, the rarest class, got 9"):
        load_dataset(load_config("demo.json", ["folds=9"]))


def test_distance_is_settled_by_the_training_split(fake):
    config = load_config("demo.json", ["distance=auto"])
    assert settle(config, load_dataset(config)).distance == "off"
    masks = official()
    for split in SHAPES:
        masks[f"{split}_images"] = (masks[f"{split}_images"] > 128).astype(np.uint8) * 255
    config = fake(masks).model_copy(update={"distance": "auto"})
    assert settle(config, load_dataset(config)).distance == "on"


def test_the_distance_channel_is_scipys_transform():
    from scipy.ndimage import distance_transform_edt

    masks = (torch.rand(3, 28, 28, 28, generator=torch.manual_seed(0)) > 0.3).to(torch.uint8) * 255
    masks[2] = 0
    config = load_config("base.json", ["distance=on"])
    ready = prepare(masks, config)
    assert ready.shape == (3, 2, 28, 28, 28)
    for mask, channel in zip(masks[:2].numpy() > 0, ready[:2, 1].numpy(), strict=True):
        expected = (distance_transform_edt(mask) - distance_transform_edt(~mask)) / 28
        np.testing.assert_allclose(channel, expected, rtol=1e-6)
    assert not ready[2, 1].any()
    split = with_distances(Split("test", masks, torch.zeros(3).long()), config)
    assert torch.equal(split.inputs(torch.arange(3)), ready)
