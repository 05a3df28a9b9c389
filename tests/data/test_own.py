"""Sets of one's own scans, from tables to splits."""

import numpy as np
import pytest

from lmttm.config.files import load_config
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
    with pytest.raises(InputError, match="at least 5 patients"):
        load_dataset(config)
    table = tmp_path / "data.csv"
    table.write_text("path,label,split\n0.nii.gz,a,train\n1.nii.gz,b,\n")
    with pytest.raises(InputError, match="line 3: split is empty"):
        load_dataset(config)
    table.write_text("path,label,split\n0.nii.gz,a,train\n1.nii.gz,b,val\n")
    with pytest.raises(InputError, match="no scan is in the test split"):
        load_dataset(config)
