"""Labelled volumes in files: MedMNIST's npz form; tables are in test_own.py."""

import json

import nibabel
import numpy as np
import pytest

import predict
import train
from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.labelled import read_npz
from lmttm.data.sources import load_dataset
from lmttm.errors import InputError
from tests.conftest import TINY


def own_set(folder):
    """A labelled set of 12 volumes as npz, and the same as NIfTI files in tables."""
    images, labels = phantoms.generate(12, seed=1)
    arrays = {}
    for number, split in enumerate(("train", "val", "test")):
        part = slice(4 * number, 4 * number + 4)
        labels[part] = [[0], [1], [0], [1]]
        arrays |= {f"{split}_images": images[part], f"{split}_labels": labels[part]}
        rows = ["path,label"]
        for index in range(part.start, part.stop):
            nibabel.save(nibabel.Nifti1Image(images[index], np.eye(4)), folder / f"{index}.nii.gz")
            rows.append(f"{index}.nii.gz,{labels[index, 0]}")
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")
    np.savez(folder / "own.npz", **arrays)
    return images


def test_training_on_a_labelled_set_of_ones_own(tmp_path, capsys):
    images = own_set(tmp_path)
    options = [*TINY, f"output_dir={tmp_path / 'runs'}", "device=cpu"]
    for name, source in (("npz", tmp_path / "own.npz"), ("tables", tmp_path)):
        argv = ["base.json", *options, f"dataset_name={source}", f"train.name={name}"]
        config = load_config("base.json", [*options, f"dataset_name={source}"])
        assert np.array_equal(load_dataset(config).splits["val"].images.numpy(), images[4:8])
        assert train.main(argv) == 0
        assert predict.main(argv) == 0
        assert predict.main([*argv, "--input", str(tmp_path / "3.nii.gz")]) == 0
        assert "class 0" in capsys.readouterr().out
    one, two = (
        json.loads((tmp_path / "runs" / n / "test" / "metrics.json").read_text())["auc"]
        for n in ("npz", "tables")
    )
    assert one == two


def test_both_forms_give_the_same_arrays_in_file_order(tmp_path):
    own_set(tmp_path)
    read = read_npz(tmp_path / "own.npz", (28, 28, 28))
    dataset = load_dataset(load_config("base.json", [f"dataset_name={tmp_path}"]))
    assert list(read) == list(dataset.splits) == ["train", "val", "test"]
    for split, (images, labels) in read.items():
        own = dataset.splits[split]
        assert np.array_equal(images, own.images.numpy())
        assert labels.tolist() == own.labels.tolist() == [0, 1, 0, 1]
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"val_images": np.zeros((4, 28, 28, 28))}, "val_images must be uint8 of shape"),
        ({"val_labels": np.zeros((5, 1), np.uint8)}, r"val_labels must be integers of shape \(4,"),
        ({"test_images": np.zeros((0, 28, 28, 28), np.uint8)}, "test_images must be uint8"),
        ({"test_labels": np.zeros((4, 1), bool)}, "test_labels must be integers"),
    ],
)
def test_a_wrong_array_is_named(tmp_path, changes, fault):
    own_set(tmp_path)
    with np.load(tmp_path / "own.npz") as arrays:
        np.savez(tmp_path / "changed.npz", **dict(arrays) | changes)
    with pytest.raises(InputError, match=fault):
        read_npz(tmp_path / "changed.npz", (28, 28, 28))
