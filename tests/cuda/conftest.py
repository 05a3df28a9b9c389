"""Where the tests of a GPU run: on one (marked `cuda`), and in small on the CPU as well.

`LMTTM_TEST_GPU=cpu pytest -m cuda` runs the tests of a GPU on the CPU, to see that their code is
right.
"""

import os

import pytest
import torch

GPU = os.environ.get("LMTTM_TEST_GPU", "cuda:0")
ON_GPU = pytest.param(GPU, marks=pytest.mark.cuda, id="gpu")
DEVICES = [pytest.param("cpu", id="cpu"), ON_GPU]


def found(name: str) -> torch.device:
    """The device of that name; skips the test where it is a GPU that is not there."""
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    return torch.device(name)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """The CPU, then a GPU."""
    return found(request.param)
