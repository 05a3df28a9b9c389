"""What the sections of the schema are made of: a strict base class, and the kinds of fields.

Fields take names in any case, paths with `~`, and published spellings. The upper bounds of whole
numbers keep a typing error, or an untrusted file, from requesting more memory than there is.
"""

import difflib
import json
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from lmttm.config.kinds import DATASETS
from lmttm.config.paths import expanded

Share = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A section of the configuration: each key known, of its type, finite, and never changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class OneOf:
    """Restricts a text to the names of a table of `lmttm.config.kinds`."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        """The check that a `Literal` of the names would give."""
        return core_schema.literal_schema(self.names)


def spelling(names: Iterable[str]) -> BeforeValidator:
    """Takes a name in any case and gives it as it is spelt here."""
    known = {name.lower(): name for name in names}
    return BeforeValidator(lambda value: known.get(str(value).lower(), value))


def to_path(value: Any, info: ValidationInfo) -> Any:
    """Expands `~` and variables; a fault names the key."""
    try:
        return expanded(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"{info.field_name} {error}") from None


def to_start(value: Any) -> Any:
    """Expands a path; empty for none."""
    try:
        return expanded(value) if isinstance(value, str) and value else value or ""
    except ValueError as error:
        raise ValueError(f"train.start_from {error}") from None


def to_dataset(value: Any, info: ValidationInfo) -> Any:
    """Takes the name of a data set in any case, or a path."""
    known = {name.lower(): name for name in DATASETS}
    if str(value).lower() in known:
        return known[str(value).lower()]
    if is_own(str(value)):
        return to_path(value, info)
    close = difflib.get_close_matches(str(value).lower(), known, n=1)
    hint = f"; did you mean {known[close[0]]}?" if close else ""
    raise ValueError(
        f"dataset_name must be one of {', '.join(DATASETS)}, or the path of an npz file or a "
        f"folder of your own, got {value!r}{hint}"
    )


def is_own(dataset_name: str) -> bool:
    """Whether a data set is a path, not a name: a labelled set of the user's own."""
    return dataset_name.endswith(".npz") or "/" in dataset_name or "\\" in dataset_name


def to_noise_mode(value: Any) -> Any:
    """Takes the published spellings: null, None and exp."""
    spelt = {"None": "none", "exp": "exponential"}
    return spelt.get(str(value), value) if isinstance(value, str | None) else value


def to_warmup(value: Any) -> Any:
    """Takes a number of steps, or a share of all steps."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (0 <= value < 1 or (1 <= value <= 10**9 and value == int(value))):
        return value if value < 1 else int(value)
    raise ValueError(
        "train.warmup_steps must be a whole number of steps, or a share of all steps below 1, "
        f"got {json.dumps(value, default=str)}"
    )
