"""Checks before the first step of a training what it would otherwise reveal too late."""

import logging

from torch import nn

from lmttm.config.schema import Config
from lmttm.data.dataset import Dataset
from lmttm.errors import InputError
from lmttm.model.machine import LMTTM
from lmttm.model.stem import StemmedTokenizer
from lmttm.report.tracking import check_tracker
from lmttm.training.optimizer import warmup_length

log = logging.getLogger("lmttm")


def num_steps(config: Config, num_volumes: int) -> int:
    """Steps of the whole training."""
    return config.train.epoch * -(-num_volumes // config.batch_size)


def check(config: Config, dataset: Dataset, model: nn.Module) -> None:
    """Warns of a class without volumes and of a long warm-up, each in one line.

    Args:
        config: The configuration of the run.
        dataset: Its data set.
        model: The model that it builds.

    Raises:
        InputError: Batch norm would receive a single value, or the package of `train.logger`
            is missing.
    """
    check_tracker(config.train.logger)
    _check_batch_norm(config, len(dataset.splits["train"]), model)
    _check_classes(config, dataset)
    _check_warmup(config, len(dataset.splits["train"]))


def _check_batch_norm(config: Config, num_volumes: int, model: nn.Module) -> None:
    """If a volume is one patch, batch norm receives one value per volume."""
    if not isinstance(model, LMTTM):
        return
    tokenizer = model.tokenizer
    if isinstance(tokenizer, StemmedTokenizer):  # a stem normalises voxels, of which there are many
        tokenizer = tokenizer.tokenizer
    if not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in tokenizer.modules()):
        return
    if tokenizer.grid(config.shape) != (1, 1) or 1 not in _part_sizes(config, num_volumes):
        return
    raise InputError(
        "batch norm needs two values, but a volume is one patch and a part of a batch one volume; "
        f"change batch_size={config.batch_size} (for {num_volumes} training volumes), "
        f"train.accumulate={config.train.accumulate} or model.patch_size={config.model.patch_size}"
    )


def _part_sizes(config: Config, num_volumes: int) -> set[int]:
    """The numbers of volumes that pass the model at a time."""
    part = -(-config.batch_size // config.train.accumulate)
    batches = {min(config.batch_size, num_volumes), num_volumes % config.batch_size} - {0}
    return {min(part, batch) for batch in batches} | {batch % part for batch in batches} - {0}


def _check_classes(config: Config, dataset: Dataset) -> None:
    for name in ("train", "val"):
        counts = dataset.splits[name].counts(config.model.out_class_num).tolist()
        absent = [dataset.class_names[i] for i, count in enumerate(counts) if not count]
        if not absent:
            continue
        missing = ", ".join(absent)
        if name == "train":
            log.warning("the training split has no volume of: %s; it cannot be learned", missing)
            continue
        effect = "the AUC is not defined"
        if config.train.keep == "best":
            effect += ", so the epoch with the lowest validation loss is kept"
        if config.train.stop_auc:
            effect += ", and train.stop_auc has no effect"
        log.warning("the validation split has no volume of: %s; %s", missing, effect)


def _check_warmup(config: Config, num_volumes: int) -> None:
    total = num_steps(config, num_volumes)
    warmup = warmup_length(config.train.warmup_steps, total)
    if warmup <= total / 3:
        return
    reach = (
        "the learning rate never reaches train.lr"
        if warmup >= total
        else "that is more than a third of it"
    )
    log.warning(
        "the warm-up takes %d steps, the training has %d: %s; train.warmup_steps=0.1 would take "
        "a tenth",
        warmup,
        total,
        reach,
    )
