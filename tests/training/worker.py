"""Trains the cases of `test_distributed.py` in float64: alone, or as one process of a team.

A job is `FOLDER:CASE`, `FOLDER:CASE:stop` (a signal comes to the last process amid the second
epoch) or `FOLDER:CASE:resume`.
"""

import os
import signal
from unittest.mock import MagicMock, patch

import numpy as np
import pytest
import sklearn.metrics  # noqa: F401  # what a training imports late, once for all processes
import torch
import torch._dynamo

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.dataset import Dataset, Split, stack
from lmttm.model.build import build_model
from lmttm.training import loop
from lmttm.training.distributed import joined
from lmttm.training.interrupt import Interrupted
from lmttm.training.loop import train
from lmttm.training.trainer import Trainer
from tests.conftest import TINY

QUIET = [
    *TINY,
    "model.patch_size=14",
    "model.num_blocks=2",
    "model.memory_tokens_size=4",
    "model.drop_r=0",
    "model.memory_start=carried",
    "model.load_memory_add_noise=false",
    "train.precision=fp32",  # no autocast: the model is in float64
    "train.warmup_steps=4",
    "train.epoch=3",
    "train.stop_auc=0",
    "batch_size=8",
    "device=cpu",
]
CASES = {
    "lmttm": ["train.ema=0.8"],
    "ttm": ["model.model=ttm", "train.ema=0.8", "train.class_weights=balanced"],
    "lmttm-bn": ["model.preprocess_mode=3dBN", "train.accumulate=3", "train.optimizer=RMSprop"],
    "ttm-bn": ["model.model=ttm", "model.preprocess_mode=3dBN", "train.ema=0.8"],
}


def small_phantoms(config):
    """18 and 7 volumes: the last batch has two, fewer than three processes."""
    splits = {}
    for seed, (name, count) in enumerate({"train": 18, "val": 7, "test": 2}.items()):
        images, labels = phantoms.generate(count, seed)
        labels = torch.from_numpy(labels[:, 0].astype(np.int64))
        splits[name] = Split(name, torch.from_numpy(images), labels)
    return Dataset("phantoms", phantoms.CLASS_NAMES, splits)


def no_pictures():
    """Trainings without TensorBoard and curves, which take longer than their steps."""
    png = MagicMock(return_value=b"")
    return patch.multiple(loop, TensorBoard=MagicMock(), curves=MagicMock(), to_png=png)


def signal_at(steps):
    """Sends the last process of the team a signal once it has taken that many steps."""
    taken = []
    step = Trainer._step

    def stepped(trainer, *args):
        step(trainer, *args)
        taken.append(1)
        if len(taken) == steps and trainer.team.rank == trainer.team.size - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    return patch.object(Trainer, "_step", stepped)


def run(root, jobs):
    """Runs jobs one after the other, each in a folder of its own."""
    torch.set_num_threads(1)
    doubled = patch("lmttm.data.dataset.stack", lambda *args: stack(*args).double())
    model = patch("lmttm.training.loop.build_model", lambda config: build_model(config).double())
    data = patch("lmttm.training.loop.load_dataset", small_phantoms)
    class_weights = Split.class_weights
    weights = patch.object(Split, "class_weights", lambda *args: class_weights(*args).double())
    with joined(), doubled, model, data, weights, no_pictures():
        for job in jobs:
            folder, case, *mode = job.split(":")
            name = [f"output_dir={root / folder}", f"train.name={case}"]
            config = load_config("demo.json", [*QUIET, *CASES[case], *name])
            if mode == ["stop"]:
                with signal_at(5), pytest.raises(Interrupted, match="stopped in epoch 2, step 2"):
                    train(config)
            else:
                train(config, resume=mode == ["resume"])
