"""Explains the answers of a run: for a volume of a split, a case, or the cases of a table."""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import torch

from lmttm.data.cases import Given, at_place, name_of, place_notes, scans_of
from lmttm.data.dataset import Split
from lmttm.data.intensity import intensities_of
from lmttm.data.placement import Placement, prepared
from lmttm.data.preparation import geometry_of
from lmttm.data.scans import stem_of
from lmttm.data.tables import Entry
from lmttm.data.unlabelled import is_table, only_case, read_cases
from lmttm.errors import InputError
from lmttm.report.explain_page import ExplainedVolume
from lmttm.runs import results
from lmttm.runs.explainer import Explainer
from lmttm.runs.folder import CONFIG
from lmttm.runs.likeness import likeness_warnings, refuse_unlike
from lmttm.runs.trained import Trained
from lmttm.storage import printable

_LONGEST_NAME = 150  # bytes


def explain_index(run: Trained, index: int, split: str) -> results.Explained:
    """Explains the answer for a volume of a split; see `Run.explain`."""
    stored, label = _volume(run.dataset((split,)).splits[split], index)
    volume = stored.numpy()
    shown = _explainer(run)(volume, likeness_warnings(run, volume))
    chosen = f"--index {index}" + (f" --split {split}" if split != "test" else "")
    return _written(run, f"{split}-{index}", shown, chosen, label=label)


def explain_path(run: Trained, path: Given) -> results.Explained:
    """Explains the answer for a case; see `Run.explain`."""
    case = only_case(path, run.config)
    named = scans_of(path)
    name = _called(case.paths[0] if is_table(path) else named[0])
    return _explained(run, _explainer(run), case, name, name_of(named))


def explain_table(run: Trained, table: Path) -> Iterator[results.Explained | InputError]:
    """Explains the answers for the cases of a table; see `Run.explain_table`."""
    cases = read_cases(table, run.config)
    names = [_called(case.paths[0]) for case in cases]
    if len(set(names)) < len(names):  # of scans in other folders, or of places in one scan
        names = [f"{number}-{name}" for number, name in enumerate(names, 1)]
    explainer = _explainer(run)

    def explained(case: Entry, name: str) -> results.Explained | InputError:
        try:
            return _explained(run, explainer, case, name, printable(table))
        except InputError as error:
            return InputError(case.about(error))

    return map(explained, cases, names)


def _explainer(run: Trained) -> Explainer:
    return Explainer(run.only_member("explained"), run.config)


def _explained(
    run: Trained, explainer: Explainer, case: Entry, name: str, given: str
) -> results.Explained:
    """Explains a case.

    Args:
        run: The run.
        explainer: Its explainer.
        case: The case.
        name: What its files are called.
        given: What `--input` was, to repeat it.
    """
    geometry = at_place(geometry_of(run.config), case)
    scan = prepared(case.paths, geometry, intensities_of(run.config))
    notes = (*scan.notes, *place_notes(case, run.config.volume))
    warnings = likeness_warnings(run, scan.volume, notes)
    refuse_unlike(run, case.title, warnings)
    shown = explainer(scan.volume, warnings)
    return _written(run, name, shown, f"--input {quote(given)}", place=scan.place)


def _written(
    run: Trained,
    name: str,
    shown: ExplainedVolume,
    chosen: str,
    *,
    label: int | None = None,
    place: Placement | None = None,
) -> results.Explained:
    # Shipped weights are named; the folder of their results is no run.
    subject = run.folder if (run.folder / CONFIG).is_file() else run.names[0]
    command = f"python tools/explain.py {quote(printable(subject))} {chosen}"
    where = run.folder / "explain"
    return results.write_explanation(where, name, shown, label, place, command, run.notices)


def _called(path: Path) -> str:
    """What the files about a scan are called: as it is, and as its folder is where one is given.

    Bytes are counted, as a file's name takes 255 of them at most.
    """
    parts = [part for part in (path.parent.name, stem_of(path)) if part not in ("", "..")]
    called = printable("-".join(parts)).replace("/", "-").encode()
    return called[-_LONGEST_NAME:].decode(errors="ignore") or "input"


def _volume(split: Split, index: int) -> tuple[torch.Tensor, int]:
    if not 0 <= index < len(split):
        raise InputError(f"--index must be from 0 to {len(split) - 1}, got {index}")
    return split.images[index], int(split.labels[index])
