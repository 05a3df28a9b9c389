"""What is wrong with a labelled set of scans, reported before anybody trains."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lmttm.data.cache import Summary
from lmttm.data.tables import SPLITS, Entry

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
            "cannot be read": self.unreadable,
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
    summaries: Sequence[Summary | None],
) -> Findings:
    """Checks the readable scans of a set.

    Args:
        entries: The rows, each with its split.
        labels: Of each row.
        class_names: The names of the classes.
        summaries: Of each scan; None where it cannot be read.

    Returns:
        The findings; `unreadable` is empty.
    """
    findings = Findings()
    _find_twice(entries, summaries, findings)
    _find_shared_patients(entries, findings)
    for split in SPLITS:
        present = {label for e, label in zip(entries, labels, strict=True) if e.split == split}
        findings.missing += [
            f"{name} has no scan in the {split} split"
            for number, name in enumerate(class_names)
            if number not in present
        ]
    _find_unusual(entries, summaries, findings)
    return findings


def _find_twice(
    entries: Sequence[Entry], summaries: Sequence[Summary | None], findings: Findings
) -> None:
    """Equal files, or equal voxels in files of different formats."""
    known: dict[str, Entry] = {}
    for entry, summary in zip(entries, summaries, strict=True):
        if summary is None:
            continue
        flat = summary.content.low == summary.content.high
        place = f"{entry.centre} {entry.extent}"
        marks = [f"{summary.digest} {place}"] + ([] if flat else [summary.pixels])
        other = next((known[mark] for mark in marks if mark in known), None)
        leak = known.get(summary.digest)
        for mark in (*marks, summary.digest):
            known.setdefault(mark, entry)
        other = other or (leak if leak and leak.split != entry.split else None)
        if other is None:
            continue
        both = f"{other.name} ({other.place}) and {entry.name} ({entry.place})"
        if other.split != entry.split:
            findings.leaks.append(f"{both} are one scan, in {other.split} and in {entry.split}")
        else:
            findings.duplicates.append(f"{both} are one scan")


def _find_shared_patients(entries: Sequence[Entry], findings: Findings) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.patient:
            found[entry.patient].add(entry.split)
    for patient, splits in found.items():
        if len(splits) > 1:
            named = " and ".join(split for split in SPLITS if split in splits)
            findings.leaks.append(f"patient {patient} has scans in {named}")


def _find_unusual(
    entries: Sequence[Entry], summaries: Sequence[Summary | None], findings: Findings
) -> None:
    readable = [(e, s) for e, s in zip(entries, summaries, strict=True) if s is not None]
    if not readable:
        return
    spacing = np.array([sorted(summary.spacing) for _, summary in readable])
    extents = np.array([sorted(np.multiply(s.spacing, s.edges)) for _, s in readable])
    for what, values in (("voxels", spacing), ("a size", extents)):
        usual = np.median(values, axis=0)
        ratios = np.maximum(values / usual, usual / values).max(axis=1)
        for (entry, _), value, ratio in zip(readable, values, ratios, strict=True):
            if ratio > _UNLIKE:
                findings.unusual.append(
                    f"{entry.name} has {what} of {_mm(value)}, most have about {_mm(usual)}"
                )
    for entry, summary in readable:
        findings.unusual += [f"{entry.name}: {note}" for note in summary.notes]


def _mm(edges: np.ndarray) -> str:
    return " x ".join(f"{edge:.3g}" for edge in edges) + " mm"
