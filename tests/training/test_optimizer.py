"""Optimizers and learning rates."""

import pytest
import torch

from lmttm.training.optimizer import learning_rate, make_optimizer


def test_warm_up_then_cosine():
    rates = [
        learning_rate(step, lr=2.0, warmup_steps=4, total_steps=12, schedule="cosine")
        for step in range(13)
    ]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert rates[4] == 2.0
    assert rates[8] == pytest.approx(1.0)
    assert rates[12] == pytest.approx(0.0)
    assert learning_rate(9, lr=2.0, warmup_steps=4, total_steps=12, schedule="constant") == 2


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop"])
def test_optimizers_are_torchs(name):
    model = torch.nn.Linear(2, 2)
    optimizer = make_optimizer(model, name=name, lr=0.3, weight_decay=0.1)
    assert type(optimizer) is getattr(torch.optim, name)
    assert optimizer.defaults["lr"] == 0.3
    assert optimizer.defaults["weight_decay"] == 0.1


def test_every_parameter_is_optimised():
    """Guards against a part of the model that never learns."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = make_optimizer(model, name="Adam", lr=0.3, weight_decay=0.0)
    (group,) = optimizer.param_groups
    assert {id(p) for p in group["params"]} == {id(p) for p in model.parameters()}


def test_a_warm_up_without_an_end_only_rises():
    """A training that is shorter than its warm-up."""
    rates = [
        learning_rate(step, lr=1.0, warmup_steps=10, total_steps=5, schedule="cosine")
        for step in range(5)
    ]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
