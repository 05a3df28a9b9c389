"""A labelled set that a run has never seen."""

from dataclasses import replace

import numpy as np
import pytest

import lmttm
import predict
from lmttm.data import phantoms
from lmttm.data.own import seen_before
from lmttm.errors import InputError
from lmttm.runs.agreement import with_volume
from lmttm.runs.external import predict_external
from tests.conftest import TINY


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    former, phantoms.SPLITS = phantoms.SPLITS, {"train": 24, "val": 12, "test": 10}
    lmttm.train(lmttm.load_config("demo.json", [*TINY, f"output_dir={folder}", "device=cpu"]))
    yield lmttm.open_run(folder / "demo")
    phantoms.SPLITS = former


@pytest.fixture
def other(run, tmp_path):
    """The run's own test split, as files in a table without a split."""
    split = run.dataset(("test",)).splits["test"]
    rows = ["path,label"]
    for number, (image, label) in enumerate(zip(split.images, split.labels.tolist(), strict=True)):
        np.save(tmp_path / f"{number}.npy", image.numpy().astype(np.float32) / 255)
        rows.append(f"{number}.npy,{run.class_names[label]}")
    (tmp_path / "data.csv").write_text("\n".join(rows))
    return tmp_path


def test_an_external_validation_is_the_score_of_its_scans(run, other, capsys):
    """Guards against a set that can be classified, but not scored."""
    external, own = run.validate(other), run.score("test")
    assert (run.external_folder(other) / "metrics.json").is_file()
    np.testing.assert_allclose(external.probabilities, own.probabilities, atol=1e-7)
    assert external.labels.tolist() == own.labels.tolist()
    assert external.metrics["auc"] == own.metrics["auc"]
    table = run.folder / "external" / other.name / "predictions.csv"
    assert "9.npy" in table.read_text()
    assert predict.main([str(run.folder), "--data", str(other)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{other.name}, all scans, 10 volumes\n")
    report = (run.external_folder(other) / "report.html").read_text()
    assert "All 10 volumes of the set were scored once" in report
    assert "<td>10 scans</td>" in report
    assert "all split" not in report
    assert predict.main([str(run.folder), "--data", str(other), "--calibrate"]) == 2


def test_a_label_that_is_no_class_of_the_run_is_named(run, other):
    table = other / "data.csv"
    table.write_text(table.read_text() + "\n3.npy,something else\n")
    with pytest.raises(InputError, match=r"line 12: the label something else is no class"):
        predict_external(run, other)


@pytest.mark.parametrize("labels", ["ab", "01"])
def test_a_run_that_stored_no_names_of_classes_scores_no_others(run, other, labels):
    """Guards against the words of another set taken for the classes of a run, by their alphabet.

    So it was with runs of earlier versions and with shipped weights, which store no names.
    """
    member = replace(
        run.members[0], config=run.members[0].config.model_copy(update={"class_names": []})
    )
    unnamed = replace(run, members=(member,))
    assert unnamed.validate(other).labels.tolist() == run.validate(other).labels.tolist()
    table = other / "data.csv"
    for name, label in zip(run.class_names, labels, strict=True):
        table.write_text(table.read_text().replace(name, label))
    with pytest.raises(InputError, match=r"10 faults:(.|\n)* is no class of the run") as caught:
        predict_external(unnamed, other)
    assert run.class_names[0] in str(caught.value)


def test_places_that_contradict_the_run_are_refused_and_missing_ones_noted(run, other, caplog):
    """Guards against scores of regions for a run of whole volumes, and the other way round."""
    table = other / "data.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([f"{header},extent", f"{rows[0]},20", *rows[1:]]))
    message = "line 2: extent must be empty, as the run takes all scans with volume.extent=null"
    with pytest.raises(InputError, match=message):
        predict_external(run, other)
    volume = run.config.volume.model_copy(update={"extent": "table"})
    placed = replace(run, members=(with_volume(run.members[0], volume),))
    predict_external(placed, other)
    assert "9 of 10 cases have no place of their own, as scans of the training had" in caplog.text


def test_what_the_training_left_open_holds_for_an_external_set(run, other):
    """Guards against `--data other/ --window 0,90` that ignores the window."""
    darker = lmttm.open_run(run.folder, ["volume.window=0,0.4"])
    scores = darker.validate(other)
    answers = darker.predict([other / f"{number}.npy" for number in range(10)])
    expected = [list(row["probabilities"].values()) for row in answers.rows]
    np.testing.assert_allclose(scores.probabilities, expected, atol=1e-6)
    assert not np.allclose(scores.probabilities, run.validate(other).probabilities, atol=1e-3)


def test_scans_of_the_training_are_no_external_validation(tmp_path, caplog):
    """Guards against a set that the run was trained on, scored as if it had never seen it."""
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for number in range(30):
        np.save(tmp_path / f"{number}.npy", rng.integers(0, 256, (28, 28, 28), dtype=np.uint8))
        rows.append(f"{number}.npy,{'ab'[number % 2]},{('train', 'val', 'test')[number // 10]}")
    (tmp_path / "data.csv").write_text("\n".join(rows))
    options = [f"dataset_name={tmp_path}/", f"cache={tmp_path / 'cache'}", "device=cpu"]
    config = lmttm.load_config("demo.json", [*TINY, *options, f"output_dir={tmp_path / 'runs'}"])
    lmttm.train(config)
    run = lmttm.open_run(tmp_path / "runs" / "demo")
    other = tmp_path / "other"
    other.mkdir()
    for number in (3, 14, 25):  # of each split
        (other / f"x{number}.npy").write_bytes((tmp_path / f"{number}.npy").read_bytes())
    table = "path,label\nx25.npy,b\n"
    (other / "data.csv").write_text(f"{table}../24.npy,a\n")
    caplog.clear()
    predict_external(run, other)
    assert caplog.text == ""
    (other / "data.csv").write_text(f"{table}x14.npy,a\nx3.npy,b\n")
    predict_external(run, other)
    assert "2 of 3 scans were in the training or validation of demo, such as x14.npy" in caplog.text
    assert seen_before(other, run.config) == ["x14.npy", "x3.npy"]
    placed = run.config.volume.model_copy(update={"extent": "table"})  # which its table is not
    moved = run.config.model_copy(update={"volume": placed})
    assert seen_before(other, moved) == ["x14.npy", "x3.npy"]
    (tmp_path / "data.csv").unlink()
    assert seen_before(other, run.config) == []
