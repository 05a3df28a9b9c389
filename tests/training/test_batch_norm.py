"""Batch norm over several processes' volumes, in a group of one process.

`test_distributed.py` compares whole trainings with more of them.
"""

import copy

import pytest
import torch
from torch import distributed as dist
from torch import nn

from lmttm.training.batch_norm import SharedBatchNorm, share_batch_norm
from lmttm.training.distributed import Alone


@pytest.fixture
def _group():
    """A group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("_group")
@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_output_gradients_and_statistics_are_those_of_torch(mean):
    """Guards against statistics that are biased, or lose their digits far from zero."""
    torchs = nn.Sequential(nn.Conv3d(1, 3, 2), nn.BatchNorm3d(3), nn.ReLU()).double()
    nn.init.normal_(torchs[1].weight)
    ours = copy.deepcopy(torchs)
    share_batch_norm(ours, Alone())
    assert isinstance(ours[1], SharedBatchNorm)
    assert ours.state_dict().keys() == torchs.state_dict().keys()
    for training in (True, True, False):
        volumes = mean + torch.randn(4, 1, 5, 5, 5, dtype=torch.float64)
        for module in (ours, torchs):
            module.train(training)
            module.zero_grad()
        got, expected = ours(volumes), torchs(volumes)
        torch.testing.assert_close(got, expected)
        got.square().sum().backward()
        expected.square().sum().backward()
        for (name, one), other in zip(ours.named_parameters(), torchs.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, msg=name, rtol=1e-7, atol=1e-7)
        for name, buffer in torchs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], buffer, msg=name)


@pytest.mark.usefixtures("_group")
def test_values_in_bfloat16_stay_so():
    """Guards against sums in bfloat16, and outputs that leave the precision of the step."""
    layer = SharedBatchNorm(nn.BatchNorm3d(3), Alone())
    values = torch.randn(8, 3, 6, 6, 6)
    expected = nn.BatchNorm3d(3)(values)
    got = layer(values.bfloat16())
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), expected, rtol=0.02, atol=0.02)
