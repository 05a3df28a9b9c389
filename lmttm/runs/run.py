"""A trained run, opened: it scores splits, classifies scans, explains and exports.

run = lmttm.open_run("runs/demo")
scores = run.score("test")
answers = run.predict(["scan.nii.gz"])
run.explain(index=3)
run.export()
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from lmttm.config.paths import as_path
from lmttm.data.cases import Given
from lmttm.data.dataset import prepare
from lmttm.errors import InputError
from lmttm.runs import card, export, pretrained, results
from lmttm.runs.explainer import Explainer
from lmttm.runs.explaining import explain_index, explain_path, explain_table
from lmttm.runs.inputs import answer_inputs
from lmttm.runs.scoring import score_external, score_split
from lmttm.runs.trained import Trained

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
                split scored with it as well. The scores without it stay what they are. Where the
                validation split has too little to fit one, it stays 1, with a warning.
            threshold: `youden` or `sensitivity=0.9`: a threshold for the second of two classes
                that is chosen on the validation split, stored, and reported beside 0.5.
            progress: Whether progress bars are shown.

        Returns:
            The scores.

        Raises:
            InputError: The validation split has too little to choose a threshold, or is itself
                the split to be scored.
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
                of the table's columns: a list, or a text with commas between. Or a table of
                cases alone, a CSV file with the columns of `lmttm.data.tables`.
            calibrate: Whether calibrated probabilities stand beside the others, with the
                temperature that `score(calibrate=True)` has stored.
            threshold: The rule of the threshold that `score(threshold=...)` has stored: the
                class by it stands beside the most probable one.
            progress: Whether progress bars are shown.

        Returns:
            An answer for each case that could be read, and an error for each other. Shipped
            weights also refuse scans that are unlike their training volumes.

        Raises:
            InputError: No temperature or threshold is stored for these weights, or a table or
                rows of it cannot be used; nothing is written then.
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
            path: A case of your own, as for `predict`, or a table of one; or
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
        if path is not None:
            return explain_path(self, path)
        return explain_index(self, index or 0, split)

    def explain_table(self, table: str | Path) -> Iterator[results.Explained | InputError]:
        """Explains the answers for the cases of a table, as `explain` does for one.

        Args:
            table: As for `predict`.

        Returns:
            For each case, when it is its turn, the explanation, or why there is none.

        Raises:
            InputError: The table or rows of it cannot be used, or as for `explain`.
        """
        self.only_member("explained")
        return explain_table(self, as_path(table))

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
        card.write_documents(folder, member, self.class_names, self.test_scores, self.notices)
        return results.Exported(folder, difference, len(chosen))

    def save_weights(self, folder: str | Path) -> None:
        """Writes the run in the form of the shipped models, with the scores of its test split.

        Args:
            folder: The folder to make, such as `weights/adrenalmnist3d_28`.

        Raises:
            InputError: There are several runs, or the training has not ended.
        """
        member = self.only_member("saved")
        for sentence in self.notices:
            raise InputError(f"only a finished run can be saved, but {sentence}")
        pretrained.save(as_path(folder), member, self.class_names, self.test_scores)
