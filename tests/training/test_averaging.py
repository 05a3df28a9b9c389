"""The moving average of weights, against torch's own."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lmttm.training.averaging import Average


def pair():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    return model, Average(model, decay=0.9)


def trained(model):
    """Other weights and other buffers, as after a training step."""
    model(torch.randn(5, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))


def test_the_average_and_its_state_are_those_of_torchs_averaged_model():
    """Guards against an average that drifts, and checkpoints of former versions that break."""
    model, ours = pair()
    torchs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for _ in range(4):
        trained(model)
        ours.update(model)
        torchs.update_parameters(model)
        expected = torchs.state_dict()
        state = ours.state_dict()
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[name], value) for name, value in expected.items())
        assert not any(parameter.requires_grad for parameter in ours.module.parameters())


def test_an_average_goes_on_from_its_state():
    """Guards against a resumed average that takes its next update for the first."""
    model, first = pair()
    for _ in range(2):
        trained(model)
        first.update(model)
    second = Average(model, decay=0.9)
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    trained(model)
    first.update(model)
    second.update(model)
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name
