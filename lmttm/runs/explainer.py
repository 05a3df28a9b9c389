"""Explains single volumes with the model of a run, beside the same model with random weights."""

from collections.abc import Sequence

import numpy as np
import torch

from lmttm.config.schema import Config
from lmttm.data.dataset import prepare
from lmttm.data.sources import class_names_of
from lmttm.device import make_deterministic, pick_device
from lmttm.errors import InputError
from lmttm.evaluation.explanation import explain, of_volume
from lmttm.model.build import build_model
from lmttm.model.machine import LMTTM
from lmttm.report.explain_page import ExplainedVolume
from lmttm.runs.checkpoint import Checkpoint

_FLIPS = (
    "This explains the answer for the volume as it is; predict.py averages it with those for "
    "mirrored copies, so its probability may differ."
)


class Explainer:
    """The model of a run and its double with random weights, ready to explain.

    Args:
        member: The checkpoint.
        config: Its configuration, with the device to compute on.

    Raises:
        InputError: The model has neither steps nor memory.
    """

    def __init__(self, member: Checkpoint, config: Config) -> None:
        self.config = config
        self.class_names = class_names_of(config)
        self.device = pick_device(config.device)
        make_deterministic(config.seed)
        model = member.build()
        plain = config.model.model_copy(update={"resnet_pretrained": False})
        random = build_model(config.model_copy(update={"model": plain}))
        if not (isinstance(model, LMTTM) and isinstance(random, LMTTM)):
            kind = config.model.model
            raise InputError(f"explain follows steps and memory; model.model={kind} has neither")
        self.model = model.to(self.device)
        self.random = random.to(self.device).eval()

    def __call__(self, volume: np.ndarray, warnings: Sequence[str] = ()) -> ExplainedVolume:
        """Explains the answer for a volume.

        Args:
            volume: `(D H W)` uint8, as it was prepared.
            warnings: Where it is unlike the training volumes, as sentences.

        Returns:
            The explanation, which shows the warnings.
        """
        inputs = prepare(torch.from_numpy(volume)[None].to(self.device), self.config)
        single = of_volume(explain(self.model, inputs), 0)
        if not np.isfinite(single.probabilities).all():
            raise InputError("the weights of the run give outputs that are not finite")
        return ExplainedVolume(
            volume=volume,
            found=single,
            random_attention=explain(self.random, inputs).attention[0].cpu().numpy(),
            slabs=self.model.tokenizer.slices(len(volume)),
            class_names=self.class_names,
            warnings=list(warnings),
            notes=[_FLIPS] if self.config.test_flips else [],
        )
