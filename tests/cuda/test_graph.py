"""What is compiled on a GPU is one graph: a break would leave kernels to be launched one by one."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from lmttm.config.files import load_config
from lmttm.model.build import build_model
from lmttm.model.layers import Dropout

CONFIGS = sorted(path.name for path in Path("config").glob("*.json"))


def check_one_graph(name, monkeypatch):
    # The form of dropout that draws its numbers quickly is the CPU's only.
    monkeypatch.delattr(Dropout, "forward")
    config = load_config(name, ["model.resnet_pretrained=false"])
    if config.distance == "auto":
        config = config.model_copy(update={"distance": "on"})
    model = build_model(config)
    volumes = torch.rand(2, config.model.in_channels + (config.distance == "on"), *[28] * 3)

    def loss(volumes):
        return F.cross_entropy(model.run(volumes).logits, torch.zeros(2, dtype=torch.long))

    torch._dynamo.reset()
    found = torch._dynamo.explain(loss)(volumes)
    torch._dynamo.reset()
    assert (found.graph_count, found.graph_break_count) == (1, 0), found.break_reasons


@pytest.mark.filterwarnings("ignore")
def test_the_demo_is_one_graph(monkeypatch):
    """Guards against code that the compiler cannot follow."""
    check_one_graph("demo.json", monkeypatch)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_is_one_graph(name, monkeypatch):
    """Guards against a variant that only some shipped configuration names."""
    check_one_graph(name, monkeypatch)
