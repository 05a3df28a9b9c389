"""The networks that `networks.py` compares: ours, torchvision's and MONAI's."""

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.model.build import build_model
from lmttm.model.convolution import correct
from lmttm.model.trace import Classifier, OneStep

_HALVED_FIVE_TIMES = 32  # the least edge that a DenseNet takes


class Network(OneStep):
    """A network of another library, as our trainer takes it: one step and no memory.

    Args:
        net: Volumes `(b c D H W)` -> logits `(b classes)`, or a tuple that starts with them.
        input_shape: Channels and voxels of a volume, c D H W.
        least_edge: Smaller volumes get a border of zeros up to this edge.
    """

    def __init__(
        self, net: nn.Module, input_shape: tuple[int, int, int, int], *, least_edge: int = 1
    ) -> None:
        super().__init__(input_shape)
        self.net = net.to(memory_format=torch.channels_last_3d)  # faster on a CPU
        correct(self.net)
        missing = [max(0, least_edge - edge) for edge in input_shape[1:]]
        self.border = [width for n in reversed(missing) for width in (n // 2, n - n // 2)]

    def forward(self, volumes: Tensor) -> Tensor:
        """Classifies volumes `(b c D H W)` in [0, 1]: logits `(b classes)`. Changes nothing."""
        self.check(volumes)
        output = self.net(F.pad(volumes, self.border))
        logits: Tensor = output[0] if isinstance(output, tuple) else output
        return logits


def networks(config: Config, source: str) -> dict[str, Callable[[], Classifier]]:
    """What builds each network for the volumes and classes of a configuration.

    Args:
        config: Of a machine; `distance` is decided.
        source: The name of its file, after which its machines are called.

    Returns:
        By name; MONAI's only where it is installed.
    """
    model = config.model
    kept = {name: getattr(model, name) for name in ("in_channels", "out_class_num")}
    models = {
        f"LMTTM of {source}": model,
        "LMTTM of base.json": load_config("base.json").model.model_copy(update=kept),
        f"TTM of {source}": model.model_copy(update={"model": "ttm"}),
        "r3d_18 (torchvision)": model.model_copy(update={"model": "resnet3d"}),
    }
    found: dict[str, Callable[[], Classifier]] = {
        name: partial(build_model, config.model_copy(update={"model": model}))
        for name, model in models.items()
    }
    return found | (_of_monai(config) if has_monai() else {})


def has_monai() -> bool:
    """Whether MONAI is installed (the extra `benchmark`)."""
    return importlib.util.find_spec("monai") is not None


def _of_monai(config: Config) -> dict[str, Callable[[], Classifier]]:
    """MONAI's classifiers with its own settings; the transformer sees 4 x 4 x 4 patches."""
    nets: Any = importlib.import_module("monai.networks.nets")
    channels = config.model.in_channels + (config.distance == "on")
    classes = config.model.out_class_num
    shape = (channels, *config.shape)

    def resnet() -> Classifier:
        net = nets.resnet18(spatial_dims=3, n_input_channels=channels, num_classes=classes)
        return Network(net, shape)

    def densenet() -> Classifier:
        net = nets.DenseNet121(spatial_dims=3, in_channels=channels, out_channels=classes)
        return Network(net, shape, least_edge=_HALVED_FIVE_TIMES)

    def transformer() -> Classifier:
        net = nets.ViT(
            in_channels=channels,
            img_size=config.shape,
            patch_size=[max(1, edge // 4) for edge in config.shape],
            num_classes=classes,
            classification=True,
            post_activation="none",  # not Tanh: the loss takes logits
        )
        return Network(net, shape)

    return {
        "ResNet-18 (MONAI)": resnet,
        "DenseNet-121 (MONAI)": densenet,
        "ViT (MONAI)": transformer,
    }
