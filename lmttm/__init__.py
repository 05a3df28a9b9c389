"""The Linked Memory Token Turing Machine for 3D medical volumes."""

from lmttm.config.files import load_config
from lmttm.data.dataset import prepare
from lmttm.data.sources import load_dataset
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.runs.checkpoint import load_run
from lmttm.training.setup import settle

__all__ = [
    "InputError",
    "build_model",
    "load_config",
    "load_dataset",
    "load_run",
    "prepare",
    "settle",
]
__version__ = "0.1.0"
