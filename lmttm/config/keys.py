"""Configurations by their dotted keys: flat, compared, and as the reference of all keys."""

import json
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from lmttm.config.fields import OneOf
from lmttm.config.schema import Config


def reference() -> str:
    """All keys as a table in Markdown: `docs/configuration.md`."""
    lines = ["| key | default | values | meaning |", "|---|---|---|---|"]

    def add(section: type[BaseModel], prefix: str) -> None:
        for name, field in section.model_fields.items():
            if isinstance(field.default, BaseModel):
                add(type(field.default), f"{prefix}{name}.")
                continue
            choices = [part.names for part in field.metadata if isinstance(part, OneOf)]
            values = ", ".join(dict.fromkeys(*choices or [_values(field.annotation)]))
            default = json.dumps(field.default)
            lines.append(f"| `{prefix}{name}` | `{default}` | {values} | {field.description} |")

    add(Config, "")
    return "\n".join(lines) + "\n"


def _values(annotation: Any) -> list[str]:
    """The choices or the types that an annotation allows, as people call them."""
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind is Literal:
        return [str(value) for value in parts]
    if kind is Annotated:
        return _values(parts[0])
    if kind is list and get_origin(parts[0]) is not Literal:
        return [f"list of {text}" for text in _values(parts[0]) if text != "null"]
    if parts:
        return [text for part in parts for text in _values(part)]
    return ["null" if annotation is type(None) else annotation.__name__]


def differences(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """The dotted keys in which two configurations differ, with both values."""
    before, after = flatten(old.model_dump()), flatten(new.model_dump())
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


def flatten(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested dict with dotted keys: `{"a": {"b": 1}}` becomes `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
