"""What surrounds a capture; the capture itself needs CUDA: tests/cuda/test_gpu.py."""

import logging

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.model.build import build_model
from lmttm.training.captured import Captured
from tests.conftest import TINY


@pytest.fixture
def model():
    return build_model(load_config("base.json", [*TINY, "model.preprocess_mode=3dBN"])).train()


def warming_up(calls):
    """Stands for the capture: runs the module as a warm-up does."""

    def make_graphed(module, samples):
        calls.append([tuple(sample.shape) for sample in samples])
        for _ in range(3):
            module(torch.rand_like(samples[0]))
        return module

    return make_graphed


def test_what_the_warm_up_changes_is_put_back(model, monkeypatch):
    """Guards against a run that depends on whether its passes were captured."""
    calls = []
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", warming_up(calls))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    Captured(model, 4, bf16=False)
    assert calls == [[(4, 1, 28, 28, 28)]]
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("bf16", [False, True])
def test_the_captured_pass_is_that_of_the_model(model, bf16, monkeypatch):
    """Guards against a pass of other numbers, or one without the gradients of all weights."""
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", warming_up([]))
    captured, volumes = Captured(model, 4, bf16=bf16), torch.rand(4, 1, 28, 28, 28)
    results = []
    for run in (captured, model.run):
        torch.manual_seed(0)
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16 and run == model.run):
            trace = run(volumes)
        trace.logits.float().square().sum().backward()
        results.append([*trace, *(p.grad for p in model.parameters())])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_a_batch_of_another_size_runs_uncaptured(model, monkeypatch):
    """Guards against a replay that reads volumes of the batch before."""
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", lambda *_: None)
    captured = Captured(model, 4, bf16=False)
    captured.graphed = lambda volumes: pytest.fail("replayed")
    assert len(captured(torch.rand(3, 1, 28, 28, 28)).logits) == 3


def test_a_failed_capture_is_a_warning(model, monkeypatch, caplog):
    """Guards against a run that dies where a layer of one's own cannot be captured."""

    def fails(module, samples):
        raise RuntimeError("operation not permitted when stream is capturing\nmore lines")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fails)
    with caplog.at_level(logging.WARNING, "lmttm"):
        captured = Captured(model, 4, bf16=False)
    assert len(captured(torch.rand(4, 1, 28, 28, 28)).logits) == 4
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "capturing failed, continuing uncaptured"
    ]


def test_running_out_of_memory_is_no_failed_capture(model, monkeypatch):
    """Guards against an eager run that then runs out of memory as well."""

    def fails(module, samples):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fails)
    with pytest.raises(torch.OutOfMemoryError):
        Captured(model, 4, bf16=False)
