"""predict.py and explain.py with --input cases.csv, end to end: a list of cases without labels."""

import codecs
import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import predict
from lmttm.data import phantoms
from lmttm.runs.explainer import _VIEWS
from lmttm.runs.results import Explained
from tests.scripts.commands import refused, tool

LIST = "path,patient,ward\np1/t1.npy,P01,3\n{folder}/p2.npy,P02,\n../beside/p3.npy,P01,1\n"


@pytest.fixture
def table(tmp_path):
    """A list of three cases in a folder of other files: beside it, outside of it, absolute."""
    home = tmp_path / "lists"
    for number, name in enumerate(("lists/p1/t1.npy", "lists/p2.npy", "beside/p3.npy")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, phantoms.generate(1, number)[0][0])
    (home / "old.csv").write_text("path\nlost.npy\n")
    (home / "notes.txt").write_text("none")
    (home / "cases.csv").write_text(LIST.format(folder=home))
    return home / "cases.csv"


def rows_of(run_dir):
    with (run_dir / "inputs" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_cases_are_answered_by_their_names_in_the_table(run_dir, table, capsys):
    """Guards against answers that cannot be joined to the list, and against others' answers."""
    home = table.parent
    scans = [str(home / name) for name in ("p1/t1.npy", "p2.npy", "../beside/p3.npy")]
    assert predict.main([str(run_dir), "--input", *scans]) == 0
    expected = [row | {"path": "", "patient": ""} for row in rows_of(run_dir)]
    assert "patient" not in rows_of(run_dir)[0]
    assert predict.main([str(run_dir), "--input", str(table), "device=cpu"]) == 0
    rows = rows_of(run_dir)
    assert [row["path"] for row in rows] == ["p1/t1.npy", str(home / "p2.npy"), "../beside/p3.npy"]
    assert [row["patient"] for row in rows] == ["P01", "P02", "P01"]
    assert "ward" not in rows[0]
    assert [row | {"path": "", "patient": ""} for row in rows] == expected
    answers = json.loads((run_dir / "inputs" / "predictions.json").read_text())
    assert [row["path"] for row in answers] == [row["path"] for row in rows]
    assert answers[0]["patient"] == "P01"
    captured = capsys.readouterr()
    assert "p1/t1.npy" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    "form", ["bom", "utf-16", "windows", "semicolons", "tabs", "quotes", "sep"]
)
def test_a_table_as_a_spreadsheet_writes_it(form, run_dir, table):
    """What labelled tables may look like, a list of cases may as well."""
    text = table.read_text()
    (table.parent / "p2.npy").rename(table.parent / "p2, second visit; a.npy")
    text = text.replace(f"{table.parent}/p2.npy", '"p2, second visit; a.npy"')
    if form in ("semicolons", "tabs", "sep"):
        cells = list(csv.reader(text.splitlines()))
        mark = {"semicolons": ";", "tabs": "\t", "sep": ";"}[form]
        text = "\n".join(mark.join(f'"{cell}"' for cell in row) for row in cells)
        text = f"sep=;\n{text}" if form == "sep" else text
    if form == "quotes":
        text = re.sub(r"^([^,\"]+),", r'"\1",', text, flags=re.M)
    content = text.replace("\n", "\r\n" if form == "windows" else "\n").encode()
    content = codecs.BOM_UTF8 + content if form == "bom" else content
    table.write_bytes(text.encode("utf-16") if form == "utf-16" else content)
    assert predict.main([str(run_dir), "--input", str(table)]) == 0
    names = [row["path"] for row in rows_of(run_dir)]
    assert names == ["p1/t1.npy", "p2, second visit; a.npy", "../beside/p3.npy"]


def test_a_label_is_no_help_and_no_error(run_dir, table, capsys):
    """Guards against a prediction that follows the label, and a list that its label spoils."""
    assert predict.main([str(run_dir), "--input", str(table)]) == 0
    expected = rows_of(run_dir)
    header, *rows = table.read_text().splitlines()
    labels = ("no class of the run", "", "0")
    lines = [f"{row},{label}" for row, label in zip(rows, labels, strict=True)]
    table.write_text("\n".join([f"{header},label", *lines]))
    capsys.readouterr()
    assert predict.main([str(run_dir), "--input", str(table)]) == 0
    assert rows_of(run_dir) == expected
    err = capsys.readouterr().err
    assert (
        err == f"WARNING: the labels of {table} are not used; --data FOLDER scores those of a set\n"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cases.csv cannot be read: No such file or directory"),
        ("", "must have the column path and at least one row, got the columns (none) and 0 rows"),
        ("path,patient\n", "at least one row, got the columns path,patient and 0 rows"),
        ("file\np2.npy\n", "must have the column path and at least one row, got the columns file"),
        ("path,patient\np2.npy,P2\n,P3\n", "cases.csv, line 3: path must not be empty"),
        (
            "path\np2.npy\np1/t1.npy\n./p2.npy\n",
            "line 4: ./p2.npy is the case of cases.csv, line 2",
        ),
        ("path\nlost.npy\np2.npy\ngone.npy\n", "2 faults:\n- cases.csv, line 2: "),
        (
            "path,path_2\np2.npy,p1/t1.npy\n",
            "takes the columns path for each case, got path,path_2",
        ),
        ("path,extent\np2.npy,40\n", "line 2: extent must be empty, as the run takes all scans"),
        ("path,path\np2.npy,p2.npy\n", "has the column path twice"),
        (
            "path\na,p2.npy\n",
            "line 2: got 2 cells for 1 column; put a text with a comma in double",
        ),
        ("path\np2\0.npy\n", "is not a text file in UTF-8; save it as CSV UTF-8"),
        ("path\nbös.npy\n".encode("latin-1"), "is not a text file in UTF-8"),
        (b"PK\x03\x04xl/workbook.xml", "is a spreadsheet; save it as CSV UTF-8"),
        ('path\n"p2.npy\n', "cases.csv cannot be read: unexpected end of data"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_message(content, told, run_dir, table, capsys):
    """Nothing is predicted or written before all of a table is known to be right."""
    if content is None:
        table.unlink()
    else:
        table.write_bytes(content if isinstance(content, bytes) else content.encode())
    for main in (predict.main, tool("explain").main):
        assert told in refused(main, [str(run_dir), "--input", str(table)], capsys)
    assert not (run_dir / "inputs").exists()
    assert not (run_dir / "explain").exists()


def test_a_table_is_given_alone(run_dir, table, capsys):
    """Guards against two cases that one name in two tables would make one."""
    for others in ([table], [table.parent / "old.csv"], [table.parent / "p2.npy"], [table.parent]):
        argv = [str(run_dir), "--input", str(table), *map(str, others)]
        told = refused(predict.main, argv, capsys)
        assert told == f"error: a table of cases must be given alone, got {table} and 1 more"
    assert not (run_dir / "inputs").exists()


def test_a_workbook_is_told_what_to_save(run_dir, table, capsys):
    """Guards against "is not a NIfTI file" for a list that was saved as it was opened."""
    workbook = table.with_suffix(".xlsx")
    workbook.write_bytes(b"PK\x03\x04xl/workbook.xml")
    told = refused(predict.main, [str(run_dir), "--input", str(workbook)], capsys)
    assert told == f"error: {workbook} is a spreadsheet; save it as CSV UTF-8"


def test_a_damaged_scan_stops_none_of_the_others(run_dir, table, capsys):
    (table.parent / "p2.npy").write_bytes(b"damaged")
    assert predict.main([str(run_dir), "--input", str(table)]) == 1
    assert [row["patient"] for row in rows_of(run_dir)] == ["P01", "P01"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: cases.csv, line 3: {table.parent / 'p2.npy'} cannot be read")


def test_a_case_unlike_the_training_is_named_by_its_line(table, capsys):
    """Shipped weights refuse one of a list, and answer for the others."""
    np.save(table.parent / "p2.npy", np.full((28, 28, 28), 250, np.uint8))
    folder = table.parent.parent
    argv = ["phantommnist3d_28", "--input", str(table), f"output_dir={folder}"]
    assert predict.main(argv) == 1
    assert len(rows_of(folder / "phantommnist3d_28")) == 2
    told = f"error: cases.csv, line 3: {table.parent / 'p2.npy'} is unlike the volumes"
    assert capsys.readouterr().err.startswith(told)


def test_a_table_in_the_working_folder_and_at_home(run_dir, table, monkeypatch):
    """Guards against rows that are relative to the working folder, or to nothing."""
    monkeypatch.chdir(table.parent)
    assert predict.main([str(run_dir), "--input", "cases.csv"]) == 0
    here = rows_of(run_dir)
    monkeypatch.chdir(table.parent.parent)
    monkeypatch.setenv("HOME", str(table.parent))
    assert predict.main([str(run_dir), "--input", "~/cases.csv"]) == 0
    assert rows_of(run_dir) == here


def test_names_that_a_terminal_and_a_table_must_survive(run_dir, table, capsys):
    """Guards against a line feed or a command for the terminal out of a cell."""
    odd = table.parent / "two\nlines \x1b[31m.npy"
    (table.parent / "p2.npy").rename(odd)
    table.write_text(f'path,patient\n"{odd.name}","P\n\x1b[31m1"\n"=cmd()",\n')
    (table.parent / "=cmd()").write_bytes(b"no scan")
    assert predict.main([str(run_dir), "--input", str(table)]) == 1
    (row,) = rows_of(run_dir)
    assert row["path"] == "two\\nlines \\x1b[31m.npy"
    assert row["patient"] == "P\\n\\x1b[31m1"
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "cases.csv, line 5: " in captured.err


def test_each_case_of_a_table_is_explained(run_dir, table, capsys):
    (table.parent / "p2.npy").write_bytes(b"damaged")
    assert tool("explain").main([str(run_dir), "--input", str(table)]) == 1
    captured = capsys.readouterr()
    assert captured.out.count("written to ") == 2
    assert captured.err.startswith("error: cases.csv, line 3: ")
    pages = {path.name for path in (run_dir / "explain").glob("*.html")}
    assert pages == {"p1-t1.html", "beside-p3.html"}


def test_what_holds_for_all_cases_is_said_once_and_fits_a_terminal(monkeypatch, capsys):
    """Guards against a line of 130 columns for each case, always the same one."""
    note, odd = _VIEWS.format("mirrored and turned"), f"its mean intensity is 250, {'far ' * 20}off"

    def explained(name):
        title = f"{name}: predicted normal (90 %)"
        return Explained(title, None, [Path(f"explain/{name}.html")], (odd,), (note,))

    run = SimpleNamespace(explain_table=lambda table: iter(map(explained, ("one", "two"))))
    monkeypatch.setattr("lmttm.open_run", lambda *_: run)
    assert tool("explain").main(["runs/demo", "--input", "cases.csv"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    said = " ".join(out.split())
    assert said.count(note) == 1
    assert said.count(f"warning: {odd}") == 2
    assert said.startswith(f"one: predicted normal (90 %) warning: {odd} {note} written to explain")


def test_the_cases_of_a_table_are_shown_before_a_training(table, tmp_path, capsys):
    """A case that is in the table but not on the disk is missed here as well."""
    picture = tmp_path / "prepared.png"
    argv = ["base.json", "--output", str(picture), str(table)]
    assert tool("prepare").main(argv) == 0
    assert "p1/t1.npy: nothing remarkable" in capsys.readouterr().out
    assert picture.is_file()
    (table.parent / "p2.npy").unlink()
    assert "p2.npy is not there" in refused(tool("prepare").main, argv, capsys)
