"""What a run of any model leaves: the training loop relies on these shapes."""

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.model.build import build_model
from lmttm.model.trace import Trace
from tests.conftest import TINY


@pytest.mark.parametrize(
    ("overrides", "steps", "memory"),
    [
        ([], 4, (3, 4, 2, 16)),
        (["model.model=ttm"], 4, (3, 1, 8, 16)),
        (["model.memory_mode=none"], 4, (3, 0, 0, 16)),
        (["model.model=resnet3d"], 1, (3, 0, 0, 0)),
    ],
    ids=str,
)
def test_the_trace_of_every_model_has_the_same_parts(overrides, steps, memory):
    model = build_model(load_config("demo.json", [*TINY, *overrides])).eval()
    volumes = torch.rand(3, 1, 28, 28, 28)
    with torch.no_grad():
        trace = model.run(volumes)
        assert type(trace) is Trace
        torch.testing.assert_close(trace.logits, model(volumes))
    assert trace.step_logits.shape == (3, steps, 2)
    assert trace.memory.shape == memory
    # The classifier is linear: the answer is the mean of the steps' answers.
    torch.testing.assert_close(trace.step_logits.mean(dim=1), trace.logits, rtol=1e-4, atol=1e-5)
