"""A sweep for tests that run one."""

import json

import pytest

from lmttm.data import phantoms
from tests.conftest import TINY


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The file of a sweep of 2 x 2 trials, and a command line that runs it in seconds."""
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 32, "val": 20, "test": 20})
    document = {
        "base": "demo.json",
        "grid": {"model.num_blocks": [2, 4]},
        "seeds": [0, 1],
    }
    path = tmp_path / "little.json"
    path.write_text(json.dumps(document))
    return [str(path), *TINY, f"output_dir={tmp_path / 'out'}", "device=cpu"]
