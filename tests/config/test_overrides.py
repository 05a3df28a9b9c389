"""`key=value` texts, as people type them."""

import pytest

from lmttm.config.files import load_config
from lmttm.config.keys import flatten
from lmttm.config.overrides import overridden_keys, parse_override
from lmttm.config.schema import Config
from lmttm.errors import InputError


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("fast=True", True),
        ("fast=FALSE", False),
        ("fast=yes", True),
        ("fast=0", False),
        ("test_flips=on", True),
        ("train.lr=.001", 0.001),
        ("train.lr=1.", 1.0),
        ("train.lr=+1e-3", 0.001),
        ("train.lr= 0.5 ", 0.5),
        ("train.epoch=1e2", 100),
        ("train.epoch=+5", 5),
        ("train.epoch=20.0", 20),
        ("train.name=7", "7"),
        ("train.name=007", "007"),
        ("train.name=1.50", "1.50"),
        ("train.name=true", "true"),
        ('train.name="quoted"', "quoted"),
        ("distance=on", "on"),
        ("augment.flip_axes=H,W", ["H", "W"]),
        ("augment.flip_axes=[H,W]", ["H", "W"]),
        ("augment.flip_axes=['H', 'W']", ["H", "W"]),
        ('augment.flip_axes=["H"]', ["H"]),
        ("augment.flip_axes=", []),
        ("augment.flip_axes=[]", []),
        ("train.optimizer=adamw", "AdamW"),
        ("train.warmup_steps=.1", 0.1),
        ("train.warmup_steps=1e2", 100),
        ("volume.extent=.5", 0.5),
        ("volume.extent=table", "table"),
        ("volume.centre=1,2,.5", [1.0, 2.0, 0.5]),
        ("volume.window=None", None),
        ("size=64.", 64),
        ("model.patch_size=+7", 7),
    ],
)
def test_values_as_people_type_them_are_understood(text, meant):
    """Guards against `fast=True` and `train.lr=.001` that are refused as texts."""
    value = flatten(load_config("base.json", [text]).model_dump())[text.partition("=")[0]]
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("train.epoch=1.5", "train.epoch must be a valid integer, got 1.5"),
        ("train.epoch=many", 'train.epoch must be a valid integer, got "many"'),
        ("train.lr=0,001", 'train.lr must be a valid number, got "0,001"'),
        ("train.lr=1e-", 'got "1e-"'),
        ("fast=maybe", 'fast must be a valid boolean, got "maybe"'),
        ("fast=2", "fast must be a valid boolean, got 2"),
        ("train.epoch=true", "train.epoch must be a valid integer, got true"),
        ("base=demo.json", "base is a key of files only"),
    ],
)
def test_other_values_are_answered_with_what_works(text, answer):
    with pytest.raises(InputError) as caught:
        load_config("base.json", [text])
    assert answer in str(caught.value)


@pytest.mark.parametrize(
    "text", ["train.epoch", "=3", "train.=3", ".epoch=3", "train..epoch=1", ""]
)
def test_an_override_needs_a_key_and_a_value(text):
    with pytest.raises(InputError, match="an override must look like"):
        parse_override(text)


def test_every_default_as_text_gives_itself(tmp_path):
    """Guards against a kind of key whose values no text can set."""
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    for key, value in flatten(Config().model_dump()).items():
        text = f"{key}={','.join(value) if isinstance(value, list) else value}"
        assert load_config(empty, [text]) == Config(), text


def test_overridden_keys_are_in_the_present_spelling():
    texts = ["train.gpu=1", "model.summerize_num_tokens=8", "train.val_gap=100"]
    assert overridden_keys(texts) == ["device", "model.summarize_num_tokens"]


def test_a_key_that_does_not_exist_is_left_to_the_schema():
    assert parse_override("no.such.key=1") == {"no": {"such": {"key": 1}}}
    assert parse_override("model=1") == {"model": 1}
