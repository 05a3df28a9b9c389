"""Explanations and scores for tests of pages, made without a model."""

import numpy as np

from lmttm.evaluation import metrics
from lmttm.evaluation.explanation import Explanation
from lmttm.evaluation.saliency import Saliency
from lmttm.report.explain_page import ExplainedVolume, HeatMap
from lmttm.report.score_figure import scores as draw_scores

HOSTILE = '<img src=x onerror="alert(1)">&{{7*7}}</script>'
CLASSES = ("normal", HOSTILE)
LONG_CLASSES = ("normal", "a class whose name is longer than its column")


def explained(steps=4, units=3, edge=12):
    rng = np.random.default_rng(0)
    maps = rng.random((max(units, 1) * 2, edge, edge, edge))
    running = rng.dirichlet([1, 1], steps)
    found = Explanation(
        probabilities=running[-1],
        running=running,
        token_attention=maps,
        attention=maps.mean(axis=0),
        shares=rng.dirichlet(np.ones(units + 1), steps),
        without_step=rng.dirichlet([1, 1], steps),
        without_unit=rng.dirichlet([1, 1], units).reshape(units, 2),
        step_effects=rng.normal(size=steps),
        unit_effects=rng.normal(size=units),
    )
    slabs = [(s * edge // steps, (s + 1) * edge // steps - 1) for s in range(steps)]
    volume = rng.integers(0, 256, (edge,) * 3, dtype=np.uint8)
    shown = HeatMap("heat", "Where the model attends", "attention", found.attention, maps[0])
    return ExplainedVolume(volume[None], found, [shown], slabs, CLASSES, [f"odd: {HOSTILE}"])


def explained_by_maps(edge=12):
    """As of a model without steps."""
    rng = np.random.default_rng(0)
    one, two, three, four = rng.random((4, edge, edge, edge))
    found = Saliency(
        probabilities=np.array([0.2, 0.8]),
        occlusion=one,
        grad_cam=two,
        cube=((3, 5), (0, 2), (9, 11)),
        cube_effect=2.0,
        without_cube=np.array([0.6, 0.4]),
    )
    maps = [
        HeatMap("occlusion", f"Needs {HOSTILE}", "fall of the log-odds", one, three),
        HeatMap("grad-cam", "Grad-CAM", "activity", two, four),
    ]
    volume = rng.integers(0, 256, (edge,) * 3, dtype=np.uint8)
    return ExplainedVolume(volume[None], found, maps, [], CLASSES)


def report_values(num_classes=2, volumes=40, edge=28, dataset="AdrenalMNIST3D"):
    """Arguments of `report_page`."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, volumes)
    logits = rng.normal(size=(volumes, num_classes)) + np.eye(num_classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores = {
        "dataset": dataset,
        "split": "test",
        **metrics.score(labels, probabilities),
        "interval": {"acc": [0.1, 0.9], "auc": [0.2, 0.8]},
        "ece": 0.05,
    }
    names = [*CLASSES, *(f"class {c}" for c in range(2, num_classes))]
    record = {"train_loss": 1.0, "val_loss": 1.0, "val_auc": 0.5, "val_acc": 0.5, "lr": 1e-3}
    return {
        "title": "some run",
        "facts": {"data set": HOSTILE},
        "protocol": ["scored once"],
        "scores": scores,
        "history": [{"epoch": 1, "best": True, "val_balanced_acc": 0.5, **record}],
        "labels": labels,
        "probabilities": probabilities,
        "images": rng.integers(0, 256, (volumes, edge, edge, edge), dtype=np.uint8),
        "class_names": names,
        "volume_names": [f"{HOSTILE} {index}" for index in range(volumes)],
        "limits": ["one split"],
        "commands": ["python predict.py x.json"],
        "size": 28,
        "score_figure": draw_scores(labels, probabilities, names, title="some run"),
    }


def own_rows():
    """Two volumes of one's own; the name of one holds what CSV must quote."""
    return [
        {
            "path": f"{'deep/' * 12}scan, with comma.nii.gz",
            "prediction": LONG_CLASSES[1],
            "probabilities": dict(zip(LONG_CLASSES, (0.25, 0.75), strict=True)),
            "warnings": ["first", "second"],
        },
        {
            "path": "b.npy",
            "prediction": LONG_CLASSES[0],
            "probabilities": dict(zip(LONG_CLASSES, (1.0, 0.0), strict=True)),
            "warnings": [],
        },
    ]
