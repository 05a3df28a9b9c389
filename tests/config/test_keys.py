"""Configurations by their dotted keys, and the reference of all keys."""

from lmttm.config.files import CONFIG_DIR, load_config
from lmttm.config.keys import differences, flatten, reference
from lmttm.config.schema import Config


def test_the_documentation_lists_every_key():
    text = (CONFIG_DIR.parent / "docs" / "configuration.md").read_text()
    assert text.endswith(reference()), "write reference() to the end of docs/configuration.md"


def test_every_key_says_what_it_means():
    """Guards against a key without a description in the reference."""
    keys = list(flatten(Config().model_dump()))
    rows = {row.split("`")[1]: row for row in reference().splitlines()[2:]}
    assert list(rows) == keys
    assert [key for key, row in rows.items() if row.endswith("| None |")] == []


def test_a_nested_document_is_flattened_to_dotted_keys():
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": {}}) == {"a.b": 1, "a.c.d": [2], "e": {}}


def test_differences_name_the_key_and_both_values():
    changed = load_config("base.json", ["model.dim=64", "seed=1"])
    plain = load_config("base.json", ["seed=0"])
    assert differences(plain, changed) == {"seed": (0, 1), "model.dim": (448, 64)}
    assert differences(plain, plain) == {}
