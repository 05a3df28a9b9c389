"""Splits and their batches: every volume once, in file order, as the model takes it."""

import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data.dataset import Dataset, Split, batches, prepare, with_grey
from lmttm.data.distance import signed_distance
from lmttm.data.placing import placed
from lmttm.errors import InputError


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


def test_balanced_class_weights():
    """Guards against a crash, or a wrong mean, where a class has no volume."""
    split = Split("train", torch.zeros(10, 1, 1, 1), torch.tensor([0] * 8 + [1] * 2))
    assert split.class_weights(2).tolist() == [10 / (2 * 8), 10 / (2 * 2)]
    assert split.class_weights(3).tolist() == [10 / (2 * 8), 10 / (2 * 2), 0]


def test_the_majority_rate_is_what_the_commonest_class_scores():
    split = Split("val", torch.zeros(5, 1, 1, 1), torch.tensor([2, 0, 2, 1, 2]))
    assert split.majority_rate() == 3 / 5


def masks():
    volumes = (torch.rand(3, 28, 28, 28) > 0.3).to(torch.uint8) * 255
    volumes[2] = 0
    return volumes


def test_the_distance_channel_stands_behind_the_grey_values():
    volumes = masks()
    ready = prepare(volumes, load_config("base.json", ["distance=on"]))
    assert ready.shape == (3, 2, 28, 28, 28)
    assert torch.equal(ready[:, 0], volumes / 255)
    assert torch.equal(ready[:, 1], signed_distance(volumes))


@pytest.mark.parametrize("distance", ["off", "on"])
def test_a_split_gives_what_prepare_gives(distance):
    """Guards against training on other inputs than those that a prediction gets."""
    config = load_config("base.json", [f"distance={distance}"])
    volumes = masks()
    split = placed(Split("test", volumes, torch.zeros(3).long()), config, torch.device("cpu"))
    assert (split.distances is None) == (distance == "off")
    chosen = torch.tensor([2, 0])
    assert torch.equal(split.inputs(chosen), prepare(volumes[chosen], config))
    moved = split.to(torch.device("meta"))
    assert {part.device.type for part in (moved.images, moved.labels)} == {"meta"}
    assert (moved.name, len(moved)) == ("test", 3)


def test_a_digest_follows_every_volume_and_label_of_its_split():
    """Guards against a data set that is replaced in one voxel, one label, or in its order."""
    images = torch.randint(256, (130, 4, 4, 4), dtype=torch.uint8)
    labels = torch.arange(130) % 2

    def digest(images, labels):
        parts = {"val": Split("val", images[:3], labels[:3]), "test": Split("test", images, labels)}
        test, val = Dataset("Some", ("a", "b"), parts).digest().split()
        assert val == "val:" + Split("other", images[:3], labels[:3]).digest()
        return test

    before = digest(images, labels)
    assert digest(images.clone(), labels.clone()) == before
    other = images.clone()
    other[129, 3, 3, 3] ^= 1
    assert digest(other, labels) != before
    assert digest(images, labels.roll(1)) != before
    assert digest(images.flip(0), labels) != before
    assert digest(images[:-1], labels[:-1]) != before


def test_several_grey_channels_stand_before_their_distances():
    volumes = torch.randint(256, (3, 2, 28, 28, 28), dtype=torch.uint8)
    volumes[:, 1] = 255 * (volumes[:, 1] > 99)
    plain = ["dataset_name=mine/", "model.in_channels=2", "volume.intensity=hu,masks"]
    config = load_config("base.json", [*plain, "distance=on"])
    ready = prepare(volumes, config)
    assert ready.shape == (3, 3, 28, 28, 28)
    one = load_config("base.json", ["dataset_name=mine/", "distance=on"])
    assert torch.equal(ready[:, 1:], prepare(volumes[:, 1], one))
    assert torch.equal(ready[:, :2], prepare(volumes, load_config("base.json", plain)))
    split = placed(Split("val", volumes, torch.zeros(3).long()), config, torch.device("cpu"))
    assert split.num_grey == 2
    assert torch.equal(split.inputs(slice(0, 3)), ready)
    with pytest.raises(InputError, match=r"of shape \(b, 2, 28, 28, 28\), got uint8"):
        prepare(volumes[:, 0], config)


def test_the_number_of_grey_channels_follows_the_data():
    config = load_config("base.json", ["volume.intensity=hu,masks"])
    assert with_grey(config, 2, "mine").model.in_channels == 2
    with pytest.raises(InputError, match=r"model\.in_channels must be 3 for mine, got 2"):
        with_grey(with_grey(config, 2, "mine"), 3, "mine")
    with pytest.raises(InputError, match=r"volume\.intensity must be one value or 3"):
        with_grey(config, 3, "mine")
