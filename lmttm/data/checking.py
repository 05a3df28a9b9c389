"""What is wrong with a labelled set of scans, reported before anybody trains."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lmttm.config.schema import Config
from lmttm.data.cache import Case, Summary
from lmttm.data.chosen import in_parts
from lmttm.data.dataset import Split
from lmttm.data.labels import plain_spelling
from lmttm.data.tables import SPLITS, Entry, refuse
from lmttm.errors import InputError

log = logging.getLogger("lmttm")

SHOWN = 5  # notes that a training shows
_UNLIKE = 2.5  # factor by which a scan differs from the median to be unlike the rest


@dataclass
class Findings:
    """What was found in a set; each list holds sentences.

    Attributes:
        unreadable: Scans that cannot be used.
        leaks: One scan, or one patient, in two splits.
        duplicates: One scan twice within a split.
        missing: Classes without a scan in a split.
        unusual: Scans that are unlike the rest, or were repaired.
    """

    unreadable: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unusual: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, str]]:
        """All findings as rows: the kind, and the sentence."""
        kinds = {
            "unreadable": self.unreadable,
            "leak": self.leaks,
            "twice": self.duplicates,
            "class": self.missing,
            "unlike": self.unusual,
        }
        return [(kind, sentence) for kind, found in kinds.items() for sentence in found]


def check(
    entries: Sequence[Entry],
    labels: Sequence[int],
    class_names: Sequence[str],
    cases: Sequence[Case | None],
) -> Findings:
    """Checks the readable scans of a set.

    Args:
        entries: The rows, each with its split.
        labels: Of each row.
        class_names: The names of the classes.
        cases: What is known of each row; None where it cannot be read.

    Returns:
        The findings; `unreadable` is empty.
    """
    findings = Findings()
    _find_twice(entries, cases, findings)
    _find_shared_patients(entries, findings)
    for split in SPLITS:
        present = {label for e, label in zip(entries, labels, strict=True) if e.split == split}
        findings.missing += _missing(present, class_names, split)
    _find_unusual(entries, cases, findings)
    return findings


def check_volumes(splits: Mapping[str, Split], class_names: Sequence[str]) -> Findings:
    """Checks volumes that are no files of their own, as those of an npz file.

    Args:
        splits: By name; volumes are called by their index in a split.
        class_names: The names of the classes.

    Returns:
        Equal volumes and missing classes; a volume of one value is equal to none.
    """
    findings = Findings()
    known: dict[bytes, tuple[str, int]] = {}
    for name, split in splits.items():
        volumes = (volume for part in in_parts(split.images) for volume in part.numpy())
        for index, volume in enumerate(volumes):
            if volume.min() == volume.max():
                continue
            digest = hashlib.sha256(np.ascontiguousarray(volume).data).digest()
            other = known.setdefault(digest, (name, index))
            if other == (name, index):
                continue
            both = f"volume {other[1]} of {other[0]} and volume {index} of {name} are one"
            (findings.leaks if other[0] != name else findings.duplicates).append(both)
        findings.missing += _missing(set(split.labels.tolist()), class_names, name)
    return findings


def report(findings: Findings, config: Config, *, full: bool) -> None:
    """Reports to somebody who trains: leaks are refused, and the rest is a warning.

    Args:
        findings: What a check found.
        config: `leaks` says whether leaks are refused.
        full: Whether all splits were checked, so that a class may be said to miss one.

    Raises:
        InputError: There are leaks.
    """
    if findings.leaks and config.leaks == "refuse":
        try:
            refuse(findings.leaks)
        except InputError as error:
            raise InputError(
                f"{error}\nscores would be too good; leaks=allow trains all the same"
            ) from None
    notes = [*findings.leaks, *findings.duplicates, *findings.unusual]
    notes += findings.missing if full else []
    for sentence in notes[:SHOWN]:
        log.warning("%s", sentence)
    if len(notes) > SHOWN:
        log.warning("and %d more: python tools/prepare.py CONFIG --check", len(notes) - SHOWN)


def _missing(present: set[int], class_names: Sequence[str], split: str) -> list[str]:
    return [
        f"{name} has no scan in the {split} split"
        for number, name in enumerate(class_names)
        if number not in present
    ]


def _find_twice(entries: Sequence[Entry], cases: Sequence[Case | None], findings: Findings) -> None:
    """Equal files, or equal voxels in files of different formats, in all channels."""
    known: dict[str, Entry] = {}
    for entry, case in zip(entries, cases, strict=True):
        if case is None:
            continue
        flat = all(summary.content.low == summary.content.high for summary in case)
        digest = " ".join(summary.digest for summary in case)
        marks = [f"{digest} {entry.centre} {entry.extent}"]
        marks += [] if flat else [" ".join(summary.pixels for summary in case)]
        twice = next((known[mark] for mark in marks if mark in known), None)
        # Another place in the scan, or another mask of it, is a case of its own within a split.
        leak = known.get(case[0].digest)
        for mark in (*marks, case[0].digest):
            known.setdefault(mark, entry)
        other = twice or (leak if leak and leak.split != entry.split else None)
        if other is None:
            continue
        both = f"{other.name} ({other.place}) and {entry.name} ({entry.place})"
        both += " are one scan" if len(case) == 1 else " are one case" if twice else " share a scan"
        if other.label != entry.label:
            both += f", labelled {other.label} and {entry.label}"
        if other.split != entry.split:
            findings.leaks.append(f"{both}, in {other.split} and in {entry.split}")
        else:
            findings.duplicates.append(both)


def _find_shared_patients(entries: Sequence[Entry], findings: Findings) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.patient:
            found[entry.patient].add(entry.split)
    for patient, splits in found.items():
        if len(splits) > 1:
            named = " and ".join(split for split in SPLITS if split in splits)
            findings.leaks.append(f"patient {patient} has scans in {named}")
    spelt: dict[str, str] = {}
    for patient in found:
        other = spelt.setdefault(plain_spelling(patient), patient)
        if other != patient:
            findings.unusual.append(
                f"the patients {other!r} and {patient!r} differ in case or blanks only: "
                "they are taken for two"
            )


def _find_unusual(
    entries: Sequence[Entry], cases: Sequence[Case | None], findings: Findings
) -> None:
    for name in ("centre", "extent"):
        without = [entry for entry in entries if getattr(entry, name) is None]
        if 0 < len(without) < len(entries):
            findings.unusual.append(
                f"{len(without)} of {len(entries)} rows have no {name}, as the others have, such "
                f"as {without[0].name} ({without[0].place}): their region is another"
            )
    readable = [(e.names, case) for e, case in zip(entries, cases, strict=True) if case is not None]
    # Scans are compared with others of their own column.
    for column in zip(*(zip(names, case, strict=True) for names, case in readable), strict=True):
        _find_unlike(column, findings)
    for names, case in readable:
        for name, summary in zip(names, case, strict=True):
            findings.unusual += [f"{name}: {note}" for note in summary.notes]


def _find_unlike(scans: Sequence[tuple[str, Summary]], findings: Findings) -> None:
    """Finds geometry that is unlike the rest."""
    spacing = np.array([sorted(summary.spacing) for _, summary in scans])
    extents = np.array([sorted(np.multiply(s.spacing, s.edges)) for _, s in scans])
    for what, values in (("voxels", spacing), ("a size", extents)):
        usual = np.median(values, axis=0)
        ratios = np.maximum(values / usual, usual / values).max(axis=1)
        for (name, _), value, ratio in zip(scans, values, ratios, strict=True):
            if ratio > _UNLIKE:
                findings.unusual.append(
                    f"{name} has {what} of {_mm(value)}, most have about {_mm(usual)}"
                )


def _mm(edges: np.ndarray) -> str:
    return " x ".join(f"{edge:.3g}" for edge in edges) + " mm"
