"""What the page shows of one scan: the answer of predict.py, the explanation, the heat map."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lmttm.data.cases import place_notes
from lmttm.data.dataset import Split
from lmttm.data.placement import Placement, Prepared
from lmttm.data.sources import is_local
from lmttm.errors import InputError
from lmttm.report.explain_page import explain_fragment, viewer_data
from lmttm.report.nifti import heat_nifti
from lmttm.report.sentences import percent
from lmttm.runs.likeness import likeness_warnings, refuse_unlike
from lmttm.runs.predictor import predict
from lmttm.runs.run import Run


@dataclass(frozen=True)
class Example:
    """A volume of the data set that the run was trained on, one click away.

    Attributes:
        name: What its button says.
        volume: `(D H W)` uint8.
    """

    name: str
    volume: np.ndarray


class Answering:
    """A run that answers and explains scans, one after the other.

    Args:
        run: A single run.

    Raises:
        InputError: It is an ensemble, its cases have several scans, or its model has no steps
            and Captum is missing.
    """

    def __init__(self, run: Run) -> None:
        if len(run.members) > 1:
            raise InputError(f"a single run can be served, got {', '.join(run.names)}")
        if (channels := run.config.model.in_channels) > 1:
            raise InputError(
                f"the page takes one file, and {run.names[0]} takes {channels} scans for each "
                "case; use predict.py --input SCAN,SCAN_2"
            )
        self.run = run
        self.explainer = run.explainer()
        self.examples = _examples(run)

    def upload(self, scan: Prepared) -> dict[str, Any]:
        """Answers for a scan that somebody uploaded.

        Args:
            scan: As it was prepared.

        Returns:
            As for a volume.

        Raises:
            InputError: The weights are shipped ones, and the scan is unlike their training
                volumes.
        """
        notes = (*scan.notes, *place_notes(None, self.run.config.volume))
        warnings = likeness_warnings(self.run, scan.volume, notes)
        refuse_unlike(self.run, "this scan", warnings)
        return self(scan.volume, warnings, scan.place)

    def __call__(
        self, volume: np.ndarray, warnings: Sequence[str] = (), place: Placement | None = None
    ) -> dict[str, Any]:
        """Answers for a prepared volume.

        Args:
            volume: `(D H W)` uint8.
            warnings: Where it is unlike the training volumes, as sentences.
            place: Where it lies in its scan; None where there is no scan.

        Returns:
            What JSON can hold: `prediction`, `probabilities` by class as predict.py gives them,
            `warnings`, `html` and `data` for the page, and `heat`, a NIfTI file in base64.
        """
        images = torch.from_numpy(volume)[None]
        split = Split("inputs", images, torch.zeros(1, dtype=torch.int64))
        (row,) = predict(self.run.members, split, self.run.user).probabilities()
        explained = self.explainer(volume, warnings)
        names = self.run.class_names
        heat = None if place is None else heat_nifti(explained.maps[0].heat, place)
        return {
            "prediction": names[int(row.argmax())],
            "probabilities": dict(zip(names, row.tolist(), strict=True)),
            "shown": [[name, percent(value)] for name, value in zip(names, row, strict=True)],
            "warnings": list(explained.warnings),
            "html": explain_fragment(explained),
            "data": viewer_data(explained),
            "heat": None if heat is None else base64.b64encode(heat).decode(),
        }


def _examples(run: Run) -> list[Example]:
    """The first volumes of each class of the test split; none that would be downloaded first."""
    if not is_local(run.config):
        return []
    try:
        split = run.dataset(("test",)).splits["test"]
    except InputError:  # such as a file that was altered
        return []
    found = [
        Example(f"test #{index}: {name}", split.images[index].numpy())
        for label, name in enumerate(run.class_names)
        for index in torch.nonzero(split.labels == label)[:2, 0].tolist()
    ]
    return found[:12]
