"""The spelling of the published files, brought into the present one.

Those files load unchanged. A key that starts with `_` or `all_` is a comment there, and here too.
"""

from typing import Any

from lmttm.config.keys import flatten
from lmttm.errors import InputError

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


def modernise(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Brings keys into the present spelling.

    Comments are dropped, renamed keys take their new name, `train.gpu` becomes `device`,
    `train.load_memory_tokens` becomes `model.memory_start`, and keys without a meaning here are
    dropped.

    Args:
        document: The content of one file, or of one `key=value` text.

    Returns:
        The content in the present spelling, and a sentence about each key that was dropped.

    Raises:
        InputError: A key is given twice, in two spellings.
    """
    result: dict[str, Any] = {}
    dropped = []

    def put(key: str, value: Any) -> None:
        *sections, name = key.split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise InputError(f"{key} cannot stand beside a plain value of {section}")
        if name in place:
            raise InputError(f"{key} is given twice, in two spellings")
        place[name] = value

    implied = {}
    for key, value in flatten(document).items():
        if any(part.startswith(("_", "all_")) for part in key.split(".")):
            continue
        if key in _REPLACED:
            dropped.append(f"{key} is not used: {_REPLACED[key]}")
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
    return result, dropped
