"""What a run found, read back from the files that it becomes."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from lmttm.data.dataset import Split
from lmttm.data.placement import Placement
from lmttm.data.scan import Grid
from lmttm.data.tables import Entry
from lmttm.evaluation.explanation import Explanation
from lmttm.report.explain_page import ExplainedVolume, HeatMap
from lmttm.runs import results
from tests.report.made import explained_by_maps

CLASSES = ("normal", 'other, "quoted"')


@pytest.fixture
def scored():
    """Scores of five volumes, the last of which is misclassified."""
    import torch

    second = np.array([0.1, 0.2, 0.9, 0.8, 0.3])
    labels = np.array([0, 0, 1, 1, 1])
    images = torch.arange(5 * 8, dtype=torch.uint8).repeat_interleave(64).view(5, 8, 8, 8)
    found = {
        "dataset": "data/Some/",
        "runs": ["a", "b"],
        "acc": 0.8,
        "interval": {"acc": [0.4, 1.0], "auc": None},
    }
    scores = results.Scores(found, labels, np.stack([1 - second, second], axis=1), CLASSES)
    return scores, Split("val", images, torch.from_numpy(labels))


@pytest.mark.pictures
def test_scores_become_metrics_predictions_and_pictures(scored, tmp_path):
    scores, split = scored
    folder = tmp_path / "run" / "val"
    results.write_scores(folder, scores, split)
    assert json.loads((folder / "metrics.json").read_text()) == scores.metrics
    with (folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["label"]) for row in rows] == scores.labels.tolist()
    assert [int(row["prediction"]) for row in rows] == [0, 0, 1, 1, 0]
    for name in ("scores.png", "wrong.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 100
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


def test_scores_are_written_again_over_the_former_ones(scored, tmp_path):
    """A second `predict.py` must not leave files of two predictions side by side."""
    scores, split = scored
    for acc in (0.5, 0.8):
        scores.metrics["acc"] = acc
        results.write_scores(tmp_path / "val", scores, split)
    names = {path.name for path in (tmp_path / "val").iterdir()}
    assert names == {"metrics.json", "predictions.csv", "scores.png", "wrong.png"}
    assert json.loads((tmp_path / "val" / "metrics.json").read_text())["acc"] == 0.8


def test_an_answer_names_the_most_probable_class():
    row = results.answer(Entry((), ("a.nii",)), np.array([0.25, 0.75]), CLASSES, ["odd"])
    assert row == {
        "path": "a.nii",
        "prediction": CLASSES[1],
        "probabilities": {CLASSES[0]: 0.25, CLASSES[1]: 0.75},
        "warnings": ["odd"],
    }


def test_answers_become_two_tables(tmp_path):
    rows = [results.answer(Entry((), ("a, b.nii",)), np.array([0.25, 0.75]), CLASSES, [])]
    results.write_answers(tmp_path / "new" / "inputs", results.Answers(rows, {}, CLASSES))
    folder = tmp_path / "new" / "inputs"
    assert json.loads((folder / "predictions.json").read_text()) == rows
    with (folder / "predictions.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["path"], row["prediction"], row[CLASSES[1]]) == ("a, b.nii", CLASSES[1], "0.75")


@pytest.mark.pictures
@pytest.mark.parametrize(("label", "title"), [(0, "label normal, "), (None, "")])
@pytest.mark.parametrize("placed", [True, False])
def test_an_explanation_becomes_a_page_pictures_and_a_heat_map(tmp_path, label, title, placed):
    rng = np.random.default_rng(0)
    maps = rng.random((6, 4, 4, 4))
    explanation = Explanation(
        probabilities=np.array([0.3, 0.7]),
        running=rng.dirichlet([1, 1], 2),
        token_attention=maps,
        attention=maps.mean(axis=0),
        shares=rng.dirichlet([1, 1, 1, 1], 2),
        without_step=rng.dirichlet([1, 1], 2),
        without_unit=rng.dirichlet([1, 1], 3),
        step_effects=rng.normal(size=2),
        unit_effects=rng.normal(size=3),
    )
    volume = rng.integers(0, 256, (4, 4, 4), dtype=np.uint8)
    said = {"warnings": ["too bright"], "notes": ["predict.py averages"]}
    heat = HeatMap("heat", "Where", "attention", maps[1], maps[0])
    shown = ExplainedVolume(volume[None], explanation, [heat], [(0, 1), (2, 3)], CLASSES, **said)
    place = Placement(Grid((8, 8, 8), np.eye(4)), np.diag([0.5, 0.5, 0.5, 1])) if placed else None
    found = results.write_explanation(tmp_path / "explain", "test-3", shown, label, place, "cmd")
    assert found.title == f"test-3: {title}predicted {CLASSES[1]} (70 %)"
    assert found.explanation is explanation
    assert found.text.splitlines()[:3] == [
        found.title,
        "warning: too bright",
        "predict.py averages",
    ]
    names = ["test-3.html", "test-3.png", "test-3-tokens.png", "test-3.gif"]
    names += ["test-3-heat.nii.gz"] if placed else []
    assert [path.name for path in found.files] == names
    assert all(path.is_file() for path in found.files)
    for path in found.files[1:4]:
        with Image.open(path) as picture:
            assert min(picture.size) > 50


def test_an_explanation_without_steps_becomes_a_page_a_picture_and_a_heat_map_each(tmp_path):
    shown = explained_by_maps(edge=8)
    place = Placement(Grid((8, 8, 8), np.eye(4)), np.eye(4))
    found = results.write_explanation(tmp_path / "explain", "mine", shown, None, place, "cmd")
    assert found.explanation is shown.found
    names = ["mine.html", "mine.png", "mine-occlusion.nii.gz", "mine-grad-cam.nii.gz"]
    assert [path.name for path in found.files] == names
    assert all(path.is_file() for path in found.files)
