"""Cases without labels, as somebody names them: scans, folders of scans, or a table of cases."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lmttm.config.paths import as_path
from lmttm.config.schema import Config
from lmttm.data.cases import (
    Given,
    at_place,
    find_cases,
    name_of,
    place_faults,
    place_notes,
    read_case,
    scans_of,
)
from lmttm.data.intensity import intensities_of
from lmttm.data.preparation import geometry_of
from lmttm.data.tables import Entry, read_rows, refuse, refuse_other_columns
from lmttm.errors import InputError
from lmttm.storage import printable

log = logging.getLogger("lmttm")

_TABLES = (".csv", ".tsv", ".xlsx", ".xls", ".ods")  # spreadsheets, to be refused by their name


def is_table(given: Given) -> TypeGuard[str | Path]:
    """Whether somebody names a table of cases."""
    if not isinstance(given, str | Path):
        return False
    return os.fspath(given).lower().endswith(_TABLES) and not as_path(given).is_dir()


def list_cases(
    given: Sequence[Given], config: Config, *, untrained: bool = False
) -> tuple[list[Entry], dict[Entry, str]]:
    """Finds the cases that somebody means.

    Args:
        given: Cases; where they consist of one scan each also folders of scans. Or a table of
            cases, and nothing beside it.
        config: The configuration of a run.
        untrained: Whether it is that of a training to come, so that a case may have any number
            of scans.

    Returns:
        The cases, and for each other why the model cannot take it.

    Raises:
        InputError: A table cannot be used; all its faults are listed.
    """
    for table in filter(is_table, given):
        if len(given) > 1:
            raise InputError(
                f"a table of cases must be given alone, got {printable(table)} and "
                f"{len(given) - 1} more"
            )
        return read_cases(as_path(table), config, untrained=untrained), {}
    cases: list[Entry] = []
    refused = {}
    for named in map(scans_of, given):
        try:
            found = find_cases(named, len(named) if untrained else config.model.in_channels)
        except InputError as error:
            refused[_entry(named)] = printable(str(error))
        else:
            cases += map(_entry, found)
    return cases, refused


def only_case(given: Given, config: Config) -> Entry:
    """The case that somebody means.

    Raises:
        InputError: There are several, or it cannot be used.
    """
    cases, refused = list_cases([given], config)
    for message in refused.values():
        raise InputError(message)
    if len(cases) > 1:
        kind = "table" if is_table(given) else "folder"
        raise InputError(
            f"{name_of(scans_of(given))} must be one case, got a {kind} of {len(cases)}"
        )
    return cases[0]


def _entry(paths: Sequence[Path]) -> Entry:
    return Entry(tuple(paths), tuple(map(printable, paths)))


def read_cases(table: Path, config: Config, *, untrained: bool = False) -> list[Entry]:
    """Reads a table of cases and checks its rows; no scan is read.

    Args:
        table: See `lmttm.data.tables`; labels and splits are not used.
        config: As for `list_cases`.
        untrained: Likewise.

    Raises:
        InputError: The table or rows of it cannot be used; all are listed.
    """
    entries, faults = read_rows(table, labelled=False)
    if entries and not untrained:
        refuse_other_columns(table, entries, config.model.in_channels)
    refuse([*faults, *_faults(entries, config, untrained=untrained)])
    if any(entry.label for entry in entries):
        log.warning("the labels of %s are not used; --data FOLDER scores those of a set", table)
    return entries


def _faults(entries: Sequence[Entry], config: Config, *, untrained: bool) -> Iterator[str]:
    known: dict[object, Entry] = {}
    for entry in entries:
        for path in entry.paths:
            if not os.path.exists(path):
                yield entry.about(f"{path} is not there")
        scans = (*map(os.path.realpath, entry.paths), entry.centre, entry.extent)
        other = known.setdefault(scans, entry)
        if other is not entry:
            yield entry.about(f"{entry.title} is the case of {other.place} as well")
        yield from place_faults(entry, config.volume, untrained=untrained)


def prepare_all(
    cases: Sequence[Entry], config: Config, *, progress: bool = False
) -> tuple[dict[Entry, tuple[NDArray[np.uint8], tuple[str, ...]]], dict[Entry, str]]:
    """Prepares cases as `load_volume` does; one that cannot be used stops none of the others.

    Args:
        cases: As `list_cases` gives them.
        config: The configuration of a run.
        progress: Whether a progress bar is shown.

    Returns:
        For each case its volume and what is worth a warning, and for each other why it cannot be
        used.
    """
    volumes, failures = {}, {}
    geometry = geometry_of(config)
    shown = progress and len(cases) > 1
    for case in tqdm(cases, "reading scans", unit="case", dynamic_ncols=True, disable=not shown):
        try:
            intensities = intensities_of(config, len(case.paths))
            volume, notes = read_case(case.paths, at_place(geometry, case), intensities)
            volumes[case] = volume, (*notes, *place_notes(case, config.volume))
        except InputError as error:
            failures[case] = printable(case.about(error))
    return volumes, failures
