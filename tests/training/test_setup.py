"""From a configuration to its trainer: what `auto` becomes, and that every key arrives."""

import logging
from dataclasses import replace

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.config.volume import VolumeConfig
from lmttm.data.dataset import Dataset, Split
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.training.setup import (
    make_trainer,
    schedule_of,
    settle,
    settle_precision,
    warn_of_jump,
)
from lmttm.training.trainer import Trainer
from tests.conftest import TINY


@pytest.mark.parametrize(
    ("found", "precision"),
    [
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, "bf16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, "fp32"),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": False}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_auto_takes_bf16_where_it_is_fast(found, precision, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    settled = {
        asked: settle_precision(
            load_config("base.json", [f"train.precision={asked}"]), torch.device("cpu")
        ).train.precision
        for asked in ("auto", "bf16", "fp32")
    }
    assert settled == {"auto": precision, "bf16": "bf16", "fp32": "fp32"}


IMAGE = torch.arange(4**3, dtype=torch.uint8).view(1, 4, 4, 4)
MASK = (IMAGE > 20).to(torch.uint8) * 255


def dataset_of(**splits):
    """A data set with these volumes in its splits."""
    return Dataset(
        "some", ("a", "b"), {name: Split(name, v, torch.zeros(1)) for name, v in splits.items()}
    )


@pytest.mark.parametrize(
    ("train", "others", "expected"),
    [(MASK, MASK, "on"), (IMAGE, IMAGE, "off"), (MASK, IMAGE, "on"), (IMAGE, MASK, "off")],
    ids=["masks", "images", "masks to train on", "masks to test on"],
)
def test_distance_is_settled_by_the_training_split(train, others, expected):
    """Guards against a choice that the test split makes."""
    dataset = dataset_of(train=train, val=others, test=others)
    for asked in ("auto", "on", "off"):
        config = load_config("base.json", [f"distance={asked}"])
        assert settle(config, dataset).distance == (expected if asked == "auto" else asked)


@pytest.mark.parametrize(("third", "expected"), [(255, "on"), (254, "off"), (1, "off")])
def test_a_third_grey_value_makes_images_of_masks(third, expected):
    """Guards against a distance channel for images: MASK has 0 and 255."""
    volumes = MASK.clone()
    volumes[0, 1, 1, 1] = third
    config = load_config("base.json", ["distance=auto"])
    assert settle(config, dataset_of(train=volumes)).distance == expected


def trainer_for(*overrides):
    config = load_config("demo.json", [*TINY, "train.compile=off", *overrides])
    split = Split(
        "train",
        torch.randint(256, (9, 28, 28, 28), dtype=torch.uint8),
        torch.tensor([0] * 6 + [1] * 3),
    )
    return make_trainer(config, split, build_model(config)), config


def test_every_key_of_the_training_reaches_the_trainer():
    """Guards against a key that is accepted and does nothing."""
    trainer, config = trainer_for(
        *("seed=5", "batch_size=4", "train.accumulate=2", "train.clip_norm=0.7", "train.ema=0.9"),
        *("train.label_smoothing=0.1", "train.class_weights=balanced", "train.precision=bf16"),
        *("train.optimizer=RMSprop", "train.lr=0.01", "train.weight_decay=0.02"),
        *("train.schedule=cosine", "train.warmup_steps=2", "train.epoch=4"),
        *("augment.rotate=7", "augment.mixup=0.3", "augment.flip_axes=W"),
    )
    assert type(trainer) is Trainer
    assert (trainer.seed, trainer.batch_size, trainer.part_size) == (5, 4, 2)
    assert (trainer.clip_norm, trainer.label_smoothing, trainer.bf16) == (0.7, 0.1, True)
    assert trainer.class_weights.tolist() == [9 / 12, 9 / 6]
    assert trainer.averaged is not None
    assert type(trainer.optimizer) is torch.optim.RMSprop
    assert trainer.optimizer.defaults["weight_decay"] == 0.02
    for key, value in config.augment.model_dump().items():
        assert getattr(trainer.augment, key) == value, key
    # Three steps an epoch: the cosine ends after twelve.
    assert trainer.lr_at(0) == pytest.approx(0.005)
    assert trainer.lr_at(7) == pytest.approx(0.005)
    assert trainer.lr_at(12) == pytest.approx(0.0)


def test_what_is_off_is_not_built():
    trainer, _ = trainer_for("train.precision=fp32", "train.ema=0", "train.class_weights=none")
    assert (trainer.averaged, trainer.class_weights, trainer.bf16) == (None, None, False)


def test_the_trainer_sees_the_distance_channel():
    trainer, _ = trainer_for("distance=on")
    assert trainer.split.inputs(torch.arange(2)).shape == (2, 2, 28, 28, 28)


def test_a_warm_up_is_a_number_of_steps_or_a_share_of_all():
    def rate(warmup, step):
        changes = [f"train.warmup_steps={warmup}", "train.lr=1.0", "train.schedule=constant"]
        config = load_config("base.json", [*changes, "train.epoch=10", "batch_size=8"])
        return schedule_of(config, 20)(step)  # 3 steps an epoch

    assert [rate(6, step) for step in range(7)] == [rate(0.2, step) for step in range(7)]
    assert rate(0.2, 0) == pytest.approx(1 / 6)
    assert rate(0, 0) == 1.0


def test_a_cosine_with_more_epochs_warns_that_the_rate_jumps(caplog):
    """Guards against a rate that rises from 1.7e-05 to 3.7e-04 without a word."""
    settings = ["train.schedule=cosine", "train.lr=0.001", "batch_size=8"]
    begun, longer = (
        load_config("base.json", [*settings, f"train.epoch={epochs}"]) for epochs in (12, 20)
    )
    with caplog.at_level(logging.WARNING, "lmttm"):
        warn_of_jump(begun, begun, 80, 110)
        assert not caplog.records
        warn_of_jump(begun, longer, 80, 110)
        constant = [
            c.model_copy(update={"train": c.train.model_copy(update={"schedule": "constant"})})
            for c in (begun, longer)
        ]
        warn_of_jump(*constant, 80, 110)
    (record,) = caplog.records
    low, high = (schedule_of(config, 80)(110) for config in (begun, longer))
    assert f"goes from {low:.2g} to {high:.2g} at once" in record.getMessage()
    assert high > 10 * low
    assert "after 20 epochs instead of 12" in record.getMessage()


def two_channels(intensity):
    images = torch.stack([IMAGE, MASK], dim=1)
    dataset = dataset_of(train=images, val=images)
    return replace(dataset, volume=VolumeConfig(intensity=intensity))


def test_the_channels_are_settled_by_the_data():
    """Grey channels follow the data; a mask among them brings its distances along."""
    config = load_config("base.json", ["distance=auto"])
    settled = settle(config, two_channels(["bytes", "masks"]))
    assert (settled.model.in_channels, settled.distance, settled.distance_of) == (2, "on", (1,))
    grey = settle(config, two_channels(["bytes", "bytes"]))
    assert (grey.model.in_channels, grey.distance, grey.num_channels) == (2, "off", 2)


def test_distances_without_a_mask_among_several_scans_are_refused():
    """Guards against a channel that is asked for and silently left out."""
    config = load_config("base.json", ["distance=on"])
    with pytest.raises(InputError, match=r"distance=on needs masks .*got volume\.intensity="):
        settle(config, two_channels(["bytes", "hu"]))


def test_the_augmentation_knows_the_channels():
    """Guards against noise on a distance channel, or none on a second scan."""
    config = load_config("demo.json", [*TINY, "dataset_name=mine/", "distance=on"])
    config = settle(config, two_channels(["bytes", "masks"]))
    images = torch.randint(256, (9, 2, 28, 28, 28), dtype=torch.uint8)
    split = Split("train", images, torch.tensor([0] * 6 + [1] * 3))
    augment = make_trainer(config, split, build_model(config)).augment
    assert (augment.num_grey, augment.distance_of) == (2, (1,))
