"""What several tests need: one thread, small configurations, the real data where it is."""

import os
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image
from threadpoolctl import threadpool_limits

from lmttm.config.files import load_config
from lmttm.config.schema import Config

# One thread, here and in the processes that tests start, whatever the user has set: on busy cores
# the threads of a test wait for each other, and sums in another order are other numbers.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
torch.set_num_threads(1)
threadpool_limits(1)
# A shell that starts the tests in the background has Ctrl-C ignored, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Looked for, never needed: a folder with the official npz files beside the checkout.
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "medmnist"


@pytest.fixture(autouse=True)
def _repeatable():
    """One thread, whatever the test before has set, and a seed for what this one draws."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Prepared scans of tests go to a folder of their own, never to the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _blank_pictures(request, monkeypatch):
    """Pictures are made but not drawn, which takes seconds for each run that is scored.

    Tests in tests/report, and tests marked `pictures`, draw theirs.
    """
    if "report" in request.path.parts or request.node.get_closest_marker("pictures"):
        return
    from matplotlib.figure import Figure

    def savefig(figure, file, *, format, **settings):
        if format == "svg":
            file.write('<svg viewBox="0 0 1 1"></svg>')
        else:
            Image.new("RGB", (1, 1)).save(file, format=format)

    monkeypatch.setattr(Figure, "savefig", savefig)


@pytest.fixture
def real_root() -> Path:
    """The folder of the real AdrenalMNIST3D files; skips the test where it is not."""
    if not (REAL_DATA / "adrenalmnist3d.npz").is_file():
        pytest.skip("needs the official adrenalmnist3d.npz beside the checkout")
    return REAL_DATA


@pytest.fixture
def tiny() -> Config:
    """A machine that runs in milliseconds, on the phantoms."""
    return load_config("demo.json", TINY)


TINY = [
    "model.dim=16",
    "model.memory_tokens_size=8",
    "model.summarize_num_tokens=2",
    "model.patch_size=7",
    "train.epoch=1",
]
