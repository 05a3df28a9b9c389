"""Explanations of cases: what their files are called, and the cases of a table."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

import lmttm
from lmttm.data import phantoms
from lmttm.runs.agreement import with_volume
from lmttm.runs.explaining import _called


@pytest.mark.parametrize(
    ("path", "called"),
    [
        ("scan.nii.gz", "scan"),
        ("/data/p1/t1.nii.gz", "p1-t1"),
        ("p2/t1.nii.gz", "p2-t1"),
        ("p2/1.2.840/", "p2-1.2.840"),
        ("../t1.npy", "t1"),
        ("p\n1/$\\frac$.npy", "p\\n1-$\\frac$"),
        (f"p1/{'漢' * 70}.npy", "漢" * 50),
        ("..", "input"),
    ],
)
def test_explanations_of_two_scans_are_two(path, called):
    """Guards against the explanation of a scan that takes the place of another patient's."""
    assert _called(Path(path)) == called


@pytest.fixture
def table(tmp_path):
    """Four cases, of which two are called alike, and one is damaged."""
    for number, name in enumerate(("one/p1/t1.npy", "two/p1/t1.npy", "p2/t1.npy", "p3/t1.npy")):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        np.save(path, phantoms.generate(1, number)[0][0])
    path.write_bytes(b"damaged")
    rows = ["path", "one/p1/t1.npy", "p3/t1.npy", "two/p1/t1.npy", "p2/t1.npy"]
    (tmp_path / "cases.csv").write_text("\n".join(rows))
    return tmp_path / "cases.csv"


def test_each_case_of_a_table_is_explained(trained, table):
    """Guards against a page that takes the place of another case's, and one that ends the rest."""
    run = lmttm.open_run(trained / "a")
    first, second, third, fourth = run.explain_table(table)
    assert isinstance(second, lmttm.InputError)
    assert str(second).startswith("cases.csv, line 3: ")
    assert "p3/t1.npy cannot be read as a volume" in str(second)
    pages = [one.files[0] for one in (first, third, fourth)]
    assert [page.name for page in pages] == ["1-p1-t1.html", "3-p1-t1.html", "4-p2-t1.html"]
    assert f"python tools/explain.py {run.folder} --input {table}" in pages[0].read_text()
    alone = run.explain(table.parent / "two/p1/t1.npy").explanation.probabilities
    np.testing.assert_array_equal(third.explanation.probabilities, alone)


def test_an_explanation_says_that_a_case_lacks_its_place(trained, table):
    """Guards against a heat map of a whole scan for a model of regions, without a word."""
    run = lmttm.open_run(trained / "a")
    volume = run.config.volume.model_copy(update={"extent": "table"})
    placed = dataclasses.replace(run, members=(with_volume(run.members[0], volume),))
    found = placed.explain(table.parent / "p2/t1.npy")
    assert any("it has no extent of its own" in warning for warning in found.warnings)


def test_a_case_alone_is_explained_out_of_its_table(trained, table):
    run = lmttm.open_run(trained / "a")
    with pytest.raises(lmttm.InputError, match=r"cases\.csv must be one case, got a table of 4"):
        run.explain(table)
    table.write_text("path\np2/t1.npy\n")
    assert run.explain(table).files[0].name == "p2-t1.html"
    (one,) = run.explain_table(table)
    assert one.files[0].name == "p2-t1.html"
    shutil.rmtree(table.parent / "two")
    with pytest.raises(lmttm.InputError, match="must be one case, got a folder of 3"):
        run.explain(table.parent)


def test_a_table_is_refused_before_its_first_case_is_explained(trained, table):
    """Guards against an hour of pages before a missing scan is reported."""
    table.write_text(table.read_text() + "\nlost.npy")
    run = lmttm.open_run(trained / "a")
    shutil.rmtree(run.folder / "explain", ignore_errors=True)
    with pytest.raises(lmttm.InputError, match=r"line 6: .*lost\.npy is not there"):
        run.explain_table(table)
    assert not (run.folder / "explain").exists()
    with pytest.raises(lmttm.InputError, match="only a single run can be explained, got a, b"):
        lmttm.open_run(trained / "a", names=["a", "b"]).explain_table(table)
