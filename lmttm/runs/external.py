"""A labelled set that a run has never seen, prepared as its training settled it."""

from collections.abc import Sequence
from pathlib import Path

from lmttm.config.schema import Config
from lmttm.data.dataset import Dataset
from lmttm.data.own import load_external
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.predictor import Prediction, predict, with_user

SPLIT = "all"


def predict_external(
    members: Sequence[Checkpoint], user: Config, folder: Path, *, progress: bool = False
) -> tuple[Dataset, Prediction]:
    """Predicts all scans of a folder of tables, whatever their split.

    Args:
        members: The runs of an ensemble; each gets the volumes as its own training settled them.
        user: Where and how to compute.
        folder: The folder of the tables; its labels must be classes of the runs.
        progress: Whether progress bars are shown.

    Returns:
        The data set with the split `all`, and the prediction.

    Raises:
        InputError: Tables or scans cannot be used, or a label is no class of the runs.
    """
    datasets, logits = [], []
    for member in members:
        dataset = load_external(folder, with_user(member.config, user), SPLIT)
        datasets.append(dataset)
        logits.append(predict([member], dataset.splits[SPLIT], user, progress=progress).logits[0])
    return datasets[0], Prediction(tuple(logits))
