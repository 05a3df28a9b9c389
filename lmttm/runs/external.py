"""A labelled set that a run has never seen, prepared as its training settled it."""

from pathlib import Path

from lmttm.data.dataset import Dataset
from lmttm.data.own import load_external
from lmttm.runs.predictor import Prediction, predict, with_user
from lmttm.runs.trained import Trained

SPLIT = "all"


def predict_external(
    run: Trained, folder: Path, *, progress: bool = False
) -> tuple[Dataset, Prediction]:
    """Predicts all scans of a folder of tables, whatever their split.

    Args:
        run: A run or an ensemble; each member gets the volumes as its own training settled them,
            and as the user completed that.
        folder: The folder of the tables; its labels must be classes of the runs.
        progress: Whether progress bars are shown.

    Returns:
        The data set with the split `all`, and the prediction.

    Raises:
        InputError: Tables or scans cannot be used, or a label is no class of the runs.
    """
    datasets, logits = [], []
    for member in run.members:
        config = with_user(member.config, run.user)
        config = config.model_copy(update={"volume": run.volume or config.volume})
        dataset = load_external(folder, config, SPLIT)
        datasets.append(dataset)
        found = predict([member], dataset.splits[SPLIT], run.user, progress=progress)
        logits.append(found.logits[0])
    return datasets[0], Prediction(tuple(logits))
