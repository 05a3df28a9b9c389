"""Classifying a split: every volume, in file order, in fp32, without a trace in the model."""

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data.dataset import Split, prepare
from lmttm.data.views import View
from lmttm.evaluation.evaluate import evaluate
from lmttm.model.build import build_model
from tests.conftest import TINY


def split_of(volumes):
    images = torch.randint(256, (volumes, 28, 28, 28), dtype=torch.uint8)
    return Split("test", images, torch.zeros(volumes).long())


@pytest.fixture
def machine():
    """A machine with everything that must stay out of evaluation, in training mode."""
    config = load_config("demo.json", [*TINY, "model.memory_start=carried", "model.drop_r=0.5"])
    model = build_model(config).train()
    model.initial_memory.carried_memory.normal_()
    return model, config


@pytest.mark.parametrize("batch_size", [1, 4, 11, 20])
def test_every_volume_is_scored_in_file_order(machine, batch_size):
    """Guards against a split that is dropped in part or shuffled, and noise that stays on."""
    model, config = machine
    split = split_of(11)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    logits = evaluate(model, split, batch_size=batch_size)
    assert not model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with torch.no_grad():
        for index in range(11):
            alone = model(prepare(split.images[index : index + 1], config))[0]
            torch.testing.assert_close(logits[index], alone, rtol=0, atol=1e-5)


def test_logits_are_averaged_over_the_views(machine):
    """Logits, not probabilities: the mean is one forward pass's for each view."""
    model, _ = machine
    split = split_of(3)
    views = [View(), View(reversed=(0,)), View(order=(1, 2, 0))]
    found = evaluate(model, split, batch_size=2, views=views)
    volumes = split.inputs(torch.arange(3))
    with torch.no_grad():
        walks = volumes.flip(2), volumes.permute(0, 1, 3, 4, 2)
        expected = (model(volumes) + model(walks[0]) + model(walks[1])) / 3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_logits_are_plain_numbers(machine):
    """float32 on the CPU, without a graph that keeps every batch in memory."""
    logits = evaluate(machine[0], split_of(2), batch_size=2)
    assert (logits.dtype, logits.device.type) == (torch.float32, "cpu")
    assert not logits.requires_grad
