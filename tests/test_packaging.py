"""The wheel: it holds all rooms, configurations and weights, and works without the clone."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this tree; built from a copy, so that nothing is left in the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode:
        pytest.skip("not a clone")
    for name in filter(None, tracked.stdout.split("\0")):
        if name.startswith(("lmttm/", "config/", "weights/")) or "/" not in name:
            path = copy / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((ROOT / name).read_bytes())
    run("-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "-w", folder, copy)
    (path,) = folder.glob("*.whl")
    return path


def run(*arguments, cwd=None, **environment):
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package(wheel):
    """Guards against a room, a configuration or weights that stay behind."""
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = set()
    homes = {"lmttm": "lmttm", "config": "lmttm/shipped", "weights": "lmttm/shipped_weights"}
    for folder, home in homes.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                expected.add(f"{home}/{path.relative_to(ROOT / folder)}")
    assert expected - names == set()


def test_the_first_epoch_of_the_demo_runs_away_from_the_clone(wheel, tmp_path):
    """Guards against an installed package whose config/ is empty."""
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    run("-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel)
    script = """
import sys
from pathlib import Path
import lmttm
assert Path(lmttm.__file__).is_relative_to(sys.argv[1]), lmttm.__file__
small = ["train.epoch=1", "model.dim=16", "model.patch_size=7", "device=cpu"]
config = lmttm.load_config("demo.json", small)
run = lmttm.train(config)
print(sorted(path.name for path in config.run_dir.iterdir()))
"""
    said = run("-c", script, site, cwd=work, PYTHONPATH=str(site), OMP_NUM_THREADS="1")
    for name in ("best.pth", "config.json", "last.pth", "log.jsonl"):
        assert name in said
    assert (work / "runs" / "demo" / "best.pth").is_file()


def test_the_requirements_of_training_are_not_extras():
    extras = PROJECT["project"]["optional-dependencies"]
    always = (ROOT / "requirement.txt").read_text()
    for name in ("torch", "medmnist", "tensorboard", "matplotlib", "scikit-learn", "pydantic"):
        assert name in always
    for name in ("ray", "onnx", "nibabel", "pydicom"):
        assert f"\n{name}" not in always
    assert {"ray", "onnx", "medical", "dev"} <= extras.keys()


def test_messages_that_name_an_extra_name_one_that_exists():
    """Guards against `pip install lmttm[...]`, which finds nothing in a clone."""
    import re

    extras = PROJECT["project"]["optional-dependencies"]
    named = []
    for path in [
        *(ROOT / "lmttm").rglob("*.py"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "README.md",
    ]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install ['\"]?lmttm\[", text), path
        named += re.findall(r"pip install -e ['\"]?\.\[(\w+)\]", text)
    assert named
    assert set(named) <= extras.keys()


def test_ci_runs_the_oldest_python_and_make_test():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert f'python: ["{oldest}", "3.13"]' in workflow
    assert "run: make test" in workflow
