"""What a report says about a run."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.sources import load_dataset
from lmttm.evaluation import metrics
from lmttm.runs import pages
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.results import Calibrated, Scores
from tests.conftest import TINY


@pytest.mark.parametrize("names", [("one",), ("one", "two")])
@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_report_names_data_model_protocol_and_commands(monkeypatch, tmp_path, names, keep):
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 8, "val": 4, "test": 6})
    overrides = [*TINY, f"train.keep={keep}", f"output_dir={tmp_path}"]
    overrides += ["augment.flip_axes=D,H", "augment.shift=2"]
    members = [
        Checkpoint(
            load_config("demo.json", [*overrides, f"seed={seed}", f"train.name={name}"]),
            *({}, 7, {}, {}, {}),
        )
        for seed, name in enumerate(names)
    ]
    dataset = load_dataset(members[0].config)
    labels = dataset.splits["val"].labels.numpy()
    found = {"dataset": dataset.name, "split": "val", **metrics.score(labels, np.eye(2)[labels])}
    found |= {"runs": list(names)}
    found |= {"interval": metrics.intervals(labels, np.eye(2)[labels], 10)}
    calibrated = Calibrated(
        {"temperature": [2.0, 1.0][: len(names)], "ece": 0.1, "ece_uncalibrated": 0.2}
        | {"kept_at_1": [None, "too few"][: len(names)]},
        np.eye(2)[labels],
    )
    rates = {"sensitivity": 0.75, "specificity": None}
    threshold = {"rule": "youden", "value": 0.3, "val": rates}
    scores = Scores(
        *(found, labels, np.eye(2)[labels], dataset.class_names),
        calibrated=calibrated,
        threshold=threshold,
    )
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").touch()
    html = pages.report(scores, dataset, members, names, tmp_path, Figure())
    for text in (
        *("8 train, 4 val, 6 test", "lmttm, 4 x 2 memory tokens, dim 16", "All 4 volumes"),
        *(
            " + ".join(names),
            "28^3",
            "val #",
            "--split val",
            "2.000, fitted on the validation split, the calibration error is 0.100"
            if len(names) == 1
            else "The temperature of two stays 1: too few.",
            "threshold 0.300",
            "sensitivity 0.750",
            "flip_axes D H, shift 2",
        ),
    ):
        assert text in html
    assert ("best validation AUC" in html) == (keep == "best")
    assert ("mean of 2 runs" in html) == ("--runs one two" in html) == (len(names) == 2)
    assert html.count(f"python train.py {tmp_path}") == len(names)
    shipped = pages.report(scores, dataset, members[:1], ["shipped"], tmp_path, Figure())
    assert "python predict.py shipped --split val" in shipped
    assert "python train.py" not in shipped


def test_the_report_of_several_folds_says_who_scored_a_volume(monkeypatch, tmp_path):
    """Guards against out-of-fold predictions that are called the mean of all runs."""
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 8, "val": 4, "test": 6})
    out = tmp_path / "my runs"
    members = [
        Checkpoint(
            load_config("demo.json", [*TINY, f"output_dir={out}", "folds=2", f"fold={fold}"]),
            *({}, 7, {}, {}, {}),
        )
        for fold in range(2)
    ]
    dataset = load_dataset(members[0].config)
    (out / "f 0").mkdir(parents=True)
    (out / "f 0" / "config.json").touch()
    for split, said in (("val", "by the one run that was not trained"), ("test", "mean of 2 runs")):
        labels = dataset.splits[split].labels.numpy()
        found = {"dataset": dataset.name, "split": split}
        found |= metrics.score(labels, np.eye(2)[labels])
        scores = Scores(found, labels, np.eye(2)[labels], dataset.class_names)
        html = pages.report(scores, dataset, members, ["f 0", "f1"], out, Figure())
        assert said in html
        assert ("are the mean of" in html) == (split == "test")
        assert "--runs &#39;f 0&#39; f1" in html  # to be typed as it stands
        assert f"python train.py &#39;{out}/f 0/config.json&#39;" in html
