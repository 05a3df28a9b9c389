"""The noise on a carried memory: each mode follows its published distribution."""

import pytest
import scipy.stats
import torch

from lmttm.config.kinds import NOISES, find
from lmttm.model import noise
from lmttm.model.memory import InitialMemory

LAWS = {
    "normal": scipy.stats.norm(),
    "uniform": scipy.stats.uniform(-0.5, 1),
    "laplace": scipy.stats.laplace(10, 10),
    "exponential": scipy.stats.expon(),
    "gamma": scipy.stats.gamma(2, scale=2),
    "poisson": scipy.stats.poisson(2),
}


@pytest.mark.parametrize("mode", LAWS)
def test_noise_follows_its_law(mode):
    drawn = find(NOISES[mode])(torch.zeros(20000)).double()
    law = LAWS[mode]
    if mode == "poisson":
        assert abs(drawn.mean().item() - law.mean()) < 0.05
        assert abs(drawn.std().item() - law.std()) < 0.05
    else:
        assert scipy.stats.kstest(drawn.numpy(), law.cdf).pvalue > 0.001


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mode", LAWS)
def test_noise_is_of_the_shape_and_type_of_the_memory(mode, dtype):
    memory = torch.zeros(2, 3, 4, 5, dtype=dtype)
    drawn = find(NOISES[mode])(memory)
    assert (drawn.shape, drawn.dtype) == (memory.shape, dtype)


def test_every_function_of_the_module_is_listed():
    written = {
        name
        for name, value in vars(noise).items()
        if getattr(value, "__module__", "") == noise.__name__
    }
    assert {f"lmttm.model.noise:{name}" for name in written} <= set(NOISES.values())


def test_noise_is_added_at_the_published_scale():
    memory = InitialMemory(
        num_units=2, unit_tokens=3, dim=4, start="carried", noise=torch.ones_like
    )
    assert torch.equal(memory(5), torch.full((5, 2, 3, 4), 0.2))
