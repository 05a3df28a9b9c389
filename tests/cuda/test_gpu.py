"""What needs an NVIDIA GPU (`make test-cuda`): it computes what the CPU computes."""

import copy

import pytest
import torch
from torch.nn import functional as F

from lmttm.device import make_deterministic
from lmttm.model.build import build_model
from tests.cuda.test_fake import VARIANTS, config_of

pytestmark = pytest.mark.cuda


@pytest.fixture
def gpu():
    """The first GPU; skips the test where there is none."""
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    return torch.device("cuda:0")


def outcome(model, device):
    """Logits, loss and gradients of a model for the same four volumes."""
    model = copy.deepcopy(model).to(device)
    volumes = torch.rand(4, 1, 28, 28, 28, generator=torch.Generator().manual_seed(0))
    logits = model.run(volumes.to(device)).logits
    loss = F.cross_entropy(logits, torch.tensor([0, 1, 1, 0], device=device))
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return {"logits": logits, "loss": loss, **gradients}


@pytest.mark.parametrize("changes", VARIANTS)
def test_the_gpu_agrees_with_the_cpu(gpu, changes):
    """Guards against TF32, another GELU and every other function that differs on CUDA."""
    make_deterministic(0)
    quiet = "model.drop_r=0 model.load_memory_add_noise=false"
    model = build_model(config_of(f"{changes} {quiet}".replace("model.drop_path=0.2", "")))
    expected = outcome(model, torch.device("cpu"))
    for name, value in outcome(model, gpu).items():
        largest = expected[name].abs().max().item()
        torch.testing.assert_close(
            value.cpu(), expected[name], rtol=0, atol=1e-4 * largest + 1e-6, msg=name
        )
