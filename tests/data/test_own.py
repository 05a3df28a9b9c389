"""Sets of one's own scans, from tables to splits."""

import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data.own import check_own
from lmttm.data.sources import load_dataset
from lmttm.errors import InputError
from tests.scanned import write_nifti


def grey(seed, low=0, high=900):
    return np.random.default_rng(seed).integers(low, high, (12, 12, 12)).astype(np.int16)


def make_set(folder, volumes=None, columns="patient", per_patient=2, labels=("good", "bad")):
    """Scans in NIfTI files, two of each patient, in one table without a split."""
    volumes = volumes or [grey(n) for n in range(40)]
    rows = [f"path,label,{columns}"]
    for number, voxels in enumerate(volumes):
        write_nifti(folder / f"{number}.nii.gz", voxels)
        patient = number // per_patient
        rows.append(f"{number}.nii.gz,{labels[patient % len(labels)]},p{patient}")
    (folder / "data.csv").write_text("\n".join(rows))
    return load_config(
        "base.json", [f"dataset_name={folder}/", f"cache={folder / 'cache'}", "size=28"]
    )


def test_one_table_without_a_split(tmp_path):
    dataset = load_dataset(make_set(tmp_path))
    assert dataset.class_names == ("bad", "good")
    assert [len(dataset.splits[s]) for s in ("train", "val", "test")] == [24, 8, 8]
    seen = [{int(path.split(".")[0]) // 2 for path in s.paths} for s in dataset.splits.values()]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]
    assert dataset.volume.intensity == "percentiles"
    for split in dataset.splits.values():
        for path, label in zip(split.paths, split.labels.tolist(), strict=True):
            patient = int(path.split(".")[0]) // 2
            assert dataset.class_names[label] == ("good", "bad")[patient % 2]
        assert split.patients == tuple(f"p{int(path.split('.')[0]) // 2}" for path in split.paths)


def test_folds_keep_patients_together_and_the_test_split_as_it_is(tmp_path):
    whole = load_dataset(make_set(tmp_path))
    seen = []
    for fold in range(4):
        config = make_set(tmp_path).model_copy(update={"folds": 4, "fold": fold})
        splits = load_dataset(config).splits
        assert splits["test"].paths == whole.splits["test"].paths
        patients = [{int(p.split(".")[0]) // 2 for p in splits[s].paths} for s in ("train", "val")]
        assert not patients[0] & patients[1]
        seen += splits["val"].paths
    assert sorted(seen) == sorted(whole.splits["train"].paths + whole.splits["val"].paths)


def test_the_window_is_settled_on_the_training_split(tmp_path):
    """Guards against one window for each scan, and against a look at the test split."""
    config = make_set(tmp_path)
    dataset = load_dataset(config)
    window = dataset.volume.window
    training = [grey(int(path.split(".")[0])) for path in dataset.splits["train"].paths]
    # 12 voxels become 28, so the percentiles are those of interpolated values.
    assert window[0] == pytest.approx(np.percentile(training, 0.5), abs=120)
    assert window[1] == pytest.approx(np.percentile(training, 99.5), abs=120)
    for path in dataset.splits["test"].paths:
        number = int(path.split(".")[0])
        write_nifti(tmp_path / path, grey(number) * 9)
    assert load_dataset(config).volume.window == window
    settled = config.model_copy(update={"volume": dataset.volume})
    again = load_dataset(settled, ["test"])
    assert list(again.splits) == ["test"]
    assert again.splits["test"].images.float().mean() > 200


def test_a_settled_set_reads_only_the_split_that_is_needed(tmp_path):
    """Guards against the scoring of the test split reading the training scans."""
    config = make_set(tmp_path)
    dataset = load_dataset(config)
    for path in dataset.splits["train"].paths:
        (tmp_path / path).unlink()
    settled = config.model_copy(update={"volume": dataset.volume})
    assert len(load_dataset(settled, ["test"]).splits["test"]) == 8
    with pytest.raises(InputError, match="faults"):
        load_dataset(settled)


def test_all_bad_scans_are_told_with_their_lines(tmp_path):
    """Guards against a training that stops at the first bad file and names no line."""
    config = make_set(tmp_path)
    (tmp_path / "3.nii.gz").write_text("none")
    (tmp_path / "7.nii.gz").unlink()
    np.save(tmp_path / "flat.npy", np.zeros((5, 5)))
    table = tmp_path / "data.csv"
    table.write_text(table.read_text().replace("11.nii.gz", "flat.npy"))
    with pytest.raises(InputError) as caught:
        load_dataset(config)
    message = str(caught.value)
    assert message.startswith("3 faults:")
    for line, reason in ((5, "cannot be read"), (9, "is not there"), (13, "a 3D volume")):
        assert any(
            f"data.csv, line {line}:" in row and reason in row for row in message.split("\n")
        )


def test_a_leak_is_refused_unless_allowed(tmp_path, caplog):
    """The same scan in two splits, under two names."""
    volumes = [grey(n) for n in range(40)]
    config = make_set(tmp_path, volumes)
    paths = {s: split.paths[0] for s, split in load_dataset(config).splits.items()}
    voxels = grey(int(paths["train"].split(".")[0]))
    write_nifti(tmp_path / paths["test"], voxels)
    with pytest.raises(InputError, match=r"are one scan, in (train and in test|test and in train)"):
        load_dataset(config)
    load_dataset(config.model_copy(update={"leaks": "allow"}))
    assert "are one scan" in caplog.text


def ball(number):
    place = np.indices((28, 28, 28)) - 13.5
    return np.linalg.norm(place, axis=0) < 4 + number % 9 + number / 50


KINDS = {
    "masks of 0 and 1": lambda n: ball(n).astype(np.uint8),
    "masks of 0 and 255": lambda n: ball(n).astype(np.uint8) * 255,
    "masks of 1 and 2": lambda n: ball(n).astype(np.int16) + 1,
    "masks of floats": lambda n: ball(n).astype(np.float32),
    "masks of 0 and -1": lambda n: -ball(n).astype(np.int8),
    "masks of 0 and 2": lambda n: ball(n).astype(np.uint16) * 2,
    "masks with NaN": lambda n: np.where(np.indices(ball(n).shape)[0] > 26, np.nan, ball(n)),
    "masks of all kinds": lambda n: ball(n).astype((np.uint8, np.float64)[n % 2]) * (1 + n % 5),
}


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_any_value_reach_the_model_as_0_and_255(kind, tmp_path):
    """Guards against a mask of 0 and 1 that reaches the model as 1/255."""
    dataset = load_dataset(make_set(tmp_path, [KINDS[kind](n) for n in range(40)]))
    assert dataset.volume.intensity == "masks"
    for split in dataset.splits.values():
        for path, image in zip(split.paths, split.images.numpy(), strict=True):
            assert np.array_equal(image, 255 * ball(int(path.split(".")[0])))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1, 255])
def test_bytes_stay_bytes_in_any_type(kind, scale, tmp_path):
    """Guards against a volume of floats in [0, 1] or [0, 255] that is stretched."""
    if scale == 255 and np.dtype(kind).kind != "f":
        pytest.skip("whole numbers from 0 to 1 are a mask")
    volumes = [np.random.default_rng(n).integers(5 + n, 200 + n, (28, 28, 28)) for n in range(40)]
    dataset = load_dataset(make_set(tmp_path, [(v / scale).astype(kind) for v in volumes]))
    assert dataset.volume.intensity == "bytes"
    for path, image in zip(
        dataset.splits["test"].paths, dataset.splits["test"].images.numpy(), strict=True
    ):
        assert np.array_equal(image, volumes[int(path.split(".")[0])])


def test_tables_that_cannot_be_split(tmp_path):
    config = make_set(tmp_path, [grey(n) for n in range(8)])
    with pytest.raises(InputError, match=r"2 patients .* are too few to draw train, val and test"):
        load_dataset(config)
    table = tmp_path / "data.csv"
    table.write_text("path,label,split\n0.nii.gz,a,train\n1.nii.gz,b,\n")
    with pytest.raises(InputError, match="line 3: split is empty"):
        load_dataset(config)
    table.write_text("path,label,split\n0.nii.gz,a,train\n1.nii.gz,b,val\n")
    with pytest.raises(InputError, match="no scan is in the test split"):
        load_dataset(config)


def make_cases(folder, volumes, columns=("path", "path_2")):
    """A table of cases whose scans are these volumes, column by column."""
    folder.mkdir(exist_ok=True)
    rows = [f"{','.join(columns)},label"]
    for number, scans in enumerate(zip(*volumes, strict=True)):
        names = [f"{number}-{column}.nii.gz" for column in columns]
        for name, voxels in zip(names, scans, strict=True):
            write_nifti(folder / name, voxels)
        rows.append(f"{','.join(names)},{('good', 'bad')[number % 2]}")
    (folder / "data.csv").write_text("\n".join(rows))
    return load_config("base.json", [f"dataset_name={folder}/", f"cache={folder.parent / 'cache'}"])


def test_each_scan_of_a_case_is_as_it_would_be_alone(tmp_path):
    """What is auto is settled for each channel by itself; their order is the table's, no more."""
    low = [grey(n) for n in range(30)]
    high = [grey(100 + n, -300, 3000) for n in range(30)]
    masks = [(grey(200 + n) > 400).astype(np.uint8) for n in range(30)]
    columns = ("path", "path_2", "path_3")
    both = load_dataset(make_cases(tmp_path / "abc", [low, high, masks], columns))
    turned = load_dataset(make_cases(tmp_path / "cab", [masks, low, high], columns))
    alone = [
        load_dataset(make_cases(tmp_path / f"{number}", [volumes], ("path",)))
        for number, volumes in enumerate((low, high, masks))
    ]
    assert both.volume.intensity == ["percentiles", "percentiles", "masks"]
    assert both.volume.intensity == [one.volume.intensity for one in alone]
    assert both.volume.window == [one.volume.window for one in alone]
    for name, split in both.splits.items():
        assert split.images.shape[1:] == (3, 28, 28, 28)
        for channel, one in enumerate(alone):
            assert torch.equal(split.images[:, channel], one.splits[name].images)
            assert torch.equal(split.labels, one.splits[name].labels)
        assert torch.equal(turned.splits[name].images, split.images[:, [2, 0, 1]])
    assert turned.volume.intensity == ["masks", "percentiles", "percentiles"]
    assert both.digest() != turned.digest()


def test_the_same_scan_twice_is_two_equal_channels(tmp_path):
    volumes = [grey(n) for n in range(30)]
    dataset = load_dataset(make_cases(tmp_path / "twice", [volumes, volumes]))
    for split in dataset.splits.values():
        assert torch.equal(split.images[:, 0], split.images[:, 1])


def test_what_a_run_stored_of_one_channel_is_still_so(tmp_path):
    """Guards against digests, by which runs know their data, that change with a version."""
    volumes = [np.random.default_rng(n).integers(0, 900, (28, 28, 28)) for n in range(30)]
    config = make_cases(tmp_path / "one", [[v.astype(np.int16) for v in volumes]], ("path",))
    dataset = load_dataset(config)
    assert dataset.digest().split() == [
        "test:80a733b483190b2221874770a28c319b",
        "train:4db04073c6e3550f3597b554f003daf0",
        "val:3d2d3659d06bb6d51d00579b7946aed3",
    ]
    assert dataset.volume.model_dump() == {
        **{"axes": "xyz", "region": "cube", "centre": None, "extent": None},
        **{"resampling": "linear", "intensity": "percentiles", "window": [4.0, 895.0]},
    }


def test_a_window_for_one_of_two_scans(tmp_path):
    volumes = [grey(n) for n in range(30)]
    config = make_cases(tmp_path / "two", [volumes, volumes])
    asked = config.volume.model_copy(update={"window": [None, [0.0, 500.0]]})
    dataset = load_dataset(config.model_copy(update={"volume": asked}))
    assert dataset.volume.intensity == ["percentiles", "window"]
    assert dataset.volume.window[1] == [0.0, 500.0]
    wrong = config.volume.model_copy(update={"intensity": ["hu", "hu", "hu"]})
    with pytest.raises(InputError, match=r"volume\.intensity must be one value or 2"):
        load_dataset(config.model_copy(update={"volume": wrong}))


def test_a_fault_of_any_scan_of_a_case_is_told_with_its_line(tmp_path):
    volumes = [grey(n) for n in range(30)]
    config = make_cases(tmp_path / "two", [volumes, volumes])
    (tmp_path / "two" / "3-path_2.nii.gz").write_text("none")
    (tmp_path / "two" / "7-path.nii.gz").unlink()
    write_nifti(tmp_path / "two" / "11-path_2.nii.gz", grey(1), origin=900)
    with pytest.raises(InputError) as caught:
        load_dataset(config)
    rows = str(caught.value).split("\n")
    assert rows[0] == "3 faults:"
    for row, line, reason in zip(
        rows[1:], (5, 9, 13), ("cannot be read", "is not there", "lies beside"), strict=True
    ):
        assert f"data.csv, line {line}:" in row
        assert reason in row
    findings, _ = check_own(config)
    assert len(findings.unreadable) == 3


def test_percentiles_that_are_asked_for_are_those_of_the_training_split(tmp_path):
    """Guards against the window of a CT for scans whose configuration says percentiles."""
    config = make_set(tmp_path)
    asked = config.volume.model_copy(update={"intensity": "percentiles"})
    assert not asked.settled
    found = load_dataset(config.model_copy(update={"volume": asked}))
    assert found.volume == load_dataset(config).volume
