"""The tables of a sweep: means over runs, and what a run said about its volumes."""

import numpy as np

from lmttm.report.prediction_csv import predictions_csv
from lmttm.sweeps.differences import Said
from lmttm.sweeps.tables import predictions_in, to_markdown


def row(kind, seed, auc):
    scores = {"val_auc": auc, "val_acc": 0.5, "val_balanced_acc": 0.5}
    rest = {"parameters": 1, "gflop": 1.0, "seconds_per_epoch": 1.0}
    return {"trial": f"{kind}{seed}", "kind": kind, "seed": seed, **scores, **rest}


def test_means_stand_with_their_deviation_and_the_best_is_bold():
    def predictions(trial, split):
        return Said(np.array([0, 1, 0, 1]), np.full((4, 2), 0.5))

    rows = [row("a", s, 0.6 + s / 10) for s in range(3)]
    rows += [row("b", s, 0.65 + s / 10) for s in (2, 1, 0)]
    table = to_markdown(rows, ["kind"], ["val"], predictions)
    assert "| a | 3 | 0.700 ± 0.100 |" in table
    assert "| b | 3 | **0.750 ± 0.100** |" in table
    assert "| b | a | +0.050 | +0.050 to +0.050 | 3 seeds only | +0.000 |" in table


def test_predictions_are_read_as_they_were_written(tmp_path):
    labels, chances = [0, 2, 1], np.random.default_rng(0).dirichlet([1, 1, 1], 3)
    folder = tmp_path / "a-s0" / "test"
    folder.mkdir(parents=True)
    named = {"class_names": ("a", "b, c", "d"), "paths": ["x", "y", "z"]}
    text = predictions_csv(labels, [0, 0, 0], chances.tolist(), **named)
    (folder / "predictions.csv").write_text(text)
    found = predictions_in(tmp_path)("a-s0", "test")
    assert found[0].tolist() == labels
    np.testing.assert_allclose(found[1], chances, atol=1e-14)
    assert found.patients is None
    text = predictions_csv(labels, [0, 0, 0], chances.tolist(), **named, patients=["p", "", "p"])
    (folder / "predictions.csv").write_text(text)
    assert predictions_in(tmp_path)("a-s0", "test").patients == ["p", "", "p"]


def test_the_order_of_sure_answers_is_kept(tmp_path):
    """Guards against an AUC of averaged predictions with ties that the runs did not have."""
    logits = np.array([19.0, 20.0, 22.0, 24.0])
    chances = 1 / (1 + np.exp(-logits))
    text = predictions_csv([0, 0, 1, 1], [1] * 4, np.stack([1 - chances, chances], 1).tolist())
    (tmp_path / "a" / "val").mkdir(parents=True)
    (tmp_path / "a" / "val" / "predictions.csv").write_text(text)
    found = predictions_in(tmp_path)("a", "val").probabilities[:, 1]
    assert (np.diff(found) > 0).all()
