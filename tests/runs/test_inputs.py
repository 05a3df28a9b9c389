"""Answers for scans of the user: probabilities, stored decisions, warnings."""

import json

import numpy as np
import pytest
import torch

import lmttm
from lmttm.data import phantoms
from lmttm.data.dataset import Split
from lmttm.evaluation.threshold import choose, rates
from lmttm.runs import predictor


@pytest.mark.parametrize("names", [["a"], ["a", "b"]], ids=["one run", "two runs"])
def test_a_threshold_is_chosen_on_validation_and_used_with_scans(
    trained, names, tmp_path, plausible
):
    run = lmttm.open_run(trained / "a", names=names)
    dataset = run.dataset()
    seen, scored = (
        predictor.predict(run.members, dataset.splits[name], run.user).probabilities()
        for name in ("val", "test")
    )
    expected = choose(dataset.splits["val"].labels.numpy(), seen, "sensitivity=0.8")
    np.save(tmp_path / "scan.npy", phantoms.generate(1, 0)[0][0])
    options = {"calibrate": True, "threshold": "sensitivity=0.8"}
    scores = run.score("test", **options)
    assert scores.threshold["value"] == expected.value
    labels = dataset.splits["test"].labels.numpy()
    assert scores.threshold["test"] == rates(labels, scored, expected.value)
    assert json.loads((run.folder / "test" / "threshold.json").read_text()) == scores.threshold

    answers = run.predict([tmp_path / "scan.npy"], **options)
    (row,) = answers.rows
    assert answers.threshold == expected
    assert answers.temperatures == scores.calibrated.metrics["temperature"]
    second = row["probabilities"][run.class_names[1]]
    assert row["at_threshold"] == run.class_names[int(second >= expected.value)]
    volume = torch.from_numpy(phantoms.generate(1, 0)[0])
    split = Split("inputs", volume, torch.zeros(1, dtype=torch.int64))
    each = predictor.predict(run.members, split, run.user)
    scaled = each.probabilities(answers.temperatures)
    np.testing.assert_allclose(list(row["calibrated"].values()), scaled[0], atol=1e-6)
    assert row["probabilities"] == run.predict([tmp_path / "scan.npy"]).rows[0]["probabilities"]
    with pytest.raises(lmttm.InputError, match=r"was chosen by sensitivity=0.8"):
        run.predict([tmp_path / "scan.npy"], threshold="youden")


def test_scans_are_classified_without_printing(trained, tmp_path, capsys):
    volume = phantoms.generate(1, 0)[0][0]
    np.save(tmp_path / "scan.npy", volume)
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    run = lmttm.open_run(trained / "a")
    answers = run.predict([tmp_path / "scan.npy", tmp_path / "broken.npy"])
    assert [row["path"] for row in answers.rows] == [str(tmp_path / "scan.npy")]
    assert list(answers.failures) == [str(tmp_path / "broken.npy")]
    assert capsys.readouterr() == ("", "")
    alone = run.explain(tmp_path / "scan.npy").explanation.probabilities
    np.testing.assert_allclose(list(answers.rows[0]["probabilities"].values()), alone, atol=1e-5)
