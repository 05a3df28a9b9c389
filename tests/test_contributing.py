"""CONTRIBUTING.md: following the page alone adds the gated write."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

# Trains a few steps in both forms from the same weights; dropout is off in the demo.
SCRIPT = """
import torch
import lmttm
from lmttm.config.keys import reference
from lmttm.model.fits import fits
from lmttm.training.setup import make_trainer

assert "TL-MHA, TL-AddErase, none, TL-Gated" in reference()
losses, gates = [], []
for form in ("false", "true"):
    small = ["model.dim=16", "model.memory_tokens_size=8", "model.patch_size=7", f"fast={form}"]
    config = lmttm.load_config("demo.json", [*small, "model.memory_mode=TL-Gated", "device=cpu"])
    split = lmttm.load_dataset(config).splits["train"]
    few = type(split)("train", split.images[:48], split.labels[:48])
    torch.manual_seed(0)
    model = lmttm.build_model(config)
    assert not fits(model.cell)
    assert type(model.cell.write).__name__ == "GatedWrite"
    trainer = make_trainer(config, few, model)
    losses.append([trainer.train_epoch() for _ in range(2)])
    gates.append(model.cell.write.gate.detach().clone())
assert losses[0] == losses[1], losses
assert torch.equal(*gates) and gates[0].any(), gates
try:
    lmttm.load_config("demo.json", ["model.memory_mode=nothing"])
except lmttm.InputError as error:
    assert "'TL-Gated'" in str(error), error
print("trained", losses[0])
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package with the page's blocks applied as it says."""
    shutil.copytree(
        ROOT / "lmttm", tmp_path / "lmttm", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "config", tmp_path / "config")
    blocks = re.findall(r"```python file=(\S+)\n(.*?)```", PAGE, flags=re.DOTALL)
    assert {name for name, _ in blocks} == {"lmttm/model/write.py", "lmttm/config/kinds.py"}
    for name, block in blocks:
        path = tmp_path / name
        path.write_text(path.read_text(encoding="utf-8") + "\n\n" + block, encoding="utf-8")
    (line,) = re.findall(r"with `(from typing import Any)` at the top", PAGE)
    write = tmp_path / "lmttm" / "model" / "write.py"
    text = write.read_text(encoding="utf-8")
    write.write_text(text.replace("\n\nimport torch", f"\n\n{line}\n\nimport torch", 1), "utf-8")
    return tmp_path


def test_the_gated_write_is_added_by_the_page_alone(copy):
    """Guards against a part that needs more than its class and its line, or that is bypassed."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("trained")


def test_what_the_page_says_a_write_is_offered_is_what_is_offered():
    """Guards against a list of options that has drifted from the builder's."""
    from lmttm.config.files import load_config
    from lmttm.model import build

    offered = {}
    plain = build.make

    def spy(path, **options):
        offered[path] = list(options)
        return plain(path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "make", spy)
        build.build_model(load_config("demo.json"))
    (listed,) = re.findall(r"for a write (.*?)\) and passes", PAGE, flags=re.DOTALL)
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(
        offered["lmttm.model.write:SummarizingWrite"]
    )


def test_files_that_the_page_names_exist():
    for name in re.findall(r"`((?:lmttm|tests)/[\w/]+\.py)`", PAGE):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"\| `((?:model|data|evaluation)/\w+\.py)` \|", PAGE):
        assert (ROOT / "lmttm" / name).is_file(), name
