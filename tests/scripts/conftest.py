"""A tiny run, trained once for each file, for the tests of the scripts."""

import shutil

import pytest

import train
from lmttm.data import phantoms
from tests.scripts.commands import FEWER, command


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """A command line for a tiny run in a folder of its own, on few phantoms."""
    monkeypatch.setattr(phantoms, "SPLITS", FEWER)
    return command(tmp_path)


@pytest.fixture(scope="module")
def trained_demo(tmp_path_factory):
    """The folder of a tiny run of two epochs; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantoms, "SPLITS", FEWER)
        assert train.main([*command(folder), "train.epoch=2"]) == 0
    return folder / "demo"


@pytest.fixture
def run_dir(tmp_path, trained_demo):
    """A copy of the folder of a trained run."""
    return shutil.copytree(trained_demo, tmp_path / "demo")
