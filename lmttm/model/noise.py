"""Noise on a carried memory: each function draws a tensor like the one that it is given.

The distributions are the published ones, before `InitialMemory` scales them.
"""

import torch
from torch import Tensor
from torch.distributions import Exponential, Gamma, Laplace, Poisson


def uniform(memory: Tensor) -> Tensor:
    """From -0.5 to 0.5."""
    return torch.rand_like(memory) - 0.5


def laplace(memory: Tensor) -> Tensor:
    """Around 10, with scale 10."""
    ten = memory.new_tensor(10.0)
    return Laplace(ten, ten).sample(memory.shape)


def exponential(memory: Tensor) -> Tensor:
    """With rate 1."""
    return Exponential(memory.new_tensor(1.0)).sample(memory.shape)


def gamma(memory: Tensor) -> Tensor:
    """With shape 2 and scale 2, which is a rate of 1/2."""
    return Gamma(memory.new_tensor(2.0), memory.new_tensor(0.5)).sample(memory.shape)


def poisson(memory: Tensor) -> Tensor:
    """With rate 2."""
    return Poisson(memory.new_tensor(2.0)).sample(memory.shape)
