"""The Linked Memory Token Turing Machine for 3D medical volumes.

    config = lmttm.load_config("demo.json", ["train.epoch=1"])
    run = lmttm.train(config)
    print(run.score("test").metrics["auc"])

Names are loaded when they are first used: `import lmttm` alone does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from lmttm.errors import InputError, RunError

if TYPE_CHECKING:
    from lmttm.config.files import load_config
    from lmttm.data.cases import load_volume
    from lmttm.data.dataset import prepare
    from lmttm.data.sources import load_dataset
    from lmttm.model.build import build_model
    from lmttm.runs.checkpoint import load_run
    from lmttm.runs.opening import from_pretrained, open_run
    from lmttm.runs.run import Run
    from lmttm.sweeps.execute import run_sweep
    from lmttm.training.loop import train
    from lmttm.training.setup import settle

__all__ = [
    "InputError",
    "Run",
    "RunError",
    "build_model",
    "from_pretrained",
    "load_config",
    "load_dataset",
    "load_run",
    "load_volume",
    "open_run",
    "prepare",
    "run_sweep",
    "settle",
    "train",
]
__version__ = "0.2.0"

_HOMES = {
    "Run": "lmttm.runs.run",
    "build_model": "lmttm.model.build",
    "from_pretrained": "lmttm.runs.opening",
    "load_config": "lmttm.config.files",
    "load_dataset": "lmttm.data.sources",
    "load_run": "lmttm.runs.checkpoint",
    "load_volume": "lmttm.data.cases",
    "open_run": "lmttm.runs.opening",
    "prepare": "lmttm.data.dataset",
    "run_sweep": "lmttm.sweeps.execute",
    "settle": "lmttm.training.setup",
    "train": "lmttm.training.loop",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lmttm' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
