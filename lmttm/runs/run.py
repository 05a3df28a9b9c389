"""A trained run, opened: it scores splits, classifies scans, explains and exports.

run = lmttm.open_run("runs/demo")
scores = run.score("test")
answers = run.predict(["scan.nii.gz"])
run.explain(index=3)
run.export()
"""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import torch

from lmttm.config.paths import as_path
from lmttm.data.cases import Given, find_cases, name_of, scans_of
from lmttm.data.dataset import Split, prepare
from lmttm.data.intensity import intensities_of
from lmttm.data.placement import prepared
from lmttm.data.preparation import geometry_of
from lmttm.data.scans import stem_of
from lmttm.errors import InputError
from lmttm.runs import card, export, pretrained, results
from lmttm.runs.explainer import Explainer
from lmttm.runs.folder import CONFIG
from lmttm.runs.inputs import answer_inputs
from lmttm.runs.likeness import likeness_warnings, refuse_unlike
from lmttm.runs.scoring import score_external, score_split
from lmttm.runs.trained import Trained
from lmttm.storage import printable

_LONGEST_NAME = 150  # bytes

CHECKED_VOLUMES = 32  # on which an export is compared with the model


class Run(Trained):
    """A trained run, or an ensemble of runs. Make one with `open_run`."""

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
        return score_split(self, split, calibrate=calibrate, threshold=threshold, progress=progress)

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
        return score_external(self, as_path(folder).resolve(), progress=progress)

    def predict(
        self,
        paths: Sequence[Given],
        *,
        calibrate: bool = False,
        threshold: str | None = None,
        progress: bool = False,
    ) -> results.Answers:
        """Classifies scans of your own and writes a table to `<folder>/inputs`.

        Each is prepared as the scans of the training were (`volume` in the configuration).

        Args:
            paths: Files of any format that `lmttm.data.scans` reads, or folders of such, or of
                DICOM slices. Where a case has several scans, the scans of each case in the order
                of the table's columns: a list, or a text with commas between.
            calibrate: Whether calibrated probabilities stand beside the others, with the
                temperature that `score(calibrate=True)` has stored.
            threshold: The rule of the threshold that `score(threshold=...)` has stored: the
                class by it stands beside the most probable one.
            progress: Whether progress bars are shown.

        Returns:
            An answer for each case that could be read, and an error for each other. Shipped
            weights also refuse scans that are unlike their training volumes.

        Raises:
            InputError: No temperature or threshold is stored for these weights.
        """
        return answer_inputs(
            self, paths, calibrate=calibrate, threshold=threshold, progress=progress
        )

    def explain(
        self,
        path: Given | None = None,
        *,
        index: int | None = None,
        split: str = "test",
    ) -> results.Explained:
        """Explains the answer for one volume, with pictures in `<folder>/explain`.

        Args:
            path: A case of your own, as for `predict`; or
            index: a volume of a split, from 0.
            split: train, val or test.

        Returns:
            The explanation and where its pictures lie.

        Raises:
            InputError: Not just one of path and index is given, there is no such volume, a
                model without steps needs Captum, or the weights are shipped ones and the scan
                is unlike their training volumes.
        """
        self.only_member("explained")
        if (path is None) == (index is None):
            raise InputError("explain needs either a path or the index of a volume")
        explainer = self.explainer()
        label, place = None, None
        if path is not None:
            named = scans_of(path)
            cases = find_cases(named, self.config.model.in_channels)
            if len(cases) > 1:
                raise InputError(f"{name_of(named)} must be one scan, got a folder of {len(cases)}")
            case = prepared(cases[0], geometry_of(self.config), intensities_of(self.config))
            warnings = likeness_warnings(self, case.volume, case.notes)
            refuse_unlike(self, name_of(named), warnings)
            shown, place = explainer(case.volume, warnings), case.place
            name = _called(named[0])
            chosen = f"--input {quote(name_of(named))}"
        else:
            stored, label = _volume(self.dataset((split,)).splits[split], index or 0)
            volume, name = stored.numpy(), f"{split}-{index}"
            shown = explainer(volume, likeness_warnings(self, volume))
            chosen = f"--index {index}" + (f" --split {split}" if split != "test" else "")
        # Shipped weights are named; the folder of their results is no run.
        subject = self.folder if (self.folder / CONFIG).is_file() else self.names[0]
        command = f"python tools/explain.py {quote(printable(subject))} {chosen}"
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
        member = self.only_member("exported")
        images = self.dataset(("val",)).splits["val"].images
        chosen = torch.arange(CHECKED_VOLUMES) % len(images)
        folder = self.folder / "export"
        folder.mkdir(parents=True, exist_ok=True)
        volumes = prepare(images[chosen], self.config)
        difference = export.write_onnx(folder / "model.onnx", member.build(), volumes)
        card.write_documents(folder, member, self.class_names, self.test_scores)
        return results.Exported(folder, difference, len(chosen))

    def save_weights(self, folder: str | Path) -> None:
        """Writes the run in the form of the shipped models, with the scores of its test split.

        Args:
            folder: The folder to make, such as `weights/adrenalmnist3d_28`.
        """
        member = self.only_member("saved")
        pretrained.save(as_path(folder), member, self.class_names, self.test_scores)


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
