"""Compiling changes how fast a pass is, never what it computes; trainings: tests/cuda/test_gpu."""

import logging

import pytest
import torch

from lmttm.training.compiled import Compiled


def _wave(batch: torch.Tensor) -> torch.Tensor:
    return (batch.sin() * 2).sum(dim=-1)


def test_values_and_gradients_stay():
    wave = Compiled(_wave, 3, graphs=True)
    batch = torch.randn(3, 5, requires_grad=True)
    wave(batch).sum().backward()
    assert torch.allclose(wave(batch), _wave(batch))
    assert torch.allclose(batch.grad, 2 * batch.detach().cos())


@pytest.mark.parametrize("order", [(4, 4, 3), (3, 4, 4)], ids=["full first", "short first"])
def test_a_batch_of_another_size_is_not_compiled_for(order, monkeypatch):
    """Guards against a second compilation for the short batch that ends an epoch.

    Where a run is resumed in its epoch, that batch may come first, and must not be the only one
    that is compiled for.
    """
    wave = Compiled(_wave, 4, graphs=False)
    shapes = []
    monkeypatch.setattr(wave, "compiled", lambda batch: shapes.append(batch.shape) or _wave(batch))
    for rows in order:
        batch = torch.randn(rows, 2)
        assert torch.equal(wave(batch), _wave(batch))
    assert shapes == [(4, 2), (4, 2)]


def test_a_missing_compiler_is_a_warning(monkeypatch, caplog):
    """Guards against a run that dies where no compiler is installed."""
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor, "force_disable_caches", True)
    monkeypatch.setattr(inductor.cpp, "cxx", (None, "/no/such/compiler"))
    torch._dynamo.reset()
    wave = Compiled(_wave, 6, graphs=False)
    batch = torch.randn(6, 7)
    with caplog.at_level(logging.WARNING, "lmttm"):
        for _ in range(2):
            assert torch.equal(wave(batch), _wave(batch))
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "compiling failed, continuing uncompiled"
    ]


def test_errors_of_the_function_are_its_own():
    def fails(batch: torch.Tensor) -> torch.Tensor:
        return batch @ torch.ones(9, 9)

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        Compiled(fails, 2, graphs=False)(torch.ones(2, 2))
