"""Tables as people write them, and everything that can be wrong with them."""

import pytest

from lmttm.data.tables import Entry, path_columns, read_rows, read_table, read_tables, refuse
from lmttm.errors import InputError


def read(tmp_path, text, encoding="utf-8"):
    (tmp_path / "train.csv").write_bytes(text.encode(encoding))
    return read_table(tmp_path / "train.csv", "train")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path,label\na.nii,1\nb.nii,0\n", "utf-8"),
        ("path,label\r\na.nii,1\r\nb.nii,0\r\n", "utf-8-sig"),  # as Excel writes it
        (" Path , LABEL \n a.nii , 1 \n\nb.nii,0", "utf-8"),
        ("label;path\n1;a.nii\n0;b.nii\n", "utf-8"),  # Excel, where a comma is decimal
        ("note\tlabel\tpath\nx, y\t1\ta.nii\n\t0\tb.nii\n", "utf-8"),
        ('path,label\n"a.nii","1"\n"b.nii","0"\n,\n', "utf-8"),
    ],
)
def test_a_table_in_any_hand(text, encoding, tmp_path):
    """Guards against a byte-order mark, capitals and blanks being told as missing columns."""
    entries = read(tmp_path, text, encoding)
    assert [(e.name, e.label, e.split) for e in entries] == [
        ("a.nii", "1", "train"),
        ("b.nii", "0", "train"),
    ]
    assert entries[0].paths == (tmp_path / "a.nii",)


def test_paths_may_lead_anywhere(tmp_path):
    """Guards against symbolic links and absolute paths being refused."""
    outside = tmp_path / "elsewhere" / "a.nii"
    entries = read(tmp_path, f"path,label\n{outside},1\n../b.nii,1\n")
    assert entries[0].paths == (outside,)
    assert entries[1].paths == (tmp_path / "../b.nii",)


def test_paths_in_a_table_may_name_home_and_variables(tmp_path, monkeypatch):
    """Guards against `~` or `$A` taken literally, and against the loss of a file with a dollar."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SCANS", "/archive")
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    (tmp_path / "a$b.nii").write_bytes(b"")
    rows = ("~/a.nii", "$SCANS/b.nii", "a$b.nii")
    entries = read(tmp_path, "path,label\n" + "".join(f"{row},1\n" for row in rows))
    paths = [str(entry.paths[0]) for entry in entries]
    assert paths == [str(tmp_path / "home/a.nii"), "/archive/b.nii", str(tmp_path / "a$b.nii")]
    with pytest.raises(InputError, match="line 2: path must not name a variable that is not set"):
        read(tmp_path, "path,label\n$NO_SUCH_VARIABLE/a.nii,1\n")


@pytest.mark.parametrize(
    ("written", "file"),
    [
        ("p1\\scan.nii", "p1/scan.nii"),  # on Windows
        ("bo\u0308s.nii", "b\u00f6s.nii"),
        ("b\u00f6s.nii", "bo\u0308s.nii"),  # on macOS
        ("a\\b.nii", "a\\b.nii"),
    ],
)
def test_paths_of_other_systems(written, file, tmp_path):
    """Guards against "is not there" for a backslash, or an umlaut in two parts."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"")
    assert read(tmp_path, f"path,label\n{written},1\n")[0].paths == (tmp_path / file,)


def test_a_row_with_a_comma_too_many_is_a_fault(tmp_path):
    """Guards against a path that ends at its comma, and a label that begins there."""
    with pytest.raises(InputError, match=r"2 faults:\n- train.csv, line 2: got 3 cells for 2"):
        read(tmp_path, "path,label\na,1.nii,x\n,y\nb.nii,y\n")
    with pytest.raises(InputError, match="line 2: got 3 cells"):
        read(tmp_path, "path,label\na,1.nii,x\n")


def test_all_columns(tmp_path):
    (tmp_path / "data.csv").write_text(
        "path,label,split,patient,centre_d,centre_h,centre_w,extent\n"
        "a,1,Training,p1,1,2.5,3,40\nb,0,validation,,,,,\nc,0,TEST,p2,,,,\nd,1,val,p3,,,,12\n"
    )
    one, two, three, four = read_tables(tmp_path)
    assert (one.split, one.patient, one.centre, one.extent) == ("train", "p1", (1, 2.5, 3), 40)
    assert (two.split, two.patient, two.centre, two.extent) == ("val", "", None, None)
    assert (three.split, four.extent) == ("test", 12)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,label\na,1\n", "must have the columns path,label"),
        ("path,label\n", "at least one row"),
        ("path,path,label\na,a,1\n", "has the column path twice"),
        ("path,label\na,\nb,1\n,1\n", "line 2: label must not be empty"),
        ("path,label,extent\na,1,big\n", "extent must be a number of mm, got big"),
        ("path,label,extent\na,1,-3\n", "extent must be more than 0 mm, got -3"),
        ("path,label,centre_d\na,1,3\n", "must be given together"),
        ('path,label\n"a,1\n', "cannot be read"),
    ],
)
def test_a_bad_table_is_named(text, told, tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert told in str(caught.value)


def test_all_faults_are_told_at_once(tmp_path):
    with pytest.raises(InputError, match=r"2 faults:\n- train.csv, line 2.*\n- train.csv, line 4"):
        read(tmp_path, "path,label\na,\nb,1\n,1\n")
    with pytest.raises(InputError, match="and 5 more"):
        refuse([f"fault {n}" for n in range(25)])


def test_a_table_is_no_folder_of_tables(tmp_path):
    """Guards against "data.csv/train.csv cannot be read"."""
    read(tmp_path, "path,label\na.nii,1\n")
    with pytest.raises(InputError, match=r"train\.csv must be a folder with data\.csv, or with tr"):
        read_tables(tmp_path / "train.csv")


def test_other_encodings_and_missing_tables(tmp_path):
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        read(tmp_path, "path,label\nä.nii,1\n", "latin-1")
    read(tmp_path, "path,label\na.nii,1\n")
    with pytest.raises(InputError, match=r"val.csv cannot be read"):
        read_tables(tmp_path)
    (tmp_path / "data.csv").write_text("path,label,split\na,1,holdout\n")
    with pytest.raises(InputError, match="split must be train, val or test, got holdout"):
        read_tables(tmp_path)


def test_further_scans_of_a_case(tmp_path):
    text = "path_3,label,path,PATH_2\nc.nii,1,a.nii,b.nii\nf.nii,0,d.nii,e.nii\n"
    first, second = read(tmp_path, text)
    assert first.paths == tuple(tmp_path / name for name in ("a.nii", "b.nii", "c.nii"))
    assert (first.name, second.name) == ("a.nii,b.nii,c.nii", "d.nii,e.nii,f.nii")
    assert path_columns(1) == ["path"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,path_3,label\na,b,1\n", "must be path,path_2, got path,path_3"),
        ("path,path_1,label\na,b,1\n", "must be path,path_2, got path,path_1"),
        ("path,path_02,label\na,b,1\n", "must be path,path_2, got path,path_02"),
        ("path,path_2,path_2,label\na,b,c,1\n", "has the column path_2 twice"),
        ("path_2,label\na,1\n", "must have the columns path,label"),
        ("path,path_2,label\na,b,1\nc,,0\n", "line 3: path_2 must not be empty"),
    ],
)
def test_scans_of_a_case_that_are_missing_are_named(text, told, tmp_path):
    """Guards against a case without its second scan, and against channels in another order."""
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert told in str(caught.value)


def test_all_tables_have_as_many_scans_for_a_case(tmp_path):
    for split, columns in (("train", "path,path_2"), ("val", "path,path_2"), ("test", "path")):
        (tmp_path / f"{split}.csv").write_text(f"{columns},label\na{',b' * ('_' in columns)},1\n")
    with pytest.raises(InputError, match=r"test\.csv must have the columns path,path_2 of train"):
        read_tables(tmp_path)


def unlabelled(tmp_path, text):
    (tmp_path / "cases.csv").write_text(text)
    entries, faults = read_rows(tmp_path / "cases.csv", labelled=False)
    refuse(faults)
    return entries


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("path\na.nii\nb.nii\n", ["", ""]),
        ("path,label,split\na.nii,,holdout\nb.nii,0,\n", ["", "0"]),
    ],
)
def test_a_table_without_labels(text, labels, tmp_path):
    """Guards against a label or a split that is missing, or another one, being an error."""
    entries = unlabelled(tmp_path, text)
    assert [entry.name for entry in entries] == ["a.nii", "b.nii"]
    assert [entry.label for entry in entries] == labels
    assert [entry.split for entry in entries] == ["", ""]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cases.csv must have the column path and at least one row, got the columns (none)"),
        (
            "file\na\n",
            "cases.csv must have the column path and at least one row, got the columns f",
        ),
        ("path\n", "at least one row, got the columns path and 0 rows"),
        ("path,path_2\na,b\nc,\n", "cases.csv, line 3: path_2 must not be empty"),
        ("path,note\n,x\n", "cases.csv, line 2: path must not be empty"),
    ],
)
def test_a_table_without_labels_may_be_wrong(text, told, tmp_path):
    with pytest.raises(InputError) as caught:
        unlabelled(tmp_path, text)
    assert told in str(caught.value)


def test_what_tells_cases_apart(tmp_path):
    """Guards against two places in one scan that have one name."""
    text = "path,patient,centre_d,centre_h,centre_w,extent\na,P1,1,2.5,3,\na,P1,,,,40\na,,,,,\n"
    one, two, three = unlabelled(tmp_path, text)
    assert one.name == two.name == three.name == "a"
    titles = [entry.title for entry in (one, two, three)]
    assert titles == ["a (centre 1,2.5,3 mm)", "a (extent 40 mm)", "a"]
    assert one.identity == {"patient": "P1", "centre_d": 1, "centre_h": 2.5, "centre_w": 3}
    assert two.identity == {"patient": "P1", "extent": 40}
    assert three.identity == {}
    assert two.about("odd") == "cases.csv, line 3: odd"
    assert Entry((), ("a",)).about("odd") == "odd"
