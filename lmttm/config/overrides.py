"""`key=value` texts, as people type them."""

import json
import re
from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from lmttm.config.keys import flatten
from lmttm.config.published import modernise
from lmttm.config.schema import Config
from lmttm.errors import InputError

_NUMBER = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?")
_TRUTH = dict.fromkeys(("true", "yes", "on", "1"), True)
_TRUTH |= dict.fromkeys(("false", "no", "off", "0"), False)


def parse_override(text: str) -> dict[str, Any]:
    """Parses a `key=value` text.

    Args:
        text: Such as `train.epoch=3`. The value is JSON, or what people write for it: `True`,
            `.001`, `1e2` for a whole number, `H,W` for a list; else it is a plain text.

    Returns:
        A nested dict in the present spelling.

    Raises:
        InputError: The text has no key or no value.
    """
    key, equals, value = text.partition("=")
    if not equals or not key or not all(key.split(".")):
        raise InputError(f"an override must look like train.epoch=3, got {text!r}")
    if key == "base":
        raise InputError(f"base is a key of files only: name {value} as the configuration instead")
    nested: Any = _as_value(value.strip(), _types_of(key))
    for name in reversed(key.split(".")):
        nested = {name: nested}
    return modernise(nested)[0]


def overridden_keys(overrides: Sequence[str]) -> list[str]:
    """The dotted keys, in the present spelling, that override texts set."""
    return [key for text in overrides for key in flatten(parse_override(text))]


def _as_value(text: str, kinds: list[Any]) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if kinds == [str] and isinstance(value, int | float):
        return text  # a run may be called 7
    if kinds != [str] and text == "None":
        return None
    if kinds == [list] and isinstance(value, str):
        parts = [part.strip(" '\"") for part in value.strip("[]()").split(",")]
        return [part for part in parts if part]
    if kinds == [bool] and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    number = int in kinds or float in kinds
    if number and isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if int in kinds and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _types_of(key: str) -> list[Any]:
    """The types that a key's values may have; none where there is no such key."""
    section: type[BaseModel] = Config
    *sections, last = key.split(".")
    for name in sections:
        field = section.model_fields.get(name)
        if field is None or not isinstance(field.default, BaseModel):
            return []
        section = type(field.default)
    field = section.model_fields.get(last)
    return [] if field is None else _plain(field.annotation)


def _plain(annotation: Any) -> list[Any]:
    """The types of a union, without what they hold: `list[float] | None` is list and None."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _plain(part)]
    return [get_origin(annotation) or annotation]
