"""Tables that name labelled scans: one data.csv, or train.csv, val.csv and test.csv.

Columns, in any order and case: `path` (relative to the table, or absolute) and `label` (numbers
from 0, or words); optionally `path_2`, `path_3`, ... for further scans of the same case, `split`,
`patient`, and a place of the scan's own: `centre_d`, `centre_h`, `centre_w` and `extent` in mm.
"""

import math
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmttm.config.paths import expanded
from lmttm.data.cells import cells_of
from lmttm.errors import InputError

ONE_TABLE = "data.csv"
SPLITS = ("train", "val", "test")
ALL = "all"  # the one split of a set that is scored as a whole
_SPELT = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_CENTRE = ("centre_d", "centre_h", "centre_w")
_MOST_FAULTS = 20  # that one message lists


def split_in_words(name: str) -> str:
    """A split as titles call it: `test split`, or `all scans` of a set without splits."""
    return "all scans" if name == ALL else f"{name} split"


@dataclass(frozen=True)
class Entry:
    """A row of a table: a case.

    Attributes:
        paths: Its scans, one for each grey channel of the model.
        names: The paths as the table spells them.
        label: As the table spells it.
        split: train, val or test; empty where the table does not say.
        patient: Empty where the table does not say.
        place: The table and the line, for messages.
        centre: Of the region in mm of the first scan, where the table gives one.
        extent: Edge of the region in mm, where the table gives one.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    label: str
    split: str
    patient: str
    place: str
    centre: tuple[float, float, float] | None = None
    extent: float | None = None

    @property
    def name(self) -> str:
        """What the case is called: its scans, with commas between."""
        return ",".join(self.names)


def path_columns(number: int) -> list[str]:
    """The columns of the scans of a case: path, path_2, path_3, ..."""
    return ["path", *(f"path_{place}" for place in range(2, number + 1))]


def read_tables(folder: Path) -> list[Entry]:
    """Reads data.csv of a folder, or where there is none its three tables.

    Raises:
        InputError: A table cannot be read, or rows of it cannot be used; all are listed.
    """
    one = folder / ONE_TABLE
    if one.exists():
        return read_table(one)
    tables = [read_table(folder / f"{split}.csv", split) for split in SPLITS]
    numbers = [len(entries[0].paths) for entries in tables]
    for split, number in zip(SPLITS, numbers, strict=True):
        if number != numbers[0]:
            raise InputError(
                f"{folder / split}.csv must have the columns {','.join(path_columns(numbers[0]))} "
                f"of {SPLITS[0]}.csv, got {','.join(path_columns(number))}"
            )
    return [entry for entries in tables for entry in entries]


def read_table(table: Path, split: str = "") -> list[Entry]:
    """Reads a table.

    Args:
        table: A CSV file; commas, semicolons or tabs separate its columns.
        split: The split of all rows; empty for that of the column `split`.

    Returns:
        Its rows, in order.

    Raises:
        InputError: As for `read_tables`.
    """
    cells = cells_of(table)
    if not {"path", "label"} <= set(cells.header) or not (cells.rows or cells.faults):
        raise InputError(
            f"{table} must have the columns path,label and at least one row, "
            f"got the columns {','.join(cells.header)} and {len(cells.rows)} rows"
        )
    columns = _path_columns_in(table, cells.header)
    entries, faults = [], cells.faults
    for line, row in cells.rows:
        try:
            entries.append(_entry(table, f"{table.name}, line {line}", row, columns, split))
        except InputError as error:
            faults.append(str(error))
    refuse(faults)
    return entries


def refuse(faults: Sequence[str]) -> None:
    """Raises an InputError that lists faults, where there are any."""
    if not faults:
        return
    shown = list(faults[:_MOST_FAULTS])
    if len(faults) > _MOST_FAULTS:
        shown.append(f"and {len(faults) - _MOST_FAULTS} more")
    raise InputError(
        shown[0] if len(shown) == 1 else "\n- ".join([f"{len(faults)} faults:", *shown])
    )


def _path_columns_in(table: Path, header: Sequence[str]) -> list[str]:
    """The columns of a table that name scans.

    Raises:
        InputError: One of them is missing between others.
    """
    found = {name for name in header if name == "path" or re.fullmatch(r"path_\d+", name)}
    columns = path_columns(len(found))
    if found != set(columns):
        raise InputError(
            f"{table}: the columns of a case's scans must be {','.join(columns)}, got "
            f"{','.join(name for name in header if name in found)}"
        )
    return columns


def _entry(
    table: Path, place: str, row: dict[str, str], columns: Sequence[str], split: str
) -> Entry:
    names, label = [row.get(column, "") for column in columns], row.get("label", "")
    if not all(names) or not label:
        raise InputError(f"{place}: {', '.join(columns)} and label must not be empty")
    given = row.get("split", "").lower()
    if not split and given and given not in _SPELT:
        raise InputError(f"{place}: split must be train, val or test, got {given}")
    centre = [_number(place, column, row.get(column, "")) for column in _CENTRE]
    if any(part is None for part in centre) and any(part is not None for part in centre):
        raise InputError(f"{place}: {', '.join(_CENTRE)} must be given together")
    extent = _number(place, "extent", row.get("extent", ""))
    if extent is not None and extent <= 0:
        raise InputError(f"{place}: extent must be more than 0 mm, got {extent:g}")
    d, h, w = centre
    return Entry(
        paths=tuple(_path(table, place, name) for name in names),
        names=tuple(names),
        label=label,
        split=split or _SPELT.get(given, ""),
        patient=row.get("patient", ""),
        place=place,
        centre=(d, h, w) if d is not None and h is not None and w is not None else None,
        extent=extent,
    )


def _path(table: Path, place: str, name: str) -> Path:
    """A path of a row, beside the table; with `~` and variables where no file is called so.

    A file is found as well where it has letters and accents apart in its name, as macOS writes
    them, or where the table was written on Windows.
    """
    for spelt in (name, unicodedata.normalize("NFD", name), name.replace("\\", "/")):
        if os.path.exists(table.parent / spelt):
            return table.parent / spelt
    try:
        return table.parent / expanded(name)
    except ValueError as error:
        raise InputError(f"{place}: path {error}") from None


def _number(place: str, column: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{place}: {column} must be a number of mm, got {text}")
    return value


def labels_of(entries: Sequence[Entry]) -> tuple[list[int], tuple[str, ...]]:
    """Labels as numbers from 0, and the names of the classes.

    Args:
        entries: Rows whose labels are whole numbers from 0 (the classes are then called class
            0, class 1, ...), or words (the classes are then in alphabetical order).

    Raises:
        InputError: Numbers and words are mixed, two words differ in case only, or there is
            but one class.
    """
    numbers = {label: _whole(label) for label in {entry.label for entry in entries}}
    wrong = [entry for entry in entries if numbers[entry.label] is None]
    if not wrong:
        labels = [int(numbers[entry.label] or 0) for entry in entries]
        names = tuple(f"class {number}" for number in range(max(labels) + 1))
    elif len({entry.label for entry in wrong}) < len(numbers):
        raise InputError(
            f"{wrong[0].place}: labels must be all numbers (0, 1, 2, ...) or all words, "
            f"got {wrong[0].label!r} beside {next(t for t, n in numbers.items() if n is not None)}"
        )
    else:
        names = tuple(sorted(numbers))
        labels = [names.index(entry.label) for entry in entries]
        _refuse_spellings(names)
    if len(names) < 2:
        raise InputError(f"there must be at least two classes, got only {names[0]}")
    return labels, names


def _whole(label: str) -> int | None:
    """The number that a label is, such as 1 or 1.0; None for a word."""
    text = label.removesuffix(".0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else None


def _refuse_spellings(names: Iterable[str]) -> None:
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(plain_spelling(name), name)
        if other != name:
            raise InputError(f"the labels {other!r} and {name!r} differ in case or blanks only")


def plain_spelling(text: str) -> str:
    """A text without what people do not see as a difference: case, blanks, invisible letters."""
    seen = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c for c in seen if unicodedata.category(c) != "Cf").split())
