"""A trained run, opened: it scores splits, classifies scans, explains and exports.

run = lmttm.open_run("runs/demo")
scores = run.score("test")
answers = run.predict(["scan.nii.gz"])
run.explain(index=3)
run.export()
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmttm.config.paths import as_path
from lmttm.config.schema import Config
from lmttm.config.volume import VolumeConfig
from lmttm.data.dataset import Dataset, Split, prepare
from lmttm.data.placement import prepared
from lmttm.data.preparation import geometry_of, intensity_of, prepare_all
from lmttm.data.sources import class_names_of, load_dataset
from lmttm.data.statistics import Statistics
from lmttm.data.tables import SPLITS
from lmttm.errors import InputError
from lmttm.evaluation import calibration, metrics
from lmttm.evaluation.threshold import Threshold, check_rule, choose, rates
from lmttm.runs import card, decisions, export, pages, pretrained, results
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.explainer import Explainer
from lmttm.runs.external import SPLIT, predict_external
from lmttm.runs.folds import are_folds, predict_folds
from lmttm.runs.predictor import Prediction, predict, with_user
from lmttm.storage import printable, write_text

log = logging.getLogger("lmttm")

CHECKED_VOLUMES = 32  # on which an export is compared with the model


@dataclass(frozen=True)
class Run:
    """A trained run, or an ensemble of runs. Make one with `open_run`.

    Attributes:
        members: The best checkpoint of each run.
        names: Their names.
        user: The configuration that says where and how to compute now.
        volume: How scans are prepared, where the training left something open; None for as in
            training.
        strict: Whether a scan unlike the training volumes is refused, not only warned about: so
            for shipped weights, whose users have not seen what they were trained on.
    """

    members: tuple[Checkpoint, ...]
    names: tuple[str, ...]
    user: Config
    volume: VolumeConfig | None = None
    strict: bool = False

    @property
    def folder(self) -> Path:
        """Where results are written: the run's folder, or `A+B` beside those of an ensemble."""
        return Path(self.user.output_dir) / "+".join(self.names)

    @property
    def config(self) -> Config:
        """What the (first) run was trained with, and where and how to compute now."""
        config = with_user(self.members[0].config, self.user)
        return config.model_copy(update={"volume": self.volume or config.volume})

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return class_names_of(self.config)

    def dataset(self, splits: Sequence[str] = SPLITS) -> Dataset:
        """The data set that the run was trained on.

        Args:
            splits: Those that are needed: of scans of one's own no others are read.

        Raises:
            InputError: It cannot be loaded, or its path is another one, and so is its content.
        """
        dataset = load_dataset(self.config, splits)
        content = set(dataset.digest().split())
        for member, name in zip(self.members, self.names, strict=True):
            was, now = member.config.dataset_name, self.config.dataset_name
            if not member.data or content <= set(member.data.split()):
                continue
            if was != now:
                raise InputError(f"{name} was trained on {was}, and {now} has other volumes")
            log.warning("the data set %s was replaced since %s was trained on it", now, name)
        return dataset

    def score(
        self,
        split: str = "test",
        *,
        calibrate: bool = False,
        threshold: str | None = None,
        progress: bool = False,
    ) -> results.Scores:
        """Scores a whole split and writes metrics, predictions and pictures to the folder.

        Args:
            split: train, val or test. For runs of several folds val pools what each says of the
                volumes that it was validated on.
            calibrate: Whether a temperature is fitted on the validation split, stored, and the
                split scored with it as well. The scores without it stay what they are.
            threshold: `youden` or `sensitivity=0.9`: a threshold for the second of two classes
                that is chosen on the validation split, stored, and reported beside 0.5.
            progress: Whether progress bars are shown.

        Returns:
            The scores.

        Raises:
            InputError: The validation split has too little to calibrate on or to choose a
                threshold, or is itself the split to be scored.
        """
        if split == "val" and (calibrate or threshold):
            option = "--calibrate" if calibrate else "--threshold"
            raise InputError(
                f"{option} chooses on the validation split, so its scores there would flatter; "
                "score another split"
            )
        if threshold:
            check_rule(threshold)
        several = are_folds(self.members)
        if several and (calibrate or threshold):
            raise InputError("--calibrate and --threshold cannot be used with several folds")
        if several:
            dataset, prediction = predict_folds(self.members, self.user, split, progress=progress)
        else:
            dataset = self.dataset((split, "val") if calibrate or threshold else (split,))
        chosen, temperatures, cut = dataset.splits[split], None, None
        if calibrate or threshold:
            val = dataset.splits["val"]
            seen = predict(self.members, val, self.user)
            temperatures = self._fit_temperatures(seen, val) if calibrate else None
            cut = self._choose_threshold(seen, val, threshold) if threshold else None
        if not several:
            prediction = predict(self.members, chosen, self.user, progress=progress)
        return self._scored(dataset, split, prediction, self.folder / split, temperatures, cut)

    def validate(self, folder: str | Path, *, progress: bool = False) -> results.Scores:
        """Scores a labelled set that the run has never seen: an external validation.

        Args:
            folder: Of its tables; all scans are scored, whatever their split.
            progress: Whether progress bars are shown.

        Returns:
            The scores; they are written to `<folder of the run>/external/<name of the set>`.

        Raises:
            InputError: The set cannot be used, or has a label that is no class of the run.
        """
        path = as_path(folder).resolve()
        dataset, prediction = predict_external(self.members, self.user, path, progress=progress)
        return self._scored(dataset, SPLIT, prediction, self.folder / "external" / path.name)

    def _scored(
        self,
        dataset: Dataset,
        split: str,
        prediction: Prediction,
        folder: Path,
        temperatures: list[float] | None = None,
        cut: Threshold | None = None,
    ) -> results.Scores:
        """Scores a prediction and writes metrics, predictions, pictures and the report."""
        chosen = dataset.splits[split]
        labels = chosen.labels.numpy()
        probabilities = prediction.probabilities()
        first, alone = self.members[0], len(self.members) == 1
        found = {
            "dataset": dataset.name,
            "split": split,
            **metrics.score(labels, probabilities),
            "interval": metrics.intervals(labels, probabilities),
            "ece": metrics.calibration_error(labels, probabilities),
            "runs": list(self.names),
            "seed": first.config.seed if alone else [m.config.seed for m in self.members],
            "epoch": first.epoch if alone else [m.epoch for m in self.members],
            "validation": first.validation if alone else [m.validation for m in self.members],
        }
        scores = results.Scores(
            found,
            labels,
            probabilities,
            dataset.class_names,
            calibrated=results.calibrated(labels, prediction, temperatures)
            if temperatures
            else None,
            threshold=cut.as_dict() | {split: rates(labels, probabilities, cut.value)}
            if cut
            else None,
        )
        results.write_scores(folder, scores, chosen)
        page = pages.report(scores, dataset, self.members, self.names, Path(self.user.output_dir))
        write_text(folder / "report.html", page)
        return scores

    def _fit_temperatures(self, seen: Prediction, val: Split) -> list[float]:
        """Fits and stores the temperature of each run."""
        temperatures = [calibration.calibrate(logits, val.labels) for logits in seen.logits]
        for name, member, temperature in zip(self.names, self.members, temperatures, strict=True):
            folder = Path(self.user.output_dir) / name
            decisions.store_temperature(folder, member, temperature, len(val))
        return temperatures

    def _choose_threshold(self, seen: Prediction, val: Split, rule: str) -> Threshold:
        """Chooses and stores the threshold of the run or the ensemble."""
        cut = choose(val.labels.numpy(), seen.probabilities(), rule)
        decisions.store_threshold(self.folder, self.members, cut)
        return cut

    def predict(
        self,
        paths: Sequence[str | Path],
        *,
        calibrate: bool = False,
        threshold: str | None = None,
        progress: bool = False,
    ) -> results.Answers:
        """Classifies scans of your own and writes a table to `<folder>/inputs`.

        Each is prepared as the scans of the training were (`volume` in the configuration).

        Args:
            paths: Files of any format that `lmttm.data.scans` reads, or folders of such, or of
                DICOM slices.
            calibrate: Whether calibrated probabilities stand beside the others, with the
                temperature that `score(calibrate=True)` has stored.
            threshold: The rule of the threshold that `score(threshold=...)` has stored: the
                class by it stands beside the most probable one.
            progress: Whether progress bars are shown.

        Returns:
            An answer for each scan that could be read, and an error for each other.

        Raises:
            InputError: No temperature or threshold is stored for these weights.
        """
        temperatures = None
        if calibrate:
            folders = [Path(self.user.output_dir) / name for name in self.names]
            pairs = zip(folders, self.members, strict=True)
            temperatures = [decisions.stored_temperature(*pair) for pair in pairs]
        point = None
        if threshold:
            check_rule(threshold)
            point = decisions.stored_threshold(self.folder, self.members, threshold)
        cubes, notes, failures = prepare_all(paths, self.config)
        warnings = self._warnings(cubes, notes)
        if self.strict:
            for path in [path for path in cubes if warnings[path]]:
                del cubes[path]
                reasons = "; ".join(warnings[path])
                failures[path] = (
                    f"{path} is unlike the volumes that {self.names[0]} was trained on: {reasons}"
                )
        if not cubes:
            return results.Answers([], failures, self.class_names)
        logits: list[torch.Tensor] = []
        for member in self.members:
            shown = cubes
            if self.volume is None and member.config.volume != self.config.volume:
                others = prepare_all(paths, member.config)[0]
                shown = {path: others[path] for path in cubes}
            volumes = torch.from_numpy(np.stack(list(shown.values())))
            split = Split("inputs", volumes, torch.zeros(len(cubes), dtype=torch.int64))
            logits += predict([member], split, self.user, progress=progress).logits
        prediction = Prediction(tuple(logits))
        rows = prediction.probabilities()
        scaled = prediction.probabilities(temperatures) if temperatures else [None] * len(rows)
        answered = [
            results.answer(
                path,
                row,
                self.class_names,
                warnings[path],
                calibrated=at_temperature,
                threshold=point.value if point else None,
            )
            for path, row, at_temperature in zip(cubes, rows, scaled, strict=True)
        ]
        answers = results.Answers(answered, failures, self.class_names, temperatures, point)
        results.write_answers(self.folder / "inputs", answers)
        return answers

    def _warnings(
        self, cubes: dict[str, NDArray[np.uint8]], notes: dict[str, tuple[str, ...]]
    ) -> dict[str, list[str]]:
        """What is unlike the training volumes, by the path of each scan."""
        statistics = Statistics.from_dict(self.members[0].statistics)
        return {
            path: [*notes[path], *(statistics.warnings(cube) if statistics else [])]
            for path, cube in cubes.items()
        }

    def explain(
        self,
        path: str | Path | None = None,
        *,
        index: int | None = None,
        split: str = "test",
    ) -> results.Explained:
        """Explains the answer for one volume, with pictures in `<folder>/explain`.

        Args:
            path: A scan of your own, as for `predict`; or
            index: a volume of a split, from 0.
            split: train, val or test.

        Returns:
            The explanation and where its pictures lie.

        Raises:
            InputError: Not just one of path and index is given, there is no such volume, or
                the model is not a machine with steps and memory.
        """
        if len(self.members) > 1:
            raise InputError(f"only a single run can be explained, got {', '.join(self.names)}")
        if (path is None) == (index is None):
            raise InputError("explain needs either a path or the index of a volume")
        explainer = self.explainer()
        label, place = None, None
        if path is not None:
            scan = prepared(as_path(path), geometry_of(self.config), intensity_of(self.config))
            shown, place = explainer(scan.volume, scan.notes), scan.place
            name = printable(Path(path).name.split(".")[0]) or "input"
            chosen = f"--input {printable(path)}"
        else:
            stored, label = _volume(self.dataset((split,)).splits[split], index or 0)
            shown, name = explainer(stored.numpy()), f"{split}-{index}"
            chosen = f"--index {index}" + (f" --split {split}" if split != "test" else "")
        command = f"python tools/explain.py {self.folder} {chosen}"
        return results.write_explanation(
            self.folder / "explain", name, shown, label, place, command
        )

    def explainer(self) -> Explainer:
        """What explains volumes one by one, with the model of the (first) run."""
        return Explainer(self.members[0], self.config)

    def export(self) -> results.Exported:
        """Writes ONNX, the pre-processing and a model card to `<folder>/export`.

        Returns:
            Where they lie, and how exactly onnxruntime gives the model's logits.

        Raises:
            InputError: The packages for it are missing.
            RunError: onnxruntime gives other logits.
        """
        (first, *others) = self.members
        if others:
            raise InputError(f"only a single run can be exported, got {', '.join(self.names)}")
        images = self.dataset(("val",)).splits["val"].images
        chosen = torch.arange(CHECKED_VOLUMES) % len(images)
        folder = self.folder / "export"
        folder.mkdir(parents=True, exist_ok=True)
        difference = export.write_onnx(
            folder / "model.onnx", first.build(), prepare(images[chosen], self.config)
        )
        card.write_documents(folder, first, self.class_names, self._test_scores())
        return results.Exported(folder, difference, len(chosen))

    def save_weights(self, folder: str | Path) -> None:
        """Writes the run in the form of the shipped models, with the scores of its test split.

        Args:
            folder: The folder to make, such as `weights/adrenalmnist3d_28`.
        """
        (first, *others) = self.members
        if others:
            raise InputError(f"only a single run can be saved, got {', '.join(self.names)}")
        pretrained.save(as_path(folder), first, self.class_names, self._test_scores())

    def _test_scores(self) -> dict[str, Any] | None:
        scored = self.folder / "test" / "metrics.json"
        return json.loads(scored.read_text(encoding="utf-8")) if scored.is_file() else None


def _volume(split: Split, index: int) -> tuple[torch.Tensor, int]:
    if not 0 <= index < len(split):
        raise InputError(f"--index must be from 0 to {len(split) - 1}, got {index}")
    return split.images[index], int(split.labels[index])
