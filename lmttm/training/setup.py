"""From a configuration to its trainer: resolves `auto` and builds the parts."""

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from lmttm.config.schema import Config
from lmttm.data.augment import Augment
from lmttm.data.dataset import Dataset, Split
from lmttm.data.distance import is_mask
from lmttm.data.placing import placed
from lmttm.device import fast_in_bf16
from lmttm.errors import InputError
from lmttm.model.trace import Classifier
from lmttm.training.batch_norm import share_batch_norm
from lmttm.training.checks import num_steps
from lmttm.training.distributed import Alone
from lmttm.training.launch import settle_compile
from lmttm.training.optimizer import learning_rate, make_optimizer, warmup_length
from lmttm.training.trainer import Trainer

log = logging.getLogger("lmttm")


def settle(config: Config, dataset: Dataset) -> Config:
    """The configuration with what is left to the data decided by the training split.

    That is how scans become bytes (`volume`), the names of the classes, the number of grey
    channels, and `distance=auto`: on for masks.

    Raises:
        InputError: `distance=on`, and there is no mask among several grey channels.
    """
    decided: dict[str, Any] = {"class_names": list(dataset.class_names)}
    if dataset.volume is not None:
        decided["volume"] = dataset.volume
    if config.distance == "auto":
        decided["distance"] = "on" if _has_masks(dataset) else "off"
    if config.model.in_channels != dataset.num_grey:
        model = {"in_channels": dataset.num_grey}
        decided["model"] = config.model.model_copy(update=model)
    settled = config.model_copy(update=decided)
    if settled.distance == "on" and not settled.distance_of:
        raise InputError(
            "distance=on needs masks in one of the scans of a case, got volume.intensity="
            f"{settled.volume.intensity}"
        )
    return settled


def _has_masks(dataset: Dataset) -> bool:
    """Whether all training volumes are masks, or of cases of several scans those of one scan."""
    if dataset.volume is not None:
        channels = dataset.volume.channels(dataset.num_grey)
        if any(channel.kind == "masks" for channel in channels):
            return True
    return dataset.num_grey == 1 and is_mask(dataset.splits["train"].images)


def settle_precision(config: Config, device: torch.device) -> Config:
    """The configuration with `train.precision=auto` decided by the device: bf16 where it pays."""
    if config.train.precision != "auto":
        return config
    decided = {"precision": "bf16" if fast_in_bf16(device) else "fp32"}
    return config.model_copy(update={"train": config.train.model_copy(update=decided)})


def schedule_of(config: Config, num_volumes: int) -> Callable[[int], float]:
    """The learning rate of a step, counted over all epochs."""
    total = num_steps(config, num_volumes)
    return partial(
        learning_rate,
        lr=config.train.lr,
        warmup_steps=warmup_length(config.train.warmup_steps, total),
        total_steps=total,
        schedule=config.train.schedule,
    )


def warn_of_jump(begun: Config, config: Config, num_volumes: int, step: int) -> None:
    """Warns if a resumed run continues with another learning rate than it stopped with.

    A cosine ends at the last planned epoch. With more epochs, its rate jumps up; so does the
    length of a warm-up that is a share of all steps.

    Args:
        begun: The configuration with which the run was saved.
        config: The configuration with which it continues.
        num_volumes: Volumes of the training split.
        step: Steps done, over all epochs.
    """
    before, after = (schedule_of(c, num_volumes)(step) for c in (begun, config))
    if not math.isclose(before, after):
        log.warning(
            "the schedule now ends after %d epochs instead of %d: the learning rate goes from %.2g "
            "to %.2g at once, and the result is not that of a run planned so from the start",
            config.train.epoch,
            begun.train.epoch,
            before,
            after,
        )


def make_trainer(
    config: Config, split: Split, model: Classifier, team: Alone | None = None
) -> Trainer:
    """The trainer that a configuration describes, on the device of the model.

    Args:
        config: The configuration.
        split: The training split.
        model: The model. In a team its batch norms are replaced by ones over the whole batch.
        team: The processes that train it together; None for this one alone.
    """
    team = team or Alone()
    if team.size > 1:
        share_batch_norm(model, team)
    device = next(model.parameters()).device
    train = settle_precision(config, device).train
    split = placed(split, config, device)
    balanced = train.class_weights == "balanced"
    return Trainer(
        model,
        split,
        augment=Augment(
            **config.augment.model_dump(),
            num_grey=config.model.in_channels,
            distance_of=config.distance_of,
        ),
        optimizer=make_optimizer(
            model, name=train.optimizer, lr=train.lr, weight_decay=train.weight_decay
        ),
        lr_at=schedule_of(config, len(split)),
        seed=config.seed,
        batch_size=config.batch_size,
        accumulate=train.accumulate,
        clip_norm=train.clip_norm,
        label_smoothing=train.label_smoothing,
        class_weights=split.class_weights(config.model.out_class_num) if balanced else None,
        bf16=train.precision == "bf16",
        compile=settle_compile(config, device, team),
        ema=train.ema,
        team=team,
    )
