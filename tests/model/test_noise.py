"""Noise on a carried memory, against the laws of scipy."""

import pytest
import scipy.stats
import torch

from lmttm.model.noise import noise_like


@pytest.mark.parametrize(
    ("mode", "law"),
    [
        ("normal", scipy.stats.norm()),
        ("uniform", scipy.stats.uniform(-0.5, 1)),
        ("laplace", scipy.stats.laplace(10, 10)),
        ("exponential", scipy.stats.expon()),
        ("gamma", scipy.stats.gamma(2, scale=2)),
        ("poisson", scipy.stats.poisson(2)),
    ],
)
def test_noise_follows_its_law(mode, law):
    torch.manual_seed(0)
    noise = noise_like(torch.zeros(20000), mode).double() / 0.2
    if mode == "poisson":
        assert abs(noise.mean().item() - law.mean()) < 0.05
        assert abs(noise.std().item() - law.std()) < 0.05
    else:
        assert scipy.stats.kstest(noise.numpy(), law.cdf).pvalue > 0.001
