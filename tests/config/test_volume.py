"""The section `volume`: what the command line may say, and what it may not."""

import pytest

from lmttm.config.files import load_config
from lmttm.config.volume import VolumeConfig, complete
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
