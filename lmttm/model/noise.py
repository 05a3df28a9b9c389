"""Noise on a carried memory: the published laws, drawn where the memory lies.

`torch.distributions` has the same laws, but checks its arguments by reading them back, for which
the host would wait for the device in every step. Each function draws a tensor like the one that
it is given, which `InitialMemory` scales.
"""

import torch
from torch import Tensor


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
