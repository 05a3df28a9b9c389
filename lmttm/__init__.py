"""The Linked Memory Token Turing Machine for 3D medical volumes."""

from lmttm.checkpoint import load_run
from lmttm.config_file import load_config
from lmttm.data import load_dataset, prepare, settle
from lmttm.errors import InputError
from lmttm.model import build_model

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
