"""A labelled set of one's own scans: from its tables to the splits that a model trains on.

A row is a case: one scan, or several that become the grey channels of a volume.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lmttm.config.fields import is_own
from lmttm.config.schema import Config
from lmttm.config.volume import Intensity, VolumeConfig
from lmttm.data.cache import Cache, Case, folder_of
from lmttm.data.cases import place_faults, place_notes, settled_places
from lmttm.data.checking import Findings, check, report
from lmttm.data.content import Content, decide, percentile_window
from lmttm.data.dataset import Dataset, Split, with_grey
from lmttm.data.gather import digests_of, summaries_of, volumes_of
from lmttm.data.labels import labels_by, labels_of
from lmttm.data.preparation import geometry_of
from lmttm.data.splitting import draw_splits, folds
from lmttm.data.tables import (
    SPLITS,
    Entry,
    read_tables,
    refuse,
    refuse_other_columns,
)
from lmttm.errors import InputError

log = logging.getLogger("lmttm")


@dataclass(frozen=True)
class Listed:
    """A set as its tables list it.

    Attributes:
        entries: The rows, each with its split.
        labels: Of each row, from 0.
        class_names: The names of the classes.
        config: The configuration, with the number of grey channels, and with `table` in its
            section `volume` where the tables place scans.
    """

    entries: list[Entry]
    labels: list[int]
    class_names: tuple[str, ...]
    config: Config

    def chosen(self, split: str) -> list[int]:
        """Indices of the rows of a split."""
        return [index for index, entry in enumerate(self.entries) if entry.split == split]


def list_own(folder: Path, config: Config) -> Listed:
    """Reads the tables of a set, and draws the splits that they do not give.

    Raises:
        InputError: The tables cannot be used, or the configuration is about other cases.
    """
    entries = read_tables(folder)
    labels, names = labels_of(entries)
    config = with_grey(config, len(entries[0].paths), str(folder))
    unsplit = [entry for entry in entries if not entry.split]
    if unsplit and len(unsplit) < len(entries):
        raise InputError(f"{unsplit[0].place}: split is empty, in other rows it is not")
    groups = [entry.patient or f"scan {number}" for number, entry in enumerate(entries)]
    if unsplit:
        drawn = draw_splits(labels, groups, names)
        entries = [replace(e, split=split) for e, split in zip(entries, drawn, strict=True)]
    elif missing := [split for split in SPLITS if split not in {e.split for e in entries}]:
        raise InputError(f"{folder}: no scan is in the {missing[0]} split")
    if config.folds:
        entries = _refolded(entries, labels, groups, config, names)
    volume = settled_places(entries, config.volume, str(folder))
    return Listed(entries, labels, names, config.model_copy(update={"volume": volume}))


def _refolded(
    entries: list[Entry],
    labels: list[int],
    groups: list[str],
    config: Config,
    class_names: Sequence[str],
) -> list[Entry]:
    """Draws train and val anew from both; a patient's scans stay together."""
    both = [index for index, entry in enumerate(entries) if entry.split != "test"]
    kept = [labels[i] for i in both], [groups[i] for i in both]
    cuts = folds(*kept, config.folds, class_names)
    val = {both[index] for index in cuts[config.fold][1]}
    return [
        entry if entry.split == "test" else replace(entry, split="val" if i in val else "train")
        for i, entry in enumerate(entries)
    ]


def load_own(folder: Path, config: Config, splits: Sequence[str] = SPLITS) -> Dataset:
    """Loads splits of a set of tables; settles `volume` on the training split where it is auto.

    Args:
        folder: The folder of the tables.
        config: The configuration.
        splits: Those that are needed.

    Returns:
        The data set; its volumes are memory-mapped.

    Raises:
        InputError: Tables or scans cannot be used (all faults are listed), or a scan or patient
            is in two splits and `leaks` is not `allow`.
    """
    listed = list_own(folder, config)
    config = listed.config
    cache = Cache(folder_of(config.cache))
    needed = set(splits) if config.volume.settled else {*splits, "train"}
    entries = [entry for entry in listed.entries if entry.split in needed]
    labels = [n for n, e in zip(listed.labels, listed.entries, strict=True) if e.split in needed]
    geometry = geometry_of(config)
    found = dict(zip(entries, summaries_of(entries, geometry, cache), strict=True))
    refuse([text for text in found.values() if isinstance(text, str)])
    cases = {entry: case for entry, case in found.items() if not isinstance(case, str)}
    findings = check(entries, labels, listed.class_names, [cases[e] for e in entries])
    report(findings, config, full=needed == set(SPLITS))
    settled = _settled(config, [case for entry, case in cases.items() if entry.split == "train"])
    result = {}
    for split in splits:
        chosen = [entry for entry in entries if entry.split == split]
        numbers = [n for n, e in zip(labels, entries, strict=True) if e.split == split]
        images, known = volumes_of(chosen, [cases[e] for e in chosen], settled, cache)
        result[split] = Split(
            name=split,
            images=torch.from_numpy(images),
            labels=torch.tensor(numbers, dtype=torch.int64),
            paths=tuple(entry.name for entry in chosen),
            patients=_patients(chosen),
            known=known,
        )
    return Dataset(str(folder), listed.class_names, result, settled.volume)


def _patients(entries: Sequence[Entry]) -> tuple[str, ...] | None:
    """The patient of each case; None where the table names none."""
    patients = tuple(entry.patient for entry in entries)
    return patients if any(patients) else None


def load_external(folder: Path, config: Config, name: str, class_names: Sequence[str]) -> Dataset:
    """Loads all scans of a set that a run has never seen, as the run prepares scans.

    Args:
        folder: The folder of the tables; splits that they name do not matter.
        config: The settled configuration of the run.
        name: What the split of all scans is called.
        class_names: The classes of the run, which its labels must be.

    Returns:
        The data set with that split alone.

    Raises:
        InputError: Tables or scans cannot be used, a label is no class of the run, or its cases
            have another number of scans, or places of their own where the run took none.
    """
    entries = read_tables(folder)
    refuse_other_columns(folder, entries, config.model.in_channels)
    labels = labels_by(entries, class_names)
    refuse([text for entry in entries for text in place_faults(entry, config.volume)])
    if unplaced := [entry for entry in entries if place_notes(entry, config.volume)]:
        log.warning(
            "%d of %d cases have no place of their own, as scans of the training had, such as %s",
            *(len(unplaced), len(entries), unplaced[0].name),
        )
    cache = Cache(folder_of(config.cache))
    found = summaries_of(entries, geometry_of(config), cache)
    refuse([text for text in found if isinstance(text, str)])
    cases = [case for case in found if not isinstance(case, str)]
    images, remembered = volumes_of(entries, cases, config, cache)
    split = Split(
        name=name,
        images=torch.from_numpy(images),
        labels=torch.tensor(labels, dtype=torch.int64),
        paths=tuple(entry.name for entry in entries),
        patients=_patients(entries),
        known=remembered,
    )
    return Dataset(str(folder), tuple(class_names), {name: split}, config.volume)


def seen_before(folder: Path, config: Config) -> list[str]:
    """Names of the cases of a set that a run was trained or validated on.

    Args:
        folder: The folder of the tables of the set.
        config: The settled configuration of the run.

    Returns:
        Those whose first scan the cache knows in both sets, whatever it is called; none is read.
    """
    if not is_own(config.dataset_name):
        return []
    cache = Cache(folder_of(config.cache))
    config = config.model_copy(update={"volume": VolumeConfig()})  # the rows matter, not the places
    try:
        used = [e for e in list_own(Path(config.dataset_name), config).entries if e.split != "test"]
    except InputError:  # it is no set of tables, or has gone
        return []
    entries = read_tables(folder)
    digests = {digest for digest in digests_of(used, cache) if digest}
    found = zip(entries, digests_of(entries, cache), strict=True)
    return [entry.name for entry, digest in found if digest in digests]


def check_own(config: Config) -> tuple[Findings, dict[str, dict[str, int]]]:
    """Reads every scan of a set and reports all faults; nothing is refused.

    Args:
        config: Names the folder of the tables.

    Returns:
        What was found, and the number of scans of each class by split.

    Raises:
        InputError: The tables cannot be used.
    """
    folder = Path(config.dataset_name)
    listed = list_own(folder, config)
    cache = Cache(folder_of(config.cache))
    found = summaries_of(listed.entries, geometry_of(config), cache)
    known = [None if isinstance(case, str) else case for case in found]
    findings = check(listed.entries, listed.labels, listed.class_names, known)
    findings.unreadable = [text for text in found if isinstance(text, str)]
    counts = {
        split: {
            name: sum(listed.labels[index] == number for index in listed.chosen(split))
            for number, name in enumerate(listed.class_names)
        }
        for split in SPLITS
    }
    return findings, counts


def _settled(config: Config, training: Sequence[Case]) -> Config:
    """The configuration with what is auto decided by the content of the training scans.

    Each grey channel by itself, as if there were no other.
    """
    volume = config.volume
    if volume.settled:
        return config
    channels = [
        _decided(channel, [case[number].content for case in training])
        for number, channel in enumerate(volume.channels(config.model.in_channels))
    ]
    return config.model_copy(update={"volume": volume.with_channels(channels)})


def _decided(channel: Intensity, contents: Sequence[Content]) -> Intensity:
    if channel.settled or channel.window is not None:
        return channel.in_force
    if channel.kind == "percentiles":
        return Intensity("percentiles", percentile_window([c.levels for c in contents]))
    return Intensity(*decide(contents))
