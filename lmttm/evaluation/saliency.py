"""Which voxels a network without steps and memory needs: occlusion and Grad-CAM, by Captum."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmttm.errors import InputError
from lmttm.evaluation.explanation import contrast
from lmttm.model.trace import Classifier

CUBES = 4  # along each axis
_AT_ONCE = 8  # volumes of a forward pass


class Saliency(NamedTuple):
    """What mattered to a network's answer for one volume, as arrays."""

    probabilities: np.ndarray  # (classes): the answer
    occlusion: np.ndarray  # (D H W): by how much the log-odds of the answer fall if the cube that
    # holds the voxel is empty
    grad_cam: np.ndarray  # (D H W): what spoke for the answer in a layer, not negative
    cube: tuple[tuple[int, int], ...]  # first and last voxel, along D, H and W, of the cube
    # without which the log-odds fall most
    cube_effect: float  # by how much
    without_cube: np.ndarray  # (classes): the answer without it


def saliency(
    model: Classifier, layer: nn.Module, volume: Tensor, answer: int | None = None
) -> Saliency:
    """Explains the answer of a network for one volume.

    Args:
        model: In evaluation mode.
        layer: The layer of the model that Grad-CAM looks at; it gives `(b e d h w)`.
        volume: `(c D H W)`, as `lmttm.prepare` gives it.
        answer: The class that is explained; None for the most probable one.

    Returns:
        The explanation. Occlusion empties, one after the other, 4 x 4 x 4 cubes that fill the
        volume, in all channels.

    Raises:
        InputError: Captum is missing.

    Source: occlusion, Zeiler and Fergus, arXiv 1311.2901; Grad-CAM, Selvaraju et al., arXiv
    1610.02391.
    """
    captum = find_captum()
    inputs = volume[None]
    with torch.no_grad():
        whole = model(inputs)
    chosen = int(whole.argmax()) if answer is None else answer
    weights = contrast(torch.tensor([chosen], device=whole.device), whole)

    def margin(volumes: Tensor) -> Tensor:
        return (model(volumes) * weights).sum(dim=1)

    edges = [-(-edge // CUBES) for edge in volume.shape[1:]]
    window = (len(volume), *edges)
    with torch.no_grad():
        falls = captum.Occlusion(margin).attribute(
            inputs, window, strides=window, perturbations_per_eval=_AT_ONCE
        )[0, 0]
    found = captum.LayerGradCam(margin, layer).attribute(inputs, relu_attributions=True)
    grad_cam = F.interpolate(found.detach(), size=volume.shape[1:], mode="trilinear")[0, 0]
    first = np.unravel_index(int(falls.argmax()), falls.shape)
    ends = zip(first, edges, volume.shape[1:], strict=True)
    cube = tuple((int(at), min(int(at) + edge, size) - 1) for at, edge, size in ends)
    depth, height, width = (slice(start, end + 1) for start, end in cube)
    without = inputs.clone()
    without[:, :, depth, height, width] = 0
    with torch.no_grad():
        left = model(without)
    return Saliency(
        probabilities=_array(whole.softmax(dim=1)[0]),
        occlusion=_array(falls),
        grad_cam=_array(grad_cam),
        cube=cube,
        cube_effect=float(((whole - left) * weights).sum()),
        without_cube=_array(left.softmax(dim=1)[0]),
    )


def find_captum() -> Any:
    """Captum's methods.

    Raises:
        InputError: Captum is missing.
    """
    try:
        import captum.attr
    except ImportError:
        raise InputError(
            "to explain model.model=resnet3d takes Captum: pip install -e '.[explain]'"
        ) from None
    return captum.attr


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.cpu().numpy()
    return array
