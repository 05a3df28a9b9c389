"""CSV files of spreadsheets, scripts and editors."""

import pytest

from lmttm.data.cells import cells_of
from lmttm.errors import InputError

ROWS = [(2, {"path": "a.nii", "label": "gutartig"}), (3, {"path": "b.nii", "label": "bösartig"})]
TEXT = "path\tlabel\r\na.nii\tgutartig\r\nb.nii\tbösartig\r\n"


def cells(tmp_path, content):
    (tmp_path / "data.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return cells_of(tmp_path / "data.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_encoding_that_says_what_it_is(encoding, tmp_path):
    """Guards against the "Unicode text" of a spreadsheet being refused."""
    assert cells(tmp_path, TEXT.encode(encoding)).rows == ROWS
    if encoding in ("utf-16", "utf-32"):
        big = ("\ufeff" + TEXT).encode(f"{encoding}-be")
        assert cells(tmp_path, big).rows == ROWS


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("path,label\ra.nii,gutartig\rb.nii,bösartig\r", (2, 3)),  # Excel for the old Mac
        ("sep=;\r\npath;label\r\na.nii;gutartig\r\nb.nii;bösartig\r\n", (3, 4)),
        ("SEP=|\npath|label\na.nii|gutartig\nb.nii|bösartig\n", (3, 4)),
        ("\n  \npath,label\n\na.nii,gutartig\n,\nb.nii,bösartig\n\n \n", (5, 7)),
        ("path,label,,\na.nii,gutartig,,\nb.nii,bösartig,,\n,,,\n", (2, 3)),
        ('"Path";"Label"\n"a.nii";"gutartig"\n"b.nii";"bösartig"', (2, 3)),
        ("path,label\na.nii,gutartig\nb.nii,bo\u0308sartig\n", (2, 3)),  # the umlaut in two parts
    ],
)
def test_every_form_of_a_table(text, lines, tmp_path):
    """Guards against blank lines, a line for Excel or two ways to spell an umlaut."""
    table = cells(tmp_path, text)
    assert table.header == ["path", "label"]
    assert table.rows == [(line, row) for line, (_, row) in zip(lines, ROWS, strict=True)]
    assert table.faults == []


@pytest.mark.parametrize("row", ["a,1.nii,x", "a.nii,x,12,5", "a.nii,x,,note"])
def test_more_cells_than_columns_are_a_fault(row, tmp_path):
    """Guards against 12,5 mm that are 12, and a path that ends at its comma."""
    extent = ",extent" if "12" in row else ""
    table = cells(tmp_path, f"path,label{extent}\n{row}\nb.nii,y\n")
    assert [line for line, _ in table.rows] == [3]
    count = row.count(",") + 1
    assert table.faults == [
        f"data.csv, line 2: got {count} cells for {2 + bool(extent)} columns; "
        "put a text with a comma in double quotes"
    ]
    assert cells(tmp_path, 'path,label\n"a,1.nii","x, y"\n').rows[0][1] == {
        "path": "a,1.nii",
        "label": "x, y",
    }


def test_an_index_without_a_name_is_no_fault(tmp_path):
    """As pandas writes it."""
    assert cells(tmp_path, ",path,label\n0,a.nii,x\n").rows[0][1]["label"] == "x"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PK\x03\x04xl/workbook.xml", "is a spreadsheet; save it as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is a spreadsheet"),
        (TEXT.encode("latin-1"), "is not a text file in UTF-8"),
        (b"\xff\xfeodd", "is not a text file in UTF-8"),
        (TEXT.encode("utf-16-le"), "is not a text file in UTF-8"),  # without its mark
        (b"path,label\na\0.nii,b\n", "is not a text file in UTF-8"),
        (b"path,label,Label\na,b,c\n", "has the column label twice"),
        (b'path,label\n"a,b\n', "cannot be read"),
    ],
)
def test_other_files_are_named(content, told, tmp_path):
    with pytest.raises(InputError, match=f"data.csv {told}"):
        cells(tmp_path, content)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n", b",,\n,\n"])
def test_an_empty_file_has_no_columns(content, tmp_path):
    assert cells(tmp_path, content).header == []
