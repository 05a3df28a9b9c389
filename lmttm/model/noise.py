"""Noise on a carried memory: the published laws, drawn where the memory lies.

`torch.distributions` has the same laws, but checks its arguments by reading them back, for which
the host would wait for the device in every step.
"""

import torch
from torch import Tensor

NOISE_SCALE = 0.2


def noise_like(memory: Tensor, mode: str) -> Tensor:
    """Fresh noise for a memory.

    Args:
        memory: Any shape.
        mode: none, normal, uniform, laplace, exponential, gamma or poisson.

    Returns:
        Noise of the same shape, scaled by 0.2.
    """
    return NOISE_SCALE * _LAWS[mode](memory)


def uniform(memory: Tensor) -> Tensor:
    """Uniform from -0.5 to 0.5."""
    return torch.rand_like(memory) - 0.5


def laplace(memory: Tensor) -> Tensor:
    """Laplace of location 10 and scale 10: an exponential to either side."""
    return 10 + 10 * (exponential(memory) - exponential(memory))


def exponential(memory: Tensor) -> Tensor:
    """Exponential of rate 1."""
    return torch.empty_like(memory).exponential_()


def gamma(memory: Tensor) -> Tensor:
    """Gamma of shape 2 and scale 2: the sum of two exponentials."""
    return 2 * (exponential(memory) + exponential(memory))


def poisson(memory: Tensor) -> Tensor:
    """Poisson of rate 2."""
    return torch.poisson(torch.full_like(memory, 2.0))


_LAWS = {
    "none": torch.zeros_like,
    "normal": torch.randn_like,
    "uniform": uniform,
    "laplace": laplace,
    "exponential": exponential,
    "gamma": gamma,
    "poisson": poisson,
}
