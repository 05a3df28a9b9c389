"""Configuration files and `key=value` texts: read, laid over each other, held to the schema.

A file states only what differs from the schema's defaults (`config/base.json` spells all of
them out, for reading). The published files load unchanged: see `_modernise`.
"""

import difflib
import json
import logging
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lmttm.config.schema import Config, flatten
from lmttm.errors import InputError

log = logging.getLogger("lmttm")

CONFIG_DIR = Path(__file__).resolve().parents[2] / "config"

# Keys of the published files that have another name here, and those that mean nothing.
_RENAMED = {
    "model.summerize_num_tokens": "model.summarize_num_tokens",
    "model.Read_use_positional_embedding": "model.read_use_positional_embedding",
    "model.Write_use_positional_embedding": "model.write_use_positional_embedding",
}
_REPLACED = {
    "model.step": "steps follow from size and model.patch_size",
    "train.input_H": "replaced by size",
    "train.input_W": "replaced by size",
    "train.val_gap": "validation is scored after each epoch",
    "log_dir": "replaced by output_dir",
    "checkpoint_dir": "replaced by output_dir",
}


def load_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Loads a configuration.

    Args:
        path: A JSON file; a bare name such as `base.json` is looked up in `config/` first.
        overrides: `key=value` texts laid over the file, such as `train.epoch=3`. A value
            is JSON, or else a plain string.

    Returns:
        The validated configuration, with every default filled in.

    Raises:
        InputError: The file or an override can not be used; the text tells all faults.
    """
    document = _modernise(read_json(_find(path)))
    for override in overrides:
        _merge(document, _modernise(_parse_override(override)))
    return validate(document, source=Path(path).name)


def validate(document: dict[str, Any], source: str) -> Config:
    """Holds a nested dict of keys against the schema.

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


def overridden_keys(overrides: list[str]) -> list[str]:
    """The dotted keys, in the present spelling, that override texts set."""
    return [key for text in overrides for key in flatten(_modernise(_parse_override(text)))]


def _find(path: str | Path) -> Path:
    path = Path(path)
    shipped = CONFIG_DIR / path
    if len(path.parts) == 1 and shipped.is_file():
        return shipped
    if not path.is_file():
        names = ", ".join(sorted(file.name for file in CONFIG_DIR.glob("*.json")))
        raise InputError(f"there is no configuration {path}; config/ holds {names}")
    return path


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object; an InputError says what is wrong, and where."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
            raise InputError(f"{path.name}: the key {twice[0]!r} stands there twice")
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
        raise InputError(f"{path} can not be read: {error.strerror}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path.name} must hold a JSON object, got a {type(document).__name__}")
    return document


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key or not all(key.split(".")):
        raise InputError(f"an override must look like train.epoch=3, got {text!r}")
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = value
    for name in reversed(key.split(".")):
        parsed = {name: parsed}
    return parsed


def _merge(document: dict[str, Any], extra: dict[str, Any]) -> None:
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _merge(document[key], value)
        else:
            document[key] = value


def _modernise(document: dict[str, Any]) -> dict[str, Any]:
    """Brings a file of the published code into the present spelling.

    Comments (keys that start with `_` or `all_`) go, renamed keys take their new name,
    `train.gpu` becomes `device`, `train.load_memory_tokens` becomes `model.memory_start`,
    and keys that mean nothing any more are dropped with a warning.
    """
    result: dict[str, Any] = {}

    def put(key: str, value: Any) -> None:
        *sections, name = key.split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise InputError(f"{key} can not stand beside a plain value of {section}")
        if name in place:
            raise InputError(f"{key} is given twice, in two spellings")
        place[name] = value

    implied = {}
    for key, value in flatten(document).items():
        if any(part.startswith(("_", "all_")) for part in key.split(".")):
            continue
        if key in _REPLACED:
            log.warning("%s is not used: %s", key, _REPLACED[key])
        elif key == "train.gpu":
            implied["device"] = f"cuda:{value}"
        elif key == "train.load_memory_tokens" and isinstance(value, bool):
            implied["model.memory_start"] = "carried" if value else "zeros"
        else:
            put(_RENAMED.get(key, key), value)
    given = flatten(result)
    for key, value in implied.items():
        if key not in given:
            put(key, value)
    return result


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
