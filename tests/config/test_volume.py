"""The section `volume`: what the command line may say, and what it may not."""

import pytest

from lmttm.config.files import load_config
from lmttm.config.volume import Intensity, VolumeConfig, complete
from lmttm.errors import InputError


def test_numbers_from_the_command_line():
    volume = load_config(
        "base.json", ["volume.window=-160,240", "volume.centre=1,2.5,3", "volume.extent=30"]
    ).volume
    assert (volume.window, volume.centre, volume.extent) == ([-160.0, 240.0], [1.0, 2.5, 3.0], 30)
    assert load_config("base.json", ["volume.extent=[30,40,50]"]).volume.extent == [30, 40, 50]
    assert load_config("base.json", ["volume.centre=table"]).volume.centre == "table"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("volume.axes=xyy", "volume.axes must be an order of x, y and z, got xyy"),
        ("volume.window=5,1", "volume.window must go from low to high, got 5,1"),
        ("volume.extent=0", "volume.extent must be more than 0 mm, got 0"),
        ("volume.extent=[1,-2,3]", "volume.extent must be more than 0 mm"),
        ("volume.intensity=window", "needs volume.window"),
        ("volume.intensity=ct", "volume.intensity"),
        ("volume.centre=1,2", "volume.centre"),
        ("volume.extent=big", "volume.extent must be a number of mm, three such as 60,60,40,"),
        ("volume.window=table", "volume.window must be two numbers such as -160,240, or null"),
        ("volume.region=sphere", "volume.region"),
    ],
)
def test_bad_values_are_named(override, told):
    with pytest.raises(InputError) as caught:
        load_config("base.json", [override])
    assert told in str(caught.value)


def test_a_configuration_from_before_the_section_keeps_what_it_did():
    """Guards against a run of the former format whose scans are windowed in another way."""
    assert complete({"size": 28})["volume"] == {"intensity": "each"}
    assert complete({"volume": {"axes": "zyx"}}) == {"volume": {"axes": "zyx"}}
    assert not VolumeConfig().settled
    assert VolumeConfig(intensity="each").settled


@pytest.mark.parametrize(
    ("overrides", "channels"),
    [
        ((), [("auto", None), ("auto", None)]),
        (("volume.intensity=hu",), [("hu", None), ("hu", None)]),
        (("volume.intensity=hu,masks",), [("hu", None), ("masks", None)]),
        (("volume.intensity=[hu, masks]",), [("hu", None), ("masks", None)]),
        (('volume.intensity=["hu","masks"]',), [("hu", None), ("masks", None)]),
        (("volume.window=0,9",), [("auto", (0, 9)), ("auto", (0, 9))]),
        (("volume.window=[[0,9],null]",), [("auto", (0, 9)), ("auto", None)]),
        (
            ("volume.intensity=window,each", "volume.window=[[0,9],null]"),
            [("window", (0, 9)), ("each", None)],
        ),
    ],
)
def test_one_value_holds_for_all_scans_of_a_case_or_each_has_its_own(overrides, channels):
    volume = load_config("base.json", list(overrides)).volume
    assert [(c.kind, c.window) for c in volume.channels(2)] == channels
    assert volume.settled is ("auto" not in [kind for kind, _ in channels])


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("volume.intensity=hu,ct",), "volume.intensity must be one of auto, masks, bytes,"),
        (("volume.intensity=3",), "volume.intensity must be one of auto, masks, bytes,"),
        (("volume.window=[[0,9],[9,0]]",), "volume.window must go from low to high, got 9,0"),
        (("volume.window=[[0,9,1],null]",), "volume.window must be two numbers such as"),
        (("volume.window=[null,true]",), "volume.window must be two numbers such as"),
        (("volume.window=1,2,3",), "volume.window must be two numbers such as"),
        (("volume.intensity=window,hu", "volume.window=[null,[0,1]]"), "needs volume.window"),
        (
            ("volume.intensity=hu,hu,hu", "volume.window=[[0,1],[0,1]]"),
            "must be about as many scans of a case, got 3 and 2",
        ),
    ],
)
def test_bad_values_for_several_scans_are_named(overrides, told):
    with pytest.raises(InputError) as caught:
        load_config("base.json", list(overrides))
    assert told in str(caught.value)


def test_values_for_another_number_of_scans_are_refused():
    volume = load_config("base.json", ["volume.intensity=hu,masks"]).volume
    with pytest.raises(InputError, match="one value or 3, for each scan of a case its own, got 2"):
        volume.channels(3)
    with pytest.raises(InputError, match=r"volume\.intensity must be one value, got 2"):
        volume.channels(1)


def test_one_channel_is_stored_as_it_always_was():
    """Guards against configurations of runs that change their form."""
    volume = VolumeConfig(axes="zyx")
    one = volume.with_channels([Intensity("hu", (-160.0, 240.0))])
    assert one == VolumeConfig(axes="zyx", intensity="hu", window=[-160.0, 240.0])
    two = volume.with_channels([Intensity("hu", (-160.0, 240.0)), Intensity("each")])
    assert two.intensity == ["hu", "each"]
    assert two.window == [[-160.0, 240.0], None]
    assert VolumeConfig.model_validate(two.model_dump()) == two
    assert [*two.channels(2)] == [Intensity("hu", (-160.0, 240.0)), Intensity("each")]
