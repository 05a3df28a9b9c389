"""From a configuration to what trains it: `auto` resolved, the trainer built."""

from functools import partial

import torch

from lmttm.config.schema import Config
from lmttm.data.augment import Augment
from lmttm.data.dataset import Dataset, Split, with_distances
from lmttm.data.distance import is_mask
from lmttm.device import fast_in_bf16
from lmttm.training.optimizer import learning_rate, make_optimizer
from lmttm.training.trainer import Trainer


def settle(config: Config, dataset: Dataset) -> Config:
    """The configuration with `distance=auto` decided by the training split: on for masks."""
    if config.distance != "auto":
        return config
    shapes = is_mask(dataset.splits["train"].images)
    return config.model_copy(update={"distance": "on" if shapes else "off"})


def settle_precision(config: Config, device: torch.device) -> Config:
    """The configuration with `train.precision=auto` decided by the device: bf16 where it pays."""
    if config.train.precision != "auto":
        return config
    decided = {"precision": "bf16" if fast_in_bf16(device) else "fp32"}
    return config.model_copy(update={"train": config.train.model_copy(update=decided)})


def make_trainer(config: Config, split: Split, model: torch.nn.Module) -> Trainer:
    """The trainer that a configuration describes, on the device of the model."""
    device = next(model.parameters()).device
    train = settle_precision(config, device).train
    split = with_distances(split, config).to(device)
    balanced = train.class_weights == "balanced"
    return Trainer(
        model,
        split,
        augment=Augment(**config.augment.model_dump()),
        optimizer=make_optimizer(
            model, name=train.optimizer, lr=train.lr, weight_decay=train.weight_decay
        ),
        lr_at=partial(
            learning_rate,
            lr=train.lr,
            warmup_steps=train.warmup_steps,
            total_steps=train.epoch * -(-len(split) // config.batch_size),
            schedule=train.schedule,
        ),
        seed=config.seed,
        batch_size=config.batch_size,
        accumulate=train.accumulate,
        clip_norm=train.clip_norm,
        label_smoothing=train.label_smoothing,
        class_weights=split.class_weights() if balanced else None,
        bf16=train.precision == "bf16",
        compiled=train.compile == "on" or (train.compile == "auto" and device.type == "cuda"),
        ema=train.ema,
    )
