"""The section `augment`: the bounds of its keys."""

import pytest

from lmttm.config.augment import AugmentConfig
from lmttm.config.files import load_config
from lmttm.errors import InputError


def test_the_defaults_change_nothing():
    """Guards against augmentation in the published configuration, which has none."""
    assert not any(AugmentConfig().model_dump().values())


@pytest.mark.parametrize(
    "override",
    [
        *("flip_axes=X", "flip_axes=HW", "turn_planes=HD", "turn_planes=D", "shift=-1", "shift=65"),
        *("rotate=181", "scale=1", "stretch=-0.1", "elastic=0.2", "intensity=1", "noise=-1"),
        *("cutout=1", "mixup=11", "flip=H"),
    ],
)
def test_values_out_of_bounds_are_refused_by_name(override):
    """Guards against a shape that is turned inside out, or a box that blanks the whole volume."""
    with pytest.raises(InputError, match=rf"augment\.{override.partition('=')[0]}"):
        load_config("base.json", [f"augment.{override}"])
