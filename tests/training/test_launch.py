"""How the passes of training are launched, by device, batch and number of processes."""

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.errors import InputError
from lmttm.training.distributed import Alone
from lmttm.training.launch import settle_compile


class Two(Alone):
    """Says that there are two processes."""

    size = 2


CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize(
    ("device", "changes", "team", "expected"),
    [
        (GPU, (), Alone(), "graph"),
        (CPU, (), Alone(), "off"),
        (GPU, ("train.accumulate=2",), Alone(), "off"),
        (GPU, (), Two(), "off"),
    ],
)
def test_auto_captures_where_that_can_be(device, changes, team, expected):
    assert settle_compile(load_config("base.json", changes), device, team) == expected
    for chosen in ("on", "off"):
        config = load_config("base.json", [*changes, f"train.compile={chosen}"])
        assert settle_compile(config, device, team) == chosen


@pytest.mark.parametrize(
    ("device", "changes", "team", "message"),
    [
        (CPU, ("device=cpu",), Alone(), "train.compile=graph needs a CUDA device, got device=cpu"),
        (GPU, ("train.accumulate=3",), Alone(), "takes whole batches, got train.accumulate=3"),
        (GPU, (), Two(), "is for one process, got 2"),
    ],
)
def test_a_capture_that_cannot_be_is_refused(device, changes, team, message):
    config = load_config("base.json", ["train.compile=graph", *changes])
    with pytest.raises(InputError, match=message):
        settle_compile(config, device, team)
