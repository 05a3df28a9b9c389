"""Scans unlike the training volumes: a warning for a run, a refusal for shipped weights."""

from dataclasses import replace

import numpy as np
import pytest

from lmttm.config.files import load_config
from lmttm.errors import InputError
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.likeness import likeness_warnings, refuse_unlike
from lmttm.runs.run import Run

RANGES = {"brightness": [10.0, 20.0], "foreground": [0.1, 0.2]}
WHITE = np.full((28, 28, 28), 255, np.uint8)


def run(statistics=RANGES):
    config = load_config("demo.json", ["device=cpu"])
    return Run((Checkpoint(config, {}, 1, {}, {}, statistics),), ("demo",), config)


def test_what_is_unlike_the_training_volumes_is_named():
    found = likeness_warnings(run(), WHITE, ["a note"])
    assert found[0] == "a note"
    assert "mean intensity is 255" in found[1]
    assert "share of voxels above 0 is 1" in found[2]
    grey = np.zeros((28, 28, 28), np.uint8)
    grey[:4] = 105
    assert likeness_warnings(run(), grey) == []


def test_a_checkpoint_without_statistics_gives_no_warning():
    assert likeness_warnings(run({}), WHITE) == []


def test_only_a_strict_run_refuses():
    strict = replace(run(), strict=True)
    refuse_unlike(strict, "scan.nii", [])
    refuse_unlike(run(), "scan.nii", ["it is white"])
    with pytest.raises(InputError, match=r"scan.nii is unlike the volumes that demo was"):
        refuse_unlike(strict, "scan.nii", ["it is white"])


def test_each_scan_of_a_case_is_judged_by_itself():
    found = likeness_warnings(run({"channels": [RANGES, RANGES]}), np.stack([WHITE // 17, WHITE]))
    assert [text.partition(":")[0] for text in found] == ["path"] + ["path_2"] * 2
