"""Files from strangers: nothing in them runs, and nothing in them takes the memory."""

import contextlib
import io
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import medmnist
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import predict
import train
from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.data import phantoms
from lmttm.data.sources import load_dataset
from lmttm.errors import InputError, RunError
from lmttm.runs.checkpoint import BEST
from lmttm.storage import digest_of
from lmttm.training import loop
from tests.conftest import TINY

# In CI a part of what `make test-slow` tries.
FULL = os.environ.get("LMTTM_FUZZ") == "full"


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a small run, and the arguments that name it."""
    folder = tmp_path_factory.mktemp("runs")
    arguments = ["demo.json", *TINY, f"output_dir={folder}", "device=cpu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantoms, "SPLITS", {"train": 32, "val": 20, "test": 20})
        # Slow, and behind everything that a damaged file can reach.
        patch.setattr("lmttm.runs.results.write_scores", lambda *_: None)
        patch.setattr("lmttm.runs.pages.report", lambda *_: "")
        patch.setattr("lmttm.evaluation.metrics.intervals", lambda *_, **__: {})
        assert train.main(arguments) == 0
        yield folder / "demo", arguments


def told(capsys):
    """The one sentence of an error."""
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err


# --- checkpoints -------------------------------------------------------------------------


def forged(trained, tmp_path, change):
    """A copy of the run whose best checkpoint was changed by hand; without its checksum."""
    folder, _ = trained
    shutil.copytree(folder, tmp_path / "demo")
    content = torch.load(folder / BEST, weights_only=True)
    change(content)
    torch.save(content, tmp_path / "demo" / BEST)
    (tmp_path / "demo" / f"{BEST}.sha256").unlink()
    return ["demo.json", "device=cpu", f"output_dir={tmp_path}"]


def test_a_configuration_that_would_take_all_memory_is_refused(trained, tmp_path, capsys):
    """Shapes are compared on paper first: dim 16384 would be gigabytes."""

    def change(content):
        content["config"]["model"] |= {"dim": 16384, "memory_tokens_size": 65536}

    assert predict.main(forged(trained, tmp_path, change)) == 2
    assert "do not fit its configuration" in told(capsys)


@pytest.mark.parametrize(
    "weights",
    [
        torch.zeros(1).expand(10**6, 10**6),
        torch.zeros(16, dtype=torch.float64),
        torch.zeros(16, 16).to_sparse(),
        "a text",
        None,
    ],
    ids=["huge view", "float64", "sparse", "text", "none"],
)
def test_tensors_that_do_not_fit_are_refused(trained, tmp_path, capsys, weights):
    def change(content):
        content["model"]["classifier.weight"] = weights

    assert predict.main(forged(trained, tmp_path, change)) == 2
    err = told(capsys)
    assert "classifier.weight must be float32 of shape (2, 16), got" in err or "readable" in err


def test_a_name_in_a_checkpoint_leads_nowhere(trained, tmp_path, capsys):
    """`train.name` of a checkpoint cannot name a path outside the folder of runs."""

    def change(content):
        content["config"]["train"]["name"] = "../../outside"

    assert predict.main(forged(trained, tmp_path, change)) == 2
    assert "train.name" in told(capsys)


def test_an_archive_that_inflates_is_refused(trained, tmp_path, capsys):
    arguments = forged(trained, tmp_path, lambda content: None)
    path = tmp_path / "demo" / BEST
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("best/data/999", bytes(50_000_000))
    assert predict.main(arguments) == 2
    assert "claims to hold more than its own size" in told(capsys)


# --- data --------------------------------------------------------------------------------

COUNTS = {"train": 4, "val": 4, "test": 4}


@pytest.fixture
def official(tmp_path, monkeypatch):
    """Declares any content of adrenalmnist3d.npz the official one, so that it is read."""

    def official(content):
        path = tmp_path / "adrenalmnist3d.npz"
        path.write_bytes(content)
        info = dict(medmnist.INFO["adrenalmnist3d"])
        info |= {"MD5": digest_of(path, "md5"), "n_samples": COUNTS}
        monkeypatch.setitem(medmnist.INFO, "adrenalmnist3d", info)
        return load_config("base.json", [f"root={tmp_path}"])

    return official


def npz(**changes):
    arrays = {}
    for split, number in COUNTS.items():
        arrays[f"{split}_images"] = np.full((number, 28, 28, 28), 7, np.uint8)
        arrays[f"{split}_labels"] = np.arange(number, dtype=np.uint8)[:, None] % 2
    file = io.BytesIO()
    np.savez(file, **arrays | changes)
    return file.getvalue()


def test_nothing_in_an_npz_runs(official, tmp_path):
    trap = tmp_path / "ran"
    images = np.empty((4, 28, 28, 28), object)
    images.fill(Malicious(trap))
    with pytest.raises(InputError, match="train_images must be uint8"):
        load_dataset(official(npz(train_images=images)))
    with pytest.raises(InputError, match="cannot be read as an npz file"):
        load_dataset(official(pickle.dumps(Malicious(trap))))
    assert not trap.exists()


def test_a_header_that_claims_too_much_is_no_allocation(official):
    """10^12 voxels in the header of an array of a few bytes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**4, 10**4, 10**4)}
    )
    file = io.BytesIO(npz())
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    members["train_images.npy"] = header.getvalue() + b"few"
    forged = io.BytesIO()
    with zipfile.ZipFile(forged, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=r"must be uint8 of shape \(4, 28, 28, 28\), got uint8"):
        load_dataset(official(forged.getvalue()))


def test_volumes_that_are_all_zero_are_named(official, caplog):
    images = np.full((4, 28, 28, 28), 7, np.uint8)
    images[[1, 3]] = 0
    load_dataset(official(npz(val_images=images)))
    assert "2 volumes of the val split are all zero: 1, 3" in caplog.text


# --- fuzzing -----------------------------------------------------------------------------


def damaged(content: bytes, draw) -> bytes:
    """Bytes as they come from a bad disk, a broken download, or a stranger."""
    content = bytearray(content)
    kind = draw(st.sampled_from(["cut", "flip", "zero", "insert", "swap"]))
    place = draw(st.integers(0, len(content) - 1))
    length = draw(st.integers(1, 2000))
    if kind == "cut":
        del content[place:]
    elif kind == "flip":
        content[place] ^= 1 << draw(st.integers(0, 7))
    elif kind == "zero":
        content[place : place + length] = bytes(len(content[place : place + length]))
    elif kind == "insert":
        content[place:place] = draw(st.binary(min_size=1, max_size=50))
    else:
        other = draw(st.integers(0, len(content) - 1))
        content[place : place + 8], content[other : other + 8] = (
            content[other : other + 8],
            content[place : place + 8],
        )
    return bytes(content)


def fuzz(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@fuzz(500 if FULL else 60)
@given(st.data())
def test_damaged_checkpoints(trained, data):
    """Exit code 2, with the checksum and without it; or 0 where the damage does not matter."""
    folder, arguments = trained
    path, checksum = folder / BEST, folder / f"{BEST}.sha256"
    whole, digest = path.read_bytes(), checksum.read_text()
    known = data.draw(st.booleans())
    changed = damaged(whole, data.draw)
    try:
        path.write_bytes(changed)
        if not known:
            checksum.unlink()
        code = predict.main(arguments)
        assert code == 2 or (code == 0 and (not known or changed == whole))
        assert path.read_bytes() == changed
    finally:
        path.write_bytes(whole)
        checksum.write_text(digest)


@fuzz(500 if FULL else 100)
@given(st.data())
def test_damaged_data(official, data):
    """Damage that no checksum told: the file loads or is refused, and stays as it was."""
    config = official(damaged(npz(), data.draw))
    path = Path(config.root) / "adrenalmnist3d.npz"
    before = path.read_bytes()
    with contextlib.suppress(InputError):
        load_dataset(config)
    assert path.read_bytes() == before


KEYS = [
    "batch_size",
    "dataset_name",
    "size",
    "device",
    "seed",
    "distance",
    "folds",
    *(f"model.{key}" for key in Config().model.model_dump()),
    *(f"train.{key}" for key in Config().train.model_dump()),
    *(f"augment.{key}" for key in Config().augment.model_dump()),
    "train.gpu",
    "train.load_memory_tokens",
    "model.summerize_num_tokens",
    "nonsense",
    "model",
    "_note",
]
VALUES = st.one_of(
    st.integers(-3, 70),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=8),
    st.sampled_from(["ttm", "adam", "cpu", "cuda:3", "3dBN", "TL-MHA", "mixer", "H,W", "pad"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


@fuzz(2000 if FULL else 300)
@given(
    document=st.one_of(
        st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6).map(lambda flat: nested(flat)),
        st.recursive(VALUES, lambda inner: st.dictionaries(st.text(max_size=5), inner)),
    ),
    cut=st.one_of(st.none(), st.none(), st.integers(0, 80)),
)
def test_any_configuration_loads_or_is_told(document, cut, tmp_path_factory, trained):
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    path = folder / "any.json"
    text = json.dumps(document)
    path.write_text(text if cut is None else text[:cut], encoding="utf-8")
    before = path.read_bytes()
    reached = []

    def stops(config):
        reached.append(config)
        raise RunError("far enough")

    real, loop.load_dataset = loop.load_dataset, stops
    try:
        code = train.main([str(path), f"output_dir={folder / 'runs'}"])
    finally:
        loop.load_dataset = real
    assert code == (1 if reached else 2)
    assert path.read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == ["any.json"]


def nested(flat):
    document = {}
    for key, value in flat.items():
        section, _, name = key.rpartition(".")
        place = document.setdefault(section, {}) if section else document
        if isinstance(place, dict):
            place[name] = value
    return document
