"""What an opened run consists of."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import lmttm
from lmttm.data.tables import SPLITS
from lmttm.runs.trained import Trained, check_content


def test_an_ensemble_averages_probabilities(trained):
    both = lmttm.open_run(trained / "a", names=["a", "b"])
    each = [lmttm.open_run(trained / name).score("test").probabilities for name in "ab"]
    np.testing.assert_allclose(both.score("test").probabilities, np.mean(each, axis=0), atol=1e-12)
    assert (trained / "a+b" / "test" / "metrics.json").is_file()
    with pytest.raises(lmttm.InputError, match="only a single run can be exported, got a, b"):
        both.export()
    with pytest.raises(lmttm.InputError, match="only a single run can be explained, got a, b"):
        both.explain(index=0)


def test_a_run_that_was_moved_or_renamed_still_opens(trained, tmp_path):
    shutil.copytree(trained / "a", tmp_path / "elsewhere")
    run = lmttm.open_run(tmp_path / "elsewhere")
    assert run.folder == (tmp_path / "elsewhere").resolve()
    run.score("val")
    assert (tmp_path / "elsewhere" / "val" / "metrics.json").is_file()


def test_scores_of_other_weights_are_left_out(trained, tmp_path, caplog):
    """Guards against a card with the scores of epoch 70 beside the weights of epoch 72."""
    shutil.copytree(trained / "a", tmp_path / "a")
    run = lmttm.open_run(tmp_path / "a")
    scores = run.score("test")
    assert run.test_scores == scores.metrics
    assert caplog.text == ""
    (member,) = run.members
    for changes in ({"epoch": 7}, {"validation": member.validation | {"val_loss": 0.1}}):
        later = replace(run, members=(replace(member, **changes),))
        assert later.test_scores is None
        assert "has the scores of epoch 1, not those of these weights" in caplog.text
        caplog.clear()
        later.save_weights(tmp_path / "tiny_28")
        card = (tmp_path / "tiny_28" / "README.md").read_text()
        assert "The test split was not scored when this card was written." in card
        caplog.clear()


def test_a_data_set_of_other_volumes_is_refused_or_noted(trained, tmp_path, caplog):
    """Guards against scores of a run on volumes that it was not trained on, without a word."""
    run = lmttm.open_run(trained / "a")
    assert isinstance(run, Trained)
    (member,) = run.members
    other = replace(run, members=(replace(member, data="0" * 16),))
    other.dataset(("test",))
    assert "PhantomMNIST3D was replaced since a was trained on it" in caplog.text
    np.savez(
        tmp_path / "own.npz",
        **{f"{name}_images": np.zeros((2, 28, 28, 28), np.uint8) for name in SPLITS},
        **{f"{name}_labels": np.arange(2)[:, None] for name in SPLITS},
    )
    path = str(tmp_path / "own.npz")
    elsewhere = replace(other, user=run.user.model_copy(update={"dataset_name": path}))
    own = member.config.model_copy(update={"dataset_name": str(tmp_path / "old.npz")})
    elsewhere = replace(elsewhere, members=(replace(member, config=own, data="0" * 16),))
    with pytest.raises(lmttm.InputError, match="has other volumes"):
        elsewhere.dataset(("test",))


def test_tables_that_place_scans_since_the_training_are_refused(trained):
    """Guards against scores of regions for a run of whole scans, beside a warning at most."""
    run = lmttm.open_run(trained / "a")
    (member,) = run.members
    for key in ("centre", "extent"):
        placed = member.config.volume.model_copy(update={key: "table"})
        dataset = replace(run.dataset(("test",)), volume=placed)
        with pytest.raises(lmttm.InputError, match=f"a was trained with volume.{key}=null, and "):
            check_content(member, "a", dataset, "mine/")
        as_trained = replace(member, config=member.config.model_copy(update={"volume": placed}))
        check_content(as_trained, "a", dataset, member.config.dataset_name)
        check_content(replace(member, knows_volume=False), "a", dataset, run.config.dataset_name)


def test_cases_of_another_number_of_scans_are_refused(trained):
    """Guards against a model that fails, or a channel that is left out, without a word."""
    run = lmttm.open_run(trained / "a")
    (member,) = run.members
    dataset = run.dataset(("test",))
    images = dataset.splits["test"].images
    split = replace(dataset.splits["test"], images=torch.stack([images, images], dim=1))
    both = replace(dataset, splits={"test": split})
    with pytest.raises(lmttm.InputError, match=r"a takes 1 grey channels .*, and mine/ has 2"):
        check_content(member, "a", both, "mine/")
