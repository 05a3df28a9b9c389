"""Paths as people write them."""

from pathlib import Path

import pytest

from lmttm.config.files import load_config
from lmttm.config.paths import expanded
from lmttm.errors import InputError


@pytest.fixture(autouse=True)
def _home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA", "/data")
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)


def test_home_and_variables_are_replaced(tmp_path):
    assert expanded("~/a") == f"{tmp_path}/a"
    assert expanded("$DATA/x") == expanded("${DATA}/x") == "/data/x"
    assert expanded("a~b/../c") == "a~b/../c"


@pytest.mark.parametrize("key", ["root", "output_dir", "dataset_name", "cache"])
def test_every_path_key_is_expanded(key, tmp_path):
    """Guards against a folder that is really called `~`."""
    config = load_config("demo.json", [f"{key}=~/some/place"])
    assert getattr(config, key) == f"{tmp_path}/some/place"
    assert getattr(load_config("demo.json", [f"{key}=$DATA/x"]), key) == "/data/x"


@pytest.mark.parametrize("key", ["root", "output_dir", "dataset_name", "cache"])
@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("$NO_SUCH_VARIABLE/x", "must not name a variable that is not set, got NO_SUCH_VARIABLE"),
        ("a/" + "x" * 256, "each name in it 255"),
        ("a/" * 2500, "must be at most 4000 bytes"),
        ("a/\0b", "must be a path"),
    ],
)
def test_an_impossible_path_is_a_message_with_the_key(key, path, rule):
    with pytest.raises(InputError) as caught:
        load_config("demo.json", [f"{key}={path}"])
    message = str(caught.value)
    assert f"{key} must" in message
    assert rule in message
    assert len(message) < 300


@pytest.mark.parametrize("path", ["x" * 300 + ".json", "a\0.json", "$NO_SUCH_VARIABLE.json", ""])
def test_an_impossible_configuration_is_a_message(path):
    """Guards against a traceback of the operating system's."""
    with pytest.raises(InputError, match="the path of a configuration must"):
        load_config(path)


def test_a_configuration_is_found_below_the_home(tmp_path):
    Path(tmp_path, "mine.json").write_text('{"seed": 5}')
    assert load_config("~/mine.json").seed == 5
