"""Labels as tables spell them: numbers from 0, or words."""

import unicodedata
from collections.abc import Iterable, Sequence

from lmttm.data.tables import Entry, refuse
from lmttm.errors import InputError


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


def labels_by(entries: Sequence[Entry], class_names: Sequence[str]) -> list[int]:
    """Labels as the numbers of classes that are given, in the order of these.

    Args:
        entries: Rows; where the classes are called class 0, class 1, ..., their labels are numbers.
        class_names: The names of the classes.

    Raises:
        InputError: A label is no class; all such rows are listed.
    """
    numbered = {f"class {number}": str(number) for number in range(len(class_names))}
    known = {numbered.get(name, name): number for number, name in enumerate(class_names)}
    spelt = {entry.label: _whole(entry.label) for entry in entries}
    labels = [known.get(entry.label, known.get(str(spelt[entry.label]))) for entry in entries]
    refuse(
        [
            f"{entry.place}: the label {entry.label} is no class of the run ({', '.join(known)})"
            for entry, label in zip(entries, labels, strict=True)
            if label is None
        ]
    )
    return [label for label in labels if label is not None]


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
