"""What the page shows of a scan."""

import base64
import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

import lmttm
from lmttm.data import named, phantoms
from lmttm.data.placement import Placement, Prepared
from lmttm.data.scan import Grid
from lmttm.errors import InputError
from lmttm.runs.agreement import with_volume
from lmttm.serving.answer import Answering


@pytest.fixture
def answering(monkeypatch, tmp_path):
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 8, "val": 8, "test": 8})
    where = ["device=cpu", f"output_dir={tmp_path}"]
    return Answering(lmttm.open_run("phantommnist3d_28", where))


def test_an_answer_is_that_of_the_run_and_fits_into_json(answering, tmp_path):
    volume = answering.examples[0].volume
    np.save(tmp_path / "scan.npy", volume)
    (row,) = answering.run.predict([tmp_path / "scan.npy"]).rows
    place = Placement(Grid((28, 28, 28), np.eye(4)), np.eye(4))
    found = json.loads(json.dumps(answering(volume, ("a note",), place)))
    assert found["probabilities"] == pytest.approx(row["probabilities"], rel=1e-6)
    assert found["prediction"] == row["prediction"]
    assert found["warnings"][0] == "a note"
    assert len(found["data"]["volumes"]) == 2
    assert gzip.decompress(base64.b64decode(found["heat"]))[:4] == (348).to_bytes(4, "little")


def test_an_upload_unlike_the_training_volumes_is_refused(answering):
    """Guards against an answer of shipped weights for a scan of a kind that they never saw."""
    place = Placement(Grid((28, 28, 28), np.eye(4)), np.eye(4))
    volume = answering.examples[0].volume
    assert answering.upload(Prepared(volume, (), place))["warnings"] == []
    for unlike in (
        Prepared(np.full_like(volume, 255), (), place),
        Prepared(volume, ("no",), place),
    ):
        with pytest.raises(InputError, match="this scan is unlike the volumes that phantom"):
            answering.upload(unlike)


def test_an_upload_to_a_run_of_regions_is_noted(answering):
    """Guards against a whole scan answered by a model that was trained on places of a table."""
    volume = answering.run.config.volume.model_copy(update={"centre": "table"})
    members = (with_volume(answering.run.members[0], volume),)
    regions = Answering(replace(answering.run, members=members, strict=False))
    place = Placement(Grid((28, 28, 28), np.eye(4)), np.eye(4))
    found = regions.upload(Prepared(answering.examples[0].volume, (), place))
    assert found["warnings"][0].startswith("it has no centre_d, centre_h, centre_w of its own")


def test_examples_are_volumes_of_every_class(answering):
    assert len(answering.examples) == 4
    names = {example.name.partition(": ")[2] for example in answering.examples}
    assert names == set(answering.run.class_names)
    assert answering(answering.examples[0].volume)["heat"] is None


def test_examples_never_start_a_download(monkeypatch, tmp_path):
    """Guards against a page that fetches a data set when it starts."""
    asked = []
    monkeypatch.setattr(named, "fetch", lambda *arguments: asked.append(arguments))
    where = ["device=cpu", f"output_dir={tmp_path}", f"root={tmp_path}"]
    assert Answering(lmttm.open_run("vesselmnist3d_28", where)).examples == []
    assert not asked
    (tmp_path / "vesselmnist3d.npz").write_bytes(b"another file")  # there, but not the official one
    assert Answering(lmttm.open_run("vesselmnist3d_28", where)).examples == []
    assert not asked


def test_a_run_of_several_scans_is_refused_with_its_reason(answering):
    """Guards against a page whose every upload fails."""
    (member,) = answering.run.members
    model = member.config.model.model_copy(update={"in_channels": 2})
    other = replace(member, config=member.config.model_copy(update={"model": model}))
    with pytest.raises(InputError, match=r"one file, and phantommnist3d_28 takes 2 scans for each"):
        Answering(replace(answering.run, members=(other,)))
