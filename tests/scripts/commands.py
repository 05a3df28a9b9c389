"""What tests of the scripts share: command lines, and what a refusal must look like."""

import importlib.util
from pathlib import Path

import numpy as np

from tests.conftest import TINY

TOOLS = Path(__file__).resolve().parents[2] / "tools"
FEWER = {"train": 70, "val": 40, "test": 50}  # phantoms


def command(folder):
    """A command line for a tiny run."""
    return ["demo.json", *TINY, f"output_dir={folder}", "device=cpu"]


def refused(main, argv, capsys):
    """Runs a command that must end with exit code 2 and one sentence; gives the sentence."""
    capsys.readouterr()
    try:
        code = main(argv)
    except SystemExit as error:  # argparse
        code = error.code
    out, err = capsys.readouterr()
    assert code == 2
    assert "Traceback" not in out + err
    sentences = [line for line in err.splitlines() if line.startswith(("error:", "usage:"))]
    assert len(sentences) == 1
    return err.strip()


def tool(name):
    """The module of a tool."""
    spec = importlib.util.spec_from_file_location(f"{name}_tool", TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def own_set(path, seed=0):
    """A labelled set in MedMNIST's form."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name in ("train", "val", "test"):
        arrays[f"{name}_images"] = rng.integers(256, size=(12, 28, 28, 28), dtype=np.uint8)
        arrays[f"{name}_labels"] = np.arange(12)[:, None] % 2
    np.savez(path, **arrays)
    return path
