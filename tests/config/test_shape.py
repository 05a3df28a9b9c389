"""Edges of volumes and patches: one number or three."""

import pytest

from lmttm.config.files import load_config
from lmttm.config.overrides import parse_override
from lmttm.config.shape import in_words, three
from lmttm.errors import InputError

OWN = "dataset_name=mine/"


def sized(*overrides):
    return load_config("base.json", [OWN, *overrides])


@pytest.mark.parametrize("text", ["[32,96,80]", "[32, 96, 80]", "32,96,80", "32, 96, 80"])
def test_three_edges_as_people_type_them(text):
    config = sized(f"size={text}", "model.patch_size=[3,7,5]")
    assert config.size == [32, 96, 80]
    assert config.shape == (32, 96, 80)
    assert config.model.patch == config.model.stride == (3, 7, 5)
    assert in_words(config.size) == "32 x 96 x 80"


def test_one_edge_is_a_cube_and_three_equal_edges_are_one():
    """Guards against checkpoints of cubes that contradict `size=[28,28,28]`."""
    assert three(28) == (28, 28, 28)
    assert in_words(28) == "28^3"
    assert sized("size=[28,28,28]") == sized("size=28") == sized("size=2.8e1") == sized()


def test_a_stride_of_nothing_is_the_patch():
    model = sized("model.patch_size=[4,7,7]", "model.patch_stride=[2,0,3]").model
    assert model.stride == (2, 7, 3)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        *(
            (f"size={text}", "size must be a whole number from 8 to 256, or three of them along")
            for text in ("7", "257", "[32,96]", "[8,8,8,8]", "[32,96,7]", "1,x,3", "big", "28.5")
        ),
        ("size=true", "got true"),
        ("model.patch_size=[3,0,7]", "model.patch_size must be a whole number from 1 to 64, or"),
        ("model.patch_stride=-1", "model.patch_stride must be a whole number from 0 to 64, or"),
        (
            "model.patch_size=[3,29,3]",
            r"model.patch_size must not be larger than the volume, got patch_size=\[3, 29, 3\], "
            "size=28",
        ),
        (
            "model.patch_stride=[1,4,1]",
            "model.patch_stride must not be larger than model.patch_size, got "
            r"patch_stride=\[1, 4, 1\], patch_size=3",
        ),
    ],
)
def test_bad_edges_are_one_sentence(override, told):
    with pytest.raises(InputError, match=told) as caught:
        sized(override)
    assert "\n" not in str(caught.value)


def test_quarter_turns_need_a_square():
    """Guards against a crash in the first step of the training."""
    turns = "augment.turn_planes=HW,DH"
    assert sized("size=[12,24,24]", "augment.turn_planes=HW").shape == (12, 24, 24)
    with pytest.raises(InputError, match="must name planes whose edges are equal, got DH with"):
        sized("size=[12,24,24]", turns)


def test_official_sets_keep_their_sizes():
    with pytest.raises(InputError, match=r"size must be 28 or 64 for AdrenalMNIST3D, got \[28, "):
        load_config("base.json", ["size=[28,28,64]"])


def test_an_override_of_three_edges_is_a_list():
    assert parse_override("size=[32,96,80]") == {"size": [32, 96, 80]}
