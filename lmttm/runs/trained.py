"""What an opened run consists of: its checkpoints, and where and how to compute now."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmttm.config.paths import as_path
from lmttm.config.schema import Config
from lmttm.data.dataset import Dataset
from lmttm.data.sources import class_names_of, load_dataset
from lmttm.data.tables import SPLITS
from lmttm.errors import InputError
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.predictor import with_user

log = logging.getLogger("lmttm")


@dataclass(frozen=True)
class Trained:
    """The checkpoints of a run, or of an ensemble of runs.

    Attributes:
        members: The best checkpoint of each run. Its section `volume` says how scans are prepared
            for it, with what the user gave where its training left something open.
        names: Their names.
        user: The configuration that says where and how to compute now.
        strict: Whether a scan unlike the training volumes is refused, not only warned about: so
            for shipped weights, whose users have not seen what they were trained on.
        unfinished: By the name of each run whose training has not ended how far it is, such as
            `1 of 3 epochs`.
    """

    members: tuple[Checkpoint, ...]
    names: tuple[str, ...]
    user: Config
    strict: bool = False
    unfinished: Mapping[str, str] = field(default_factory=dict)

    @property
    def notices(self) -> list[str]:
        """What whoever reads results of the run must know first, as sentences."""
        return [
            f"the training of {name} has not ended: these are its weights after {text}"
            for name, text in self.unfinished.items()
        ]

    @property
    def folder(self) -> Path:
        """Where results are written: the run's folder, or `A+B` beside those of an ensemble."""
        return Path(self.user.output_dir) / "+".join(self.names)

    def external_folder(self, data: str | Path) -> Path:
        """Where the scores of a set that the run has never seen are written."""
        return self.folder / "external" / as_path(data).resolve().name

    @property
    def folders(self) -> list[Path]:
        """The folder of each run."""
        return [Path(self.user.output_dir) / name for name in self.names]

    @property
    def config(self) -> Config:
        """What the (first) run was trained with, and where and how to compute now."""
        return with_user(self.members[0].config, self.user)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return class_names_of(self.config)

    @property
    def test_scores(self) -> dict[str, Any] | None:
        """The scores of these weights on the test split; None where it was not scored with them."""
        scored = self.folder / "test" / "metrics.json"
        if not scored.is_file():
            return None
        scores: dict[str, Any] = json.loads(scored.read_text(encoding="utf-8"))
        member = self.members[0]
        if (scores.get("epoch"), scores.get("validation")) == (member.epoch, member.validation):
            return scores
        log.warning(
            "%s has the scores of epoch %s, not those of these weights (epoch %d): left out; "
            "predict.py scores them anew",
            scored,
            scores.get("epoch"),
            member.epoch,
        )
        return None

    def dataset(self, splits: Sequence[str] = SPLITS) -> Dataset:
        """The data set that the run was trained on.

        Args:
            splits: Those that are needed: of scans of one's own no others are read.

        Raises:
            InputError: It cannot be loaded, or its path is another one, and so is its content.
        """
        dataset = load_dataset(self.config, splits)
        for member, name in zip(self.members, self.names, strict=True):
            check_content(member, name, dataset, self.config.dataset_name)
        return dataset

    def only_member(self, action: str) -> Checkpoint:
        """The checkpoint of a single run.

        Args:
            action: What can be done with a single run only, such as `exported`.

        Raises:
            InputError: It is an ensemble.
        """
        if len(self.members) > 1:
            raise InputError(f"only a single run can be {action}, got {', '.join(self.names)}")
        return self.members[0]


def check_content(member: Checkpoint, name: str, dataset: Dataset, now: str) -> None:
    """Warns where a data set was replaced since a run was trained on it.

    Args:
        member: The run.
        name: Its name.
        dataset: The splits that were loaded.
        now: The name or the path of the data set.

    Raises:
        InputError: The path is another one, and so is the content; or its cases have another
            number of scans, or now have places of their own.
    """
    _refuse_new_places(member, name, dataset, now)
    channels = member.config.model.in_channels
    if channels != dataset.num_grey:
        raise InputError(
            f"{name} takes {channels} grey channels (scans of a case), and {now} has "
            f"{dataset.num_grey}"
        )
    was = member.config.dataset_name
    if not member.data or set(dataset.digest().split()) <= set(member.data.split()):
        return
    if was != now:
        raise InputError(f"{name} was trained on {was}, and {now} has other volumes")
    log.warning("the data set %s was replaced since %s was trained on it", now, name)


def _refuse_new_places(member: Checkpoint, name: str, dataset: Dataset, now: str) -> None:
    """The tables of a set must not place scans that a run took all at one place."""
    if dataset.volume is None or not member.knows_volume:
        return
    for key in ("centre", "extent"):
        if getattr(dataset.volume, key) == "table" != getattr(member.config.volume, key):
            raise InputError(
                f"{name} was trained with volume.{key}=null, and "
                f"the tables of {now} now give scans a {key} of their own"
            )
