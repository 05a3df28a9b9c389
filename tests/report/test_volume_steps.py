"""How a scan becomes a volume, in sentences: every setting is named with its value."""

from typing import get_args

import pytest

from lmttm.config.files import load_config
from lmttm.config.volume import Kind, VolumeConfig
from lmttm.report.volume_steps import volume_steps


def steps(*overrides):
    return volume_steps(load_config("base.json", ["dataset_name=mine/", *overrides]))


def test_each_setting_is_named():
    found = steps("size=[32,96,80]", "volume.axes=zyx", "volume.window=-10,300.5")
    assert list(found) == ["orientation", "region", "resampling", "intensity"]
    assert "D, H, W = z, y, x" in found["orientation"]
    assert "32 x 96 x 80 voxels" in found["region"]
    assert "linear" in found["resampling"]


@pytest.mark.parametrize("key", ["region", "resampling", "intensity"])
def test_every_choice_has_a_sentence_of_its_own(key):
    """Guards against a choice of the schema that the card does not describe."""
    choices = get_args(Kind if key == "intensity" else VolumeConfig.model_fields[key].annotation)
    extra = ["volume.window=5,60"]
    found = [steps(*extra, f"volume.{key}={choice}")[key] for choice in choices]
    assert len(set(found)) == len(choices)
    assert not set(found) & set(choices)
    if key == "intensity":
        assert sum("5 to 60" in text for text in found) == 3


def test_a_place_is_named_with_its_numbers():
    region = steps("volume.centre=[1,2.5,3]", "volume.extent=60")["region"]
    assert "60 x 60 x 60 mm" in region
    assert "1, 2.5, 3 mm" in region
    boxed = steps("volume.extent=[10,20,30]")["region"]
    assert "10 x 20 x 30 mm" in boxed
    assert "table" in steps("volume.centre=table", "volume.extent=table")["region"]


def test_each_scan_of_a_case_has_its_intensity():
    found = steps("model.in_channels=2", "volume.intensity=hu,masks", "volume.window=-10,300.5")
    assert list(found)[-3:] == ["alignment", "intensity of path", "intensity of path_2"]
    assert "path, path_2" in found["alignment"]
    assert found["intensity of path"].startswith("-10 to 300.5 (Hounsfield units)")
    assert found["intensity of path_2"].startswith("of two values")
