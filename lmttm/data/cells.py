"""The cells of a CSV file as spreadsheets, scripts and people write it."""

import codecs
import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from lmttm.errors import InputError, one_line, os_error_in_words

_MARKS = (  # at the beginning of a file, those of four bytes before those of two
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SEPARATORS = ",;\t"
_SEPARATOR_LINE = "sep="  # with which Excel begins a file


@dataclass(frozen=True)
class Cells:
    """A table.

    Attributes:
        header: The names of its columns, in lower case.
        rows: Each row that is not empty by column, with the number of its line.
        faults: Rows with more cells than columns, as sentences.
    """

    header: list[str]
    rows: list[tuple[int, dict[str, str]]]
    faults: list[str]


def cells_of(table: Path) -> Cells:
    """Reads a table.

    Args:
        table: A CSV file in UTF-8, or with a byte-order mark; commas, semicolons or tabs separate
            its columns.

    Raises:
        InputError: It cannot be read, or has a column twice.
    """
    text = _text(table)
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip(" ,;\t")]
    first = lines[0].strip() if lines else ""
    if first[:-1].lower() == _SEPARATOR_LINE:
        separator = first[-1]
    else:
        separator = max(_SEPARATORS, key=first.count)
    header: list[str] = []
    rows, faults = [], []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].lower() in (
                _SEPARATOR_LINE,
                f"{_SEPARATOR_LINE}{separator}",
            ):
                continue
            if not header:
                header = [name.lower() for name in cells]
                while not header[-1]:
                    del header[-1]
            elif any(cells[len(header) :]):
                columns = f"{len(header)} column{'s' * (len(header) > 1)}"
                faults.append(
                    f"{table.name}, line {reader.line_num}: got {len(cells)} cells for {columns}; "
                    f"put a text with a {_named(separator)} in double quotes"
                )
            else:
                rows.append((reader.line_num, dict(zip(header, cells, strict=False))))
    except csv.Error as error:
        raise InputError(f"{table} cannot be read: {one_line(error)}") from None
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise InputError(f"{table} has the column {twice[0]} twice")
    return Cells(header, rows, faults)


def _text(table: Path) -> str:
    """Its text; letters with accents are one character, whichever way the file spells them."""
    try:
        content = table.read_bytes()
    except OSError as error:
        raise InputError(f"{table} cannot be read: {os_error_in_words(error)}") from None
    if content.startswith(_SPREADSHEETS):
        raise InputError(f"{table} is a spreadsheet; save it as CSV UTF-8")
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8-sig")
    try:
        text = unicodedata.normalize("NFC", content.decode(encoding))
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # as well where every other byte is one: UTF-16 without a mark
        raise InputError(f"{table} is not a text file in UTF-8; save it as CSV UTF-8")
    return text


def _named(separator: str) -> str:
    return {",": "comma", ";": "semicolon", "\t": "tab"}.get(separator, separator)
