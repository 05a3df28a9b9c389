"""Tables that name scans: those of a labelled set, or a list of cases to classify.

Columns, in any order and case: `path` (relative to the table, or absolute) and, of a labelled set,
`label` (numbers from 0, or words); optionally `path_2`, `path_3`, ... for further scans of the same
case, `split`, `patient`, and a place of the scan's own: `centre_d`, `centre_h`, `centre_w` and
`extent` in mm. A labelled set is one data.csv, or train.csv, val.csv and test.csv.
"""

import math
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmttm.config.paths import expanded
from lmttm.data.cells import cells_of
from lmttm.errors import InputError
from lmttm.storage import printable

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
# What tells cases of the same scans apart, beside what answers call them.
IDENTIFYING = ("patient", *_CENTRE, "extent")
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
        label: As the table spells it; empty where it does not say.
        split: train, val or test; likewise.
        patient: Likewise.
        place: The table and the line, for messages; empty where no table names the case.
        centre: Of the region in mm of the first scan, where the table gives one.
        extent: Edge of the region in mm, where the table gives one.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    label: str = ""
    split: str = ""
    patient: str = ""
    place: str = ""
    centre: tuple[float, float, float] | None = None
    extent: float | None = None

    @property
    def name(self) -> str:
        """What the case is called: its scans, with commas between."""
        return ",".join(self.names)

    @property
    def identity(self) -> dict[str, str | float]:
        """What tells it from other cases of the same name, by the column of `IDENTIFYING`."""
        values = (printable(self.patient) or None, *(self.centre or (None,) * 3), self.extent)
        pairs = zip(IDENTIFYING, values, strict=True)
        return {column: value for column, value in pairs if value is not None}

    @property
    def title(self) -> str:
        """Its name and, where the table gives one, its place: no other case has both."""
        centre = "centre " + ",".join(f"{part:g}" for part in self.centre) if self.centre else ""
        extent = f"extent {self.extent:g}" if self.extent is not None else ""
        where = ", ".join(filter(None, (centre, extent)))
        return f"{self.name} ({where} mm)" if where else self.name

    def about(self, message: object) -> str:
        """A message with the place of the case before it, where it has one."""
        return f"{self.place}: {message}" if self.place else str(message)


def path_columns(number: int) -> list[str]:
    """The columns of the scans of a case: path, path_2, path_3, ..."""
    return ["path", *(f"path_{place}" for place in range(2, number + 1))]


def read_tables(folder: Path) -> list[Entry]:
    """Reads data.csv of a folder, or where there is none its three tables.

    Raises:
        InputError: A table cannot be read, or rows of it cannot be used; all are listed.
    """
    if folder.is_file():
        raise InputError(
            f"{folder} must be a folder with {ONE_TABLE}, or with train.csv, val.csv and test.csv, "
            "got a file"
        )
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
    """Reads a table of a labelled set.

    Args:
        table: A CSV file; commas, semicolons or tabs separate its columns.
        split: The split of all rows; empty for that of the column `split`.

    Returns:
        Its rows, in order.

    Raises:
        InputError: As for `read_tables`.
    """
    entries, faults = read_rows(table, split)
    refuse(faults)
    return entries


def read_rows(
    table: Path, split: str = "", *, labelled: bool = True
) -> tuple[list[Entry], list[str]]:
    """Reads a table.

    Args:
        table: As for `read_table`.
        split: Likewise.
        labelled: Whether each row must have a label; if not, the columns `label` and `split` may
            be missing, and hold anything.

    Returns:
        Its rows, in order, and for each that cannot be used why not.

    Raises:
        InputError: The table cannot be used.
    """
    cells = cells_of(table)
    needed = ["path", "label"] if labelled else ["path"]
    if not set(needed) <= set(cells.header) or not (cells.rows or cells.faults):
        raise InputError(
            f"{table} must have the {'columns' if labelled else 'column'} {','.join(needed)} and "
            f"at least one row, got the columns {','.join(cells.header) or '(none)'} and "
            f"{len(cells.rows)} rows"
        )
    columns = _path_columns_in(table, cells.header)
    entries, faults = [], cells.faults
    for line, row in cells.rows:
        place = f"{table.name}, line {line}"
        try:
            _refuse_empty(place, row, [*columns, *needed[1:]])
            given = _split(place, row) if labelled and not split else split
            entries.append(_entry(table, place, row, columns, given))
        except InputError as error:
            faults.append(str(error))
    return entries, faults


def refuse_other_columns(where: Path, entries: Sequence[Entry], channels: int) -> None:
    """Raises an InputError where a run takes another number of scans for each case."""
    if len(entries[0].paths) != channels:
        wanted, got = (path_columns(number) for number in (channels, len(entries[0].paths)))
        raise InputError(
            f"{where}: the run takes the columns {','.join(wanted)} for each case, "
            f"got {','.join(got)}"
        )


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


def _refuse_empty(place: str, row: dict[str, str], columns: Sequence[str]) -> None:
    empty = [column for column in columns if not row.get(column)]
    if empty:
        raise InputError(f"{place}: {' and '.join(empty)} must not be empty")


def _split(place: str, row: dict[str, str]) -> str:
    """The split that a row names, if any."""
    given = row.get("split", "").lower()
    if given and given not in _SPELT:
        raise InputError(f"{place}: split must be train, val or test, got {given}")
    return _SPELT.get(given, "")


def _entry(
    table: Path, place: str, row: dict[str, str], columns: Sequence[str], split: str
) -> Entry:
    names = [row[column] for column in columns]
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
        label=row.get("label", ""),
        split=split,
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
