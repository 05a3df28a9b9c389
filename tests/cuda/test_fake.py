"""What runs on a GPU, on a fake one: nothing lies on the host, and the host never waits.

The host waits for the device only where it means to: when it looks at the losses, which is once
in 50 steps, and when it takes the results of an evaluation or a preparation.
"""

import itertools
from typing import get_args
from unittest.mock import patch

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException

from lmttm.config.fields import OneOf
from lmttm.config.files import load_config
from lmttm.config.schema import AugmentConfig, ModelConfig, TrainConfig
from lmttm.data.augment import Augment
from lmttm.data.dataset import Split, prepare
from lmttm.data.feed import one_ahead
from lmttm.data.views import symmetric_views
from lmttm.evaluation.evaluate import evaluate
from lmttm.model.build import build_model
from lmttm.training.setup import make_trainer
from lmttm.training.trainer import Trainer
from tests.conftest import TINY
from tests.cuda.fake import DEVICE, HostWaits, fake_cuda, no_backward


def choices(section, key):
    """What a configuration may name."""
    field = section.model_fields[key]
    annotation = field.annotation
    if annotation is bool:
        return ["false", "true"]
    listed = [value for kind in field.metadata if isinstance(kind, OneOf) for value in kind.names]
    return listed or [value for value in get_args(annotation) if isinstance(value, str)]


def one_by_one(section, prefix, *keys):
    return [f"{prefix}{key}={value}" for key in keys for value in choices(section, key)]


VARIANTS = [
    *(
        f"model.model={model} model.memory_mode={memory} model.process_unit={unit} fast={fast}"
        for model, memory, unit, fast in itertools.product(
            choices(ModelConfig, "model"),
            choices(ModelConfig, "memory_mode"),
            choices(ModelConfig, "process_unit"),
            ["true", "false"],
        )
        if model != "resnet3d" and (fast == "true" or unit == "mlp")
    ),
    *one_by_one(
        ModelConfig,
        "model.",
        "model",
        "preprocess_mode",
        "memory_start",
        "load_memory_add_noise_mode",
        "pool",
        "border",
        "norm",
        "share_layers",
        "mark_neighbours",
        "read_use_positional_embedding",
        "write_use_positional_embedding",
    ),
    "model.num_blocks=8 model.memory_tokens_size=16",  # steps that do not write all units
    "model.drop_path=0.2",
    "model.stem=2",
]
TRAININGS = [
    *one_by_one(
        TrainConfig, "train.", "optimizer", "schedule", "class_weights", "precision", "keep"
    ),
    "train.accumulate=2",
    "train.accumulate=3 train.class_weights=balanced",
    "train.clip_norm=1",
    "train.label_smoothing=0.1",
    "train.ema=0.9",
    "train.ema=0.9 model.preprocess_mode=3dBN distance=on",
]
AUGMENTS = [
    "flip_axes=D,H,W",
    "turn_planes=DH,DW,HW",
    "shift=2",
    "rotate=10",
    "scale=0.1",
    "stretch=0.1",
    "elastic=0.05",
    "intensity=0.1",
    "noise=0.1",
    "cutout=0.2",
    "mixup=0.4",
]


QUICK = [
    "model.memory_start=carried",
    "model.patch_size=9",  # three steps
    "model.num_blocks=3",
    "model.memory_tokens_size=6",
    "batch_size=4",
    "train.compile=off",
]


def config_of(changes):
    return load_config("demo.json", [*TINY, *QUICK, *changes.split()])


def split_of(config, volumes=9):
    """A split with its distances, which scipy would compute on the host, as fake tensors."""
    with DEVICE:
        shape = (volumes, *(config.size,) * 3)
        distances = torch.zeros(shape, dtype=torch.int16) if config.distance == "on" else None
        images, labels = torch.zeros(shape, dtype=torch.uint8), torch.arange(volumes)
        return Split("train", images, labels % 2, distances)


def trainer_of(config) -> Trainer:
    with DEVICE:
        model = build_model(config)
    without = config.model_copy(update={"distance": "off"})  # the split has them already
    # Weights of classes are counted before the training, on the host.
    balanced = config.train.class_weights == "balanced"
    quiet = config.train.model_copy(update={"class_weights": "none"})
    without = without.model_copy(update={"train": quiet})
    trainer = make_trainer(without, split_of(config), model)
    trainer.class_weights = torch.ones(2, device=DEVICE) if balanced else None
    return trainer


def take_steps(trainer: Trainer) -> None:
    """One step; with averaged weights also a second, which finds the state of the first."""
    trainer.model.train()
    order = torch.arange(9, device=DEVICE)
    with no_backward(trainer.model), patch.object(trainer, "_look"), HostWaits():
        coming = trainer.feed([order[:4], order[8:]])
        trainer._step(order[:4], 0.1, coming)
        if trainer.averaged:
            trainer._step(order[8:], 0.1, coming)


def test_the_keys_cover_the_schema():
    """Guards against a choice that is added to the schema and never tried on a GPU."""
    tried = {text.split("=")[0] for text in " ".join(VARIANTS + TRAININGS).split()}
    no_kind = {"train.compile", "train.logger", "model.resnet_pretrained"}
    no_kind |= {"model.load_memory_add_noise"}
    assert {"3d", "TL", "transformer"} <= {
        text.rpartition("=")[2] for text in " ".join(VARIANTS).split()
    }
    for section, prefix in [(ModelConfig, "model."), (TrainConfig, "train.")]:
        for key in section.model_fields:
            assert not choices(section, key) or {prefix + key} & (tried | no_kind), key
    assert {text.split("=")[0] for text in AUGMENTS} == set(AugmentConfig.model_fields)


@pytest.mark.parametrize("changes", VARIANTS + TRAININGS)
def test_a_step_leaves_nothing_on_the_host_and_never_waits(changes):
    """Guards against index lists, read-backs and tensors on the host, one per variant."""
    with fake_cuda():
        take_steps(trainer_of(config_of(changes)))


@pytest.mark.parametrize("changes", AUGMENTS)
@pytest.mark.parametrize("distance", ["off", "on"])
def test_augmentation_never_waits(changes, distance):
    """Guards against torch.distributions, which reads its arguments back."""
    config = config_of(f"augment.{changes} distance={distance}")
    with fake_cuda():
        volumes = split_of(config).inputs(torch.arange(4, device=DEVICE))
        with HostWaits():
            change = Augment(**config.augment.model_dump(), distance_of=config.distance_of)
            changed, mixing = change(volumes)
    assert changed.device == DEVICE
    assert changed.shape == volumes.shape
    assert mixing is None or mixing[0].device == DEVICE


EVALUATIONS = [
    *(text for text in VARIANTS if text.startswith(("model.prep", "model.pool"))),
    "model.model=resnet3d",
    "model.preprocess_mode=3dBN distance=on",
]


@pytest.mark.parametrize("changes", EVALUATIONS)
def test_an_evaluation_waits_once_for_all_its_results(changes):
    """Guards against a copy of each batch's indices, and logits that are fetched one by one."""
    config = config_of(changes)
    views = symmetric_views(["W"], ["HW"])
    with fake_cuda():
        with DEVICE:
            model = build_model(config)
        split = split_of(config, volumes=5)
        with HostWaits(results=1) as watch:
            logits = evaluate(model, split, batch_size=4, views=views)
    assert watch.results == 0
    assert logits.shape == (5, 2)


@pytest.mark.parametrize("distance", ["off", "on"])
def test_preparation_stays_on_the_device(distance):
    """Guards against a channel that is left on the host; the distances themselves are scipy's."""
    config = config_of(f"distance={distance}")
    with fake_cuda(), patch("lmttm.data.dataset.signed_squares", lambda v, _: v.short()):
        volumes = torch.zeros(3, 28, 28, 28, dtype=torch.uint8, device=DEVICE)
        with HostWaits():
            inputs = prepare(volumes, config)
    assert inputs.device == DEVICE
    assert inputs.shape == (3, 1 + (distance == "on"), 28, 28, 28)


def index_list(loss):
    return loss * torch.ones(3, device=loss.device)[[1, 1]].mean()


FAULTS = {
    "a number is read": lambda loss: loss * loss.item(),
    "a tensor is fetched": lambda loss: loss.cpu().to(DEVICE),
    "an index is a list": index_list,
    "a mask is an index": lambda loss: loss.expand(2)[loss.expand(2) > 0].sum(),
    "a constant is copied": lambda loss: loss * torch.tensor([2.0, 1.0]).to(loss.device)[0],
    "a tensor lies on the host": lambda loss: (loss * torch.ones(2)).mean(),
    "an index lies on the host": lambda loss: loss.expand(3)[torch.tensor([0, 2])].mean(),
    # By name: torch.compile, in a test before this one, switches the checks off.
    "an argument is checked": lambda loss: (
        loss * torch.distributions.Gamma(loss, loss, validate_args=True).sample()
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_step_that_waits_is_noticed(fault):
    """Guards against a watch that sees nothing: each of these in the step's loss is an error."""
    with fake_cuda():
        trainer = trainer_of(config_of("model.memory_mode=none model.process_unit=mlp"))
        loss = trainer._loss
        with (
            patch.object(trainer, "_loss", lambda *args: FAULTS[fault](loss(*args))),
            pytest.raises((AssertionError, RuntimeError, DataDependentOutputException)),
        ):
            take_steps(trainer)


def test_an_asynchronous_copy_is_no_wait():
    """Guards against a watch that forbids what brings the next batch."""
    with fake_cuda(), HostWaits():
        assert torch.zeros(3).to(DEVICE, non_blocking=True).device == DEVICE


@pytest.mark.parametrize("changes", ["distance=on", "train.accumulate=2 train.ema=0.9"])
def test_volumes_on_the_host_arrive_without_a_wait(changes):
    """Guards against a copy of a batch, or of its labels, that the host waits for."""
    config = config_of(changes)
    images = torch.zeros(9, *config.shape, dtype=torch.uint8)
    distances = images.short() if config.distance == "on" else None
    split = Split("train", images, torch.arange(9) % 2, distances)
    parts = [*torch.arange(4).split(4 // config.train.accumulate), torch.tensor([8])]
    with fake_cuda(), patch("lmttm.data.feed.pinned", lambda tensor: tensor):
        trainer = trainer_of(config)
        coming = one_ahead(split, parts, DEVICE)
        order = torch.arange(9, device=DEVICE)
        with no_backward(trainer.model), patch.object(trainer, "_look"), HostWaits():
            trainer._step(order[:4], 0.1, coming)
            trainer._step(order[8:], 0.1, coming)
        assert next(coming, None) is None
