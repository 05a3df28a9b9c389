"""A labelled set that a run has never seen, prepared as its training settled it."""

import logging
from pathlib import Path

from lmttm.data.dataset import Dataset
from lmttm.data.own import load_external, seen_before
from lmttm.data.tables import ALL
from lmttm.runs.predictor import Prediction, predict, with_user
from lmttm.runs.trained import Trained

log = logging.getLogger("lmttm")


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
        dataset = load_external(folder, config, ALL, run.class_names)
        datasets.append(dataset)
        found = predict([member], dataset.splits[ALL], run.user, progress=progress)
        logits.append(found.logits[0])
    members = [with_user(member.config, run.user) for member in run.members]
    seen = dict.fromkeys(name for config in members for name in seen_before(folder, config))
    if seen:
        log.warning(
            "%d of %d scans were in the training or validation of %s, such as %s: this is no "
            "external validation",
            *(len(seen), len(datasets[0].splits[ALL]), " + ".join(run.names), next(iter(seen))),
        )
    return datasets[0], Prediction(tuple(logits))
