"""Probabilities of a run, or of an ensemble of runs, for a split of volumes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lmttm.config.fields import is_own
from lmttm.config.schema import Config
from lmttm.data.dataset import Split
from lmttm.data.placing import placed
from lmttm.data.views import symmetric_views
from lmttm.device import enough_memory, make_deterministic, pick_device
from lmttm.errors import InputError
from lmttm.evaluation.evaluate import evaluate
from lmttm.runs.checkpoint import Checkpoint

Array = npt.NDArray[np.float64]

# What a prediction takes from the configuration that the user names; the rest is the checkpoint's.
FROM_USER = ("root", "device", "batch_size", "output_dir", "cache", "leaks", "memory_share")


@dataclass(frozen=True)
class Prediction:
    """What the runs of an ensemble say of a split.

    Attributes:
        logits: `(N classes)` of each run.
    """

    logits: tuple[Tensor, ...]

    def probabilities(self, temperatures: Sequence[float] | None = None) -> Array:
        """The mean over the runs `(N classes)`, each at its temperature; 1 where none is given."""
        each = [
            (logits.double() / temperature).softmax(dim=1).numpy()
            for logits, temperature in zip(
                self.logits, temperatures or [1.0] * len(self.logits), strict=True
            )
        ]
        mean: Array = np.mean(each, axis=0)
        return mean


def with_user(trained: Config, user: Config) -> Config:
    """A run's configuration with the places and the device that the user wants now.

    A data set of the user's own may have moved: then its path is the user's as well.
    """
    keys: tuple[str, ...] = FROM_USER
    if is_own(trained.dataset_name) and is_own(user.dataset_name):
        keys = (*keys, "dataset_name")
    return trained.model_copy(update={key: getattr(user, key) for key in keys})


def predict(
    members: Sequence[Checkpoint], split: Split, user: Config, *, progress: bool = False
) -> Prediction:
    """Classifies a split with every run.

    Args:
        members: The best checkpoints of the runs.
        split: The volumes, `(N D H W)` uint8.
        user: Where and how to compute: `device` and `batch_size`.
        progress: Whether progress bars are shown.

    Returns:
        The prediction.

    Raises:
        InputError: The device is not available, or outputs are not finite.
        RunError: Out of memory.
    """
    with enough_memory(user.batch_size):
        return Prediction(tuple(_Machine(m, user, progress).logits(split) for m in members))


class _Machine:
    """The model of a checkpoint, on its device."""

    def __init__(self, member: Checkpoint, user: Config, progress: bool) -> None:
        self.config = with_user(member.config, user)
        self.device = pick_device(self.config.device)
        make_deterministic(self.config.seed, self.device)
        self.model = member.build().to(self.device)
        self.progress = progress

    def logits(self, split: Split) -> Tensor:
        """The logits `(N classes)` of a split, averaged over views where the run asks for it."""
        config = self.config
        found: Tensor = evaluate(
            self.model,
            placed(split, config, self.device),
            batch_size=config.batch_size,
            views=symmetric_views(
                flip_axes=config.augment.flip_axes if config.test_flips else (),
                turn_planes=config.augment.turn_planes if config.test_turns else (),
            ),
            progress=self.progress,
        )
        if not torch.isfinite(found).all():
            raise InputError(f"the weights of {config.train.name} give outputs that are not finite")
        return found
