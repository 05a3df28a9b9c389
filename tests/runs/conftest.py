"""Two tiny runs that differ in their seed, trained once for each file."""

import pytest
import torch

import lmttm
from lmttm.data import phantoms
from lmttm.runs import predictor
from tests.conftest import TINY

FEWER = {"train": 24, "val": 60, "test": 20}


@pytest.fixture(scope="module")
def trained_pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantoms, "SPLITS", FEWER)
        for seed, name in enumerate("ab"):
            overrides = [f"output_dir={folder}", f"train.name={name}", f"seed={seed}", "device=cpu"]
            lmttm.train(lmttm.load_config("demo.json", [*TINY, *overrides]))
    return folder


@pytest.fixture
def trained(trained_pair, monkeypatch):
    """The folder of two runs, a and b; the phantoms are as few as in their training."""
    monkeypatch.setattr(phantoms, "SPLITS", FEWER)
    return trained_pair


@pytest.fixture
def plausible(monkeypatch):
    """Logits of networks that are somewhat right and too sure: a run of one epoch only guesses."""

    def logits(machine, split):
        generator = torch.Generator().manual_seed(machine.config.seed + len(split))
        noise = torch.randn(len(split), 2, generator=generator)
        return 3 * (noise + 1.2 * torch.nn.functional.one_hot(split.labels, 2))

    monkeypatch.setattr(predictor._Machine, "logits", logits)
