"""What is said before the first step."""

import logging

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data.dataset import Dataset, Split
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.training.checks import _part_sizes, check
from lmttm.training.setup import make_trainer
from tests.conftest import TINY


def dataset_of(train: int, val: list[int], *, labels: int = 2) -> Dataset:
    images = torch.zeros(train, 28, 28, 28, dtype=torch.uint8)
    splits = {
        "train": Split("train", images, torch.arange(train) % labels),
        "val": Split("val", images[: len(val)], torch.tensor(val)),
    }
    return Dataset("Little", ("left", "right", "both"), splits)


def said(caplog, dataset, *overrides):
    config = load_config("demo.json", [*TINY, "model.out_class_num=3", *overrides])
    with caplog.at_level(logging.WARNING, "lmttm"):
        check(config, dataset, build_model(config))
    return [record.getMessage() for record in caplog.records if "never write" not in record.msg]


def test_nothing_is_said_of_an_ordinary_training(caplog):
    settings = ["train.warmup_steps=0"]
    assert said(caplog, dataset_of(9, [0, 1, 2], labels=3), *settings) == []


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("6", []),
        ("0.3", []),
        ("7", ["the warm-up takes 7 steps, the training has 18: that is more than a third"]),
        ("0.5", ["the warm-up takes 9 steps, the training has 18"]),
        ("18", ["never reaches train.lr"]),
        ("100", ["the warm-up takes 100 steps, the training has 18: the learning rate never"]),
    ],
)
def test_a_long_warm_up_is_a_warning(steps, expected, caplog):
    """Guards against a small data set that is trained at a hundredth of the learning rate."""
    dataset = dataset_of(9, [0, 1, 2], labels=3)
    size = ["batch_size=4", "train.epoch=6", f"train.warmup_steps={steps}"]
    found = said(caplog, dataset, *size)
    assert len(found) == len(expected)
    assert all(text in line for text, line in zip(expected, found, strict=True))


def test_an_absent_class_is_a_warning_at_the_start(caplog):
    """Guards against an epoch of training before somebody learns that the AUC is not defined."""
    changes = ["train.warmup_steps=0", "train.keep=best", "train.stop_auc=0.9"]
    found = said(caplog, dataset_of(8, [0, 1, 0]), *changes)
    assert found == [
        "the training split has no volume of: both; it cannot be learned",
        "the validation split has no volume of: both; the AUC is not defined, so the epoch with "
        "the lowest validation loss is kept, and train.stop_auc has no effect",
    ]
    caplog.clear()
    assert said(caplog, dataset_of(9, [1], labels=3), "train.warmup_steps=0", "train.keep=last")[
        0
    ].startswith("the validation split has no volume of: left, both; the AUC is not defined")


def test_balanced_weights_train_where_a_class_is_absent():
    """Guards against a crash in the loss: weights of two classes, logits of three."""
    changes = ["model.out_class_num=3", "train.class_weights=balanced", "train.label_smoothing=0.1"]
    config = load_config("demo.json", [*TINY, *changes])
    split = dataset_of(5, [0]).splits["train"]
    assert make_trainer(config, split, build_model(config)).train_epoch() > 0


@pytest.mark.parametrize(
    ("volumes", "batch", "parts"),
    [(9, 4, 1), (1, 4, 1), (8, 4, 4), (7, 4, 2), (6, 1, 1), (10, 8, 3)],
)
def test_one_value_for_batch_norm_is_refused_at_the_start(volumes, batch, parts, caplog):
    """Guards against "Expected more than 1 value per channel" at the last batch of an epoch."""
    changes = [f"batch_size={batch}", f"train.accumulate={parts}", "model.patch_size=28"]
    dataset = dataset_of(volumes, [0, 1, 2])
    expected = {
        len(part)
        for chosen in torch.arange(volumes).split(batch)
        for part in chosen.split(-(-batch // parts))
    }
    config = load_config("demo.json", [*TINY, *changes])
    assert _part_sizes(config, volumes) == expected
    changes += ["model.preprocess_mode=3dBN", "train.warmup_steps=0"]
    if 1 in expected:
        with pytest.raises(InputError, match=f"batch_size={batch} .for {volumes} training"):
            said(caplog, dataset, *changes)
    else:
        said(caplog, dataset, *changes)


def test_the_batch_norm_of_a_stem_has_values_enough(caplog):
    """Guards against a refusal where only a stem, which sees single voxels, has batch norm."""
    changes = ["batch_size=4", "model.patch_size=28", "model.stem=2", "train.warmup_steps=0"]
    dataset = dataset_of(9, [0, 1, 2])
    said(caplog, dataset, *changes)
    with pytest.raises(InputError, match="batch norm needs two values"):
        said(caplog, dataset, *changes, "model.preprocess_mode=3dBN")


@pytest.mark.parametrize("volumes", [9, 1])
def test_a_last_batch_of_one_volume_trains_with_batch_norm(volumes):
    changes = ["model.preprocess_mode=3dBN", "batch_size=4"]
    config = load_config("demo.json", [*TINY, *changes])
    split = dataset_of(volumes, [0]).splits["train"]
    assert make_trainer(config, split, build_model(config)).train_epoch() > 0
