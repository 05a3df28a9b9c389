"""Explains single volumes with the model of a run, beside the same model with random weights."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lmttm.config.schema import Config
from lmttm.data.dataset import prepare
from lmttm.data.sources import class_names_of
from lmttm.device import make_deterministic, pick_device
from lmttm.errors import InputError
from lmttm.evaluation.explanation import Explanation, explain, of_volume
from lmttm.evaluation.saliency import Saliency, find_captum, saliency
from lmttm.model.build import build_model
from lmttm.model.machine import LMTTM
from lmttm.model.resnet3d import ResNet3D
from lmttm.model.trace import Classifier
from lmttm.report.explain_page import ExplainedVolume, HeatMap
from lmttm.runs.checkpoint import Checkpoint

_VIEWS = (
    "This explains the answer for the volume as it is; predict.py averages it with those for "
    "{} copies, so its probability may differ."
)


class Explainer:
    """The model of a run and its double with random weights, ready to explain.

    Args:
        member: The checkpoint.
        config: Its configuration, with the device to compute on.

    Raises:
        InputError: The model has no steps, and Captum is missing.
    """

    def __init__(self, member: Checkpoint, config: Config) -> None:
        self.config = config
        self.class_names = class_names_of(config)
        self.device = pick_device(config.device)
        make_deterministic(config.seed, self.device)
        plain = config.model.model_copy(update={"resnet_pretrained": False})
        random = build_model(config.model_copy(update={"model": plain}))
        self.model = member.build().to(self.device)
        self.random = random.to(self.device).eval()
        if not isinstance(self.model, LMTTM):
            find_captum()

    def __call__(self, volume: np.ndarray, warnings: Sequence[str] = ()) -> ExplainedVolume:
        """Explains the answer for a volume.

        Args:
            volume: `(D H W)` uint8, or `(C D H W)` of several channels, as it was prepared.
            warnings: Where it is unlike the training volumes, as sentences.

        Returns:
            The explanation, which shows the warnings.

        Raises:
            InputError: The answer is not finite.
        """
        inputs = prepare(torch.from_numpy(volume)[None].to(self.device), self.config)
        with torch.no_grad():
            if not self.model(inputs).isfinite().all():
                raise InputError("the weights of the run give outputs that are not finite")
        views = self.config.averaged_views
        found: Explanation[np.ndarray] | Saliency
        if isinstance(self.model, LMTTM) and isinstance(self.random, LMTTM):
            found, maps = _by_attention(self.model, self.random, inputs)
            slabs = self.model.tokenizer.slices(volume.shape[-3])
        else:
            found, maps = _by_maps(self.model, self.random, inputs[0])
            slabs = []
        return ExplainedVolume(
            grey=volume if volume.ndim == 4 else volume[None],
            found=found,
            maps=maps,
            slabs=slabs,
            class_names=self.class_names,
            warnings=list(warnings),
            notes=[_VIEWS.format(views)] if views else [],
        )


def _by_attention(
    model: LMTTM, random: LMTTM, inputs: Tensor
) -> tuple[Explanation[np.ndarray], list[HeatMap]]:
    """What a machine with steps and memory shows of itself."""
    found, other = (of_volume(explain(one, inputs), 0) for one in (model, random))
    shown = HeatMap(
        name="heat",
        title="Where the model attends",
        legend="attention, from none to its largest",
        heat=found.attention,
        random=other.attention,
    )
    return found, [shown]


def _by_maps(
    model: Classifier, random: Classifier, volume: Tensor
) -> tuple[Saliency, list[HeatMap]]:
    """What can be found out about a network from outside."""
    found = saliency(model, _layer(model), volume)
    other = saliency(random, _layer(random), volume, int(found.probabilities.argmax()))
    edge = " x ".join(str(last - first + 1) for first, last in found.cube)
    occlusion = HeatMap(
        name="occlusion",
        title="What the model needs: occlusion",
        legend=f"fall of the log-odds without a cube of {edge} voxels, from none to its largest",
        heat=found.occlusion.clip(min=0),
        random=other.occlusion.clip(min=0),
    )
    grad_cam = HeatMap(
        name="grad-cam",
        title="What speaks for the answer: Grad-CAM",
        legend="activity for the answer in a layer, from none to its largest",
        heat=found.grad_cam,
        random=other.grad_cam,
    )
    return found, [occlusion, grad_cam]


def _layer(model: Classifier) -> nn.Module:
    """The layer that Grad-CAM looks at."""
    if isinstance(model, ResNet3D):
        return model.mapped_layer
    raise InputError(f"a {type(model).__name__} has no layer that explain knows")
