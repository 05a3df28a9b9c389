"""Configuration files: loaded, laid over the base that each names, checked by the schema.

A file states only what differs from its `"base"`, or from the schema's defaults where it names none
(`config/base.json` spells all of them out). The published files load unchanged.
"""

import difflib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lmttm.config.keys import flatten
from lmttm.config.overrides import overridden_keys, parse_override
from lmttm.config.paths import expanded
from lmttm.config.published import modernise
from lmttm.config.schema import Config
from lmttm.errors import InputError

__all__ = [
    "CONFIG_DIR",
    "find_file",
    "load_config",
    "overridden_keys",
    "read_json",
    "resolved",
    "sentences",
    "to_json",
    "validate",
]

log = logging.getLogger("lmttm")

_PACKAGE = Path(__file__).resolve().parents[1]
# In an installed package, else in a clone.
CONFIG_DIR = next(
    folder for folder in (_PACKAGE / "shipped", _PACKAGE.parent / "config") if folder.is_dir()
)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Loads a configuration.

    Args:
        path: A JSON file. A bare name such as `base.json` means the shipped file of that name, if
            there is one; `./base.json` the one in the working folder.
        overrides: `key=value` texts laid over the file, such as `train.epoch=3`.

    Returns:
        The validated configuration, with every default filled in.

    Raises:
        InputError: The file, one of its bases or an override cannot be used; the text names all
            faults.
    """
    config, dropped = resolved(path, overrides)
    if not (config.run_dir / "config.json").exists():  # once for a run, not for each command
        for sentence in dropped:
            log.warning("%s", sentence)
    return config


def resolved(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Config, list[str]]:
    """Loads a configuration as `load_config` does, without a warning.

    Returns:
        The configuration, and a sentence about each key that means nothing here.
    """
    found = find_file(path, CONFIG_DIR, "configuration")
    document, dropped = _inherited(found)
    for override in overrides:
        _merge(document, parse_override(override))
    return validate(document, source=found.name), dropped


def validate(document: dict[str, Any], source: str) -> Config:
    """Checks a nested dict of keys against the schema.

    Args:
        document: Keys in the present spelling; missing ones take their defaults.
        source: What the dict came from, for the error's text.

    Returns:
        The configuration.

    Raises:
        InputError: One sentence for each fault.
    """
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        known = list(flatten(Config().model_dump()))
        faults = [line for fault in error.errors() for line in sentences(fault, known)]
    if len(faults) == 1:
        raise InputError(f"{source}: {faults[0]}")
    raise InputError(f"{source} has {len(faults)} faults:\n" + "\n".join(f"- {f}" for f in faults))


def to_json(config: Config) -> str:
    """The whole configuration as a JSON text that `load_config` reads."""
    return json.dumps(config.model_dump(), indent=2) + "\n"


def find_file(path: str | Path, folder: Path, kind: str) -> Path:
    """The file that somebody means.

    Args:
        path: A bare name, which means the shipped file of that name if there is one, or a path;
            `./name` is the file in the working folder.
        folder: Of the shipped files.
        kind: What an error calls it, such as `configuration`.

    Raises:
        InputError: There is no such file.
    """
    text = os.fspath(path)
    try:
        place = Path(expanded(text))
    except ValueError as error:
        raise InputError(f"the path of a {kind} {error}") from None
    shipped = folder / place.name
    if place.name == text and shipped.is_file():
        if place.is_file() and not place.samefile(shipped):
            log.warning(
                "%s is the shipped file, not the one in this folder; write ./%s for that",
                text,
                text,
            )
        return shipped
    if not place.is_file():
        what = "is a folder" if place.is_dir() else "does not exist"
        names = ", ".join(sorted(file.name for file in folder.glob("*.json")))
        raise InputError(f"the {kind} {text} {what}; shipped are {names}")
    return place


def _inherited(path: Path, heirs: tuple[Path, ...] = ()) -> tuple[dict[str, Any], list[str]]:
    """The keys of a file laid over those of its base, and sentences about keys that were dropped.

    Args:
        path: The file.
        heirs: The files that name it as their base, directly or not, the first one first.
    """
    if path.resolve() in (heir.resolve() for heir in heirs):
        circle = " -> ".join(file.name for file in (*heirs, path))
        raise InputError(f"base must not lead back to a file itself, got {circle}")
    stated, dropped = modernise(read_json(path))
    base = stated.pop("base", None)
    if base is None:
        return stated, dropped
    document, dropped_below = _inherited(_find_base(path, base), (*heirs, path))
    _merge(document, stated)
    return document, [*dropped_below, *dropped]


def _find_base(path: Path, base: Any) -> Path:
    """The file that another names as its base: beside it, else a shipped one."""
    if not isinstance(base, str):
        raise InputError(f"{path.name}: base must be the name of a file, got {json.dumps(base)}")
    try:
        places = [path.parent / expanded(base), CONFIG_DIR / expanded(base)]
    except ValueError as error:
        raise InputError(f"{path.name}: base {error}") from None
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"{path.name}: base must be a file beside it or a shipped one, got {base!r}")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object; an InputError says what is wrong, and where."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
            raise InputError(f"{path.name}: the key {twice[0]!r} occurs twice")
        return dict(pairs)

    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{path.name} is not valid JSON: {error.msg} at {where}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not a text file in UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not valid JSON: {error}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path.name} must hold a JSON object, got a {type(document).__name__}")
    return document


def _merge(document: dict[str, Any], extra: dict[str, Any]) -> None:
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _merge(document[key], value)
        else:
            document[key] = value


def sentences(fault: Any, known: list[str]) -> list[str]:
    """A fault that pydantic found, as sentences with the name, the rule and the value.

    Args:
        fault: An entry of `ValidationError.errors()`.
        known: The keys that there are, for "did you mean".

    Returns:
        One sentence, or several where a check over several keys found several faults.
    """
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"]).splitlines()
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        ends = [k for k in known if k.split(".")[-1] == key.split(".")[-1]]
        guess = next(iter(ends or close), None)
        return [f"{key} is not a known key" + (f"; did you mean {guess}?" if guess else "")]
    rule = fault["msg"].replace("Input should be", "must be").replace("String should", "must")
    rule = rule.replace("List should", "must").replace("Field required", "is missing")
    value = json.dumps(fault["input"], default=str)
    return [f"{key} {rule}, got {value if len(value) < 100 else value[:100] + '...'}"]
