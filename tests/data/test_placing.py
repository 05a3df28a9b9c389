"""Where volumes lie: on the device as long as they take their share of it, else on the host."""

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data import placing
from lmttm.data.dataset import Split, prepare
from lmttm.data.placing import placed

CPU = torch.device("cpu")


def masks(volumes=70):
    images = (torch.rand(volumes, 28, 28, 28) > 0.3).to(torch.uint8) * 255
    return Split("train", images, torch.zeros(volumes).long())


def config_of(tmp_path, *overrides):
    return load_config("demo.json", [f"cache={tmp_path / 'cache'}", *overrides])


@pytest.mark.parametrize(("memory", "device"), [(70 * 28**3, "meta"), (70 * 28**3 - 1, "cpu")])
def test_volumes_move_where_they_take_their_share(tmp_path, monkeypatch, memory, device):
    """Guards against a split that takes the memory that the model needs."""
    monkeypatch.setattr(placing, "memory_of", lambda _: 2 * memory)
    config = config_of(tmp_path, "memory_share=0.5")
    split = placed(masks(), config, torch.device("meta"))
    assert {split.images.device.type, split.labels.device.type} == {device}


@pytest.mark.parametrize("memory", [0, 2**40], ids=["large", "small"])
def test_distances_are_the_same_in_a_file(tmp_path, monkeypatch, memory):
    """Guards against another channel for large sets, and distances in memory for all of them."""
    monkeypatch.setattr(placing, "memory_of", lambda _: memory)
    config, split = config_of(tmp_path, "distance=on"), masks()
    there = placed(split, config, CPU)
    assert there.images is split.images
    assert there.distances.dtype == torch.int16
    assert torch.equal(there.inputs(slice(60, 70)), prepare(split.images[60:], config))
    files = list((tmp_path / "cache").glob("volumes-*.npy"))
    assert len(files) == (memory == 0)
    if files:  # found again, not computed again
        monkeypatch.setattr(placing, "signed_squares", None)
        assert torch.equal(placed(split, config, CPU).distances, there.distances)


def test_without_the_channel_there_are_no_distances(tmp_path):
    assert placed(masks(2), config_of(tmp_path, "distance=off"), CPU).distances is None


@pytest.mark.parametrize("memory", [0, 2**40], ids=["large", "small"])
def test_masks_among_several_channels(tmp_path, monkeypatch, memory):
    monkeypatch.setattr(placing, "memory_of", lambda _: memory)
    one = masks(4).images
    split = Split("train", torch.stack([one // 3, one], dim=1), torch.zeros(4).long())
    channels = ["model.in_channels=2", "volume.intensity=bytes,masks", "dataset_name=mine/"]
    config = config_of(tmp_path, "distance=on", *channels)
    there = placed(split, config, CPU)
    assert there.distances.shape == (4, 1, 28, 28, 28)
    assert torch.equal(there.inputs(slice(0, 4)), prepare(split.images, config))
