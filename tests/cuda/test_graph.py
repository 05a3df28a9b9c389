"""What is compiled on a GPU is one graph: a break would leave kernels to be launched one by one."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from lmttm.config.files import load_config
from lmttm.model.build import build_model
from lmttm.model.layers import Dropout

CONFIGS = sorted(path.name for path in Path(__file__).parents[2].glob("config/*.json"))
assert CONFIGS
_STEPS = 2  # the second reads what the first has written; more repeat it, at the same cost each


def config_of(name):
    """A shipped configuration, with what the data decides decided, in small widths."""
    config = load_config(name, ["model.resnet_pretrained=false", "model.summarize_num_tokens=2"])
    narrow = {"dim": 16, "memory_tokens_size": 2 * config.model.num_units}
    on = "off" if config.distance == "off" else "on"
    model = config.model.model_copy(update=narrow)
    return config.model_copy(update={"distance": on, "model": model})


def by_structure():
    """The names of the configurations, those with the same model together."""
    groups = {}
    for name in CONFIGS:
        config = config_of(name)
        model = config.model.model_dump(exclude={"out_class_num"})
        key = json.dumps([model, config.distance, config.fast, config.size])
        groups.setdefault(key, []).append(name)
    return list(groups.values())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("names", by_structure(), ids=" ".join)
def test_every_configuration_is_one_graph(names, monkeypatch):
    """Guards against code that the compiler cannot follow, in any shipped configuration."""
    # The form of dropout that draws its numbers quickly is the CPU's only.
    monkeypatch.delattr(Dropout, "forward")
    config = config_of(names[0])
    depth, height, width = config.shape
    depth = min(depth, _STEPS * config.model.patch[0])
    model = build_model(config.model_copy(update={"size": [depth, height, width]}))
    volumes = torch.rand(2, *model.input_shape)

    def loss(volumes):
        return F.cross_entropy(model.run(volumes).logits, torch.zeros(2, dtype=torch.long))

    torch._dynamo.reset()
    found = torch._dynamo.explain(loss)(volumes)
    torch._dynamo.reset()
    assert (found.graph_count, found.graph_break_count) == (1, 0), found.break_reasons
