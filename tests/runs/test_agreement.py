"""What a user says of scans agrees with what a run was trained on, or is refused."""

from dataclasses import replace

import pytest

from lmttm.config.files import load_config
from lmttm.config.volume import VolumeConfig
from lmttm.errors import InputError
from lmttm.runs.agreement import agreed
from lmttm.runs.checkpoint import Checkpoint


def trained(knows_volume=True, **volume):
    config = load_config("demo.json").model_copy(update={"volume": VolumeConfig(**volume)})
    return Checkpoint(config, {}, 1, {}, {}, {}, knows_volume=knows_volume)


def asked(member, *overrides):
    keys = [text.partition("=")[0] for text in overrides]
    return agreed(member, load_config("demo.json", list(overrides)), keys)


@pytest.mark.parametrize(
    "override",
    ["volume.axes=zyx", "volume.window=0,100", "volume.region=pad", "volume.centre=1,2,3"],
)
def test_a_contradiction_is_an_error(override):
    """Guards against a scan that is prepared otherwise than those of the training."""
    member = trained(intensity="hu", window=[-160.0, 240.0])
    with pytest.raises(InputError, match="when the run was trained, got"):
        asked(member, override)


def test_what_agrees_or_is_auto_changes_nothing():
    member = trained(axes="zyx", intensity="hu", window=[-160.0, 240.0])
    assert asked(member) is None
    assert asked(member, "volume.axes=zyx", "volume.window=-160,240") is None
    assert asked(member, "volume.axes=zyx", "volume.intensity=auto") == member.config.volume


def test_what_the_training_left_open_may_be_given():
    placed = trained(intensity="hu", window=[-160.0, 240.0], centre="table", extent=40.0)
    got = asked(placed, "volume.centre=1,2,3")
    assert (got.centre, got.extent, got.intensity) == ([1, 2, 3], 40, "hu")
    with pytest.raises(InputError, match=r"volume\.extent was 40"):
        asked(placed, "volume.extent=50")
    window = asked(trained(intensity="bytes"), "volume.window=0,900")
    assert (window.intensity, window.window) == ("window", [0, 900])


def test_a_run_of_the_former_format_takes_everything():
    """As its training knew no section `volume`, nothing contradicts it."""
    former = trained(knows_volume=False, intensity="each")
    got = asked(former, "volume.axes=zyx", "volume.extent=20", "volume.window=0,5")
    assert (got.axes, got.extent, got.intensity) == ("zyx", 20, "window")


def case_of(**volume):
    """A run on cases of two scans."""
    member = trained(**volume)
    model = member.config.model.model_copy(update={"in_channels": 2})
    return replace(member, config=member.config.model_copy(update={"model": model}))


BOTH = {"intensity": ["bytes", "hu"], "window": [[0.0, 255.0], [-160.0, 240.0]]}


def test_each_scan_of_a_case_agrees_by_itself():
    """Guards against a window for one scan that is refused, or taken, for the other."""
    got = asked(case_of(**BOTH), "volume.window=[[0,900],null]")
    assert got.intensity == ["window", "hu"]
    assert got.window == [[0, 900], [-160, 240]]
    same = asked(case_of(**BOTH), "volume.window=[null,[-160,240]]", "volume.intensity=auto")
    assert same == case_of(**BOTH).config.volume
    for wrong in (
        "volume.window=0,900",
        "volume.window=[null,[0,1]]",
        "volume.intensity=auto,each",
    ):
        with pytest.raises(InputError, match=r"volume\.(window|intensity) was .* when the run was"):
            asked(case_of(**BOTH), wrong)
    with pytest.raises(InputError, match="one value or 2, for each scan of a case its own, got 3"):
        asked(case_of(**BOTH), "volume.intensity=hu,hu,hu")
