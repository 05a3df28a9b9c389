"""The folder of a run: what is kept, what is cleared, who may write in it."""

import json
import subprocess
import sys

import pytest

from lmttm.config.files import load_config
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.runs import checkpoint, folder
from lmttm.runs.checkpoint import LAST, PREVIOUS
from tests.conftest import TINY


@pytest.fixture
def config(tmp_path):
    """The configuration of a run that lies in a folder of its own."""
    return load_config("demo.json", [*TINY, f"output_dir={tmp_path}", "train.epoch=3"])


def record(epoch, auc, loss=1.0):
    return {"epoch": epoch, "val_auc": auc, "val_loss": loss}


# --- which epoch is kept -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "best"),
    [
        ([record(1, 0.8), record(2, 0.9), record(3, 0.7)], 2),
        ([record(1, 0.9, 0.5), record(2, 0.9, 0.4), record(3, 0.9, 0.6)], 2),  # the lower loss
        ([record(1, 0.9, 0.1), record(2, 0.91, 9.0)], 2),  # the loss never beats the AUC
        ([record(1, 0.9, 0.5), record(2, 0.9, 0.5)], 1),  # of equals the earlier one
        ([record(1, None, 0.1), record(2, 0.2, 9.0)], 2),  # any AUC beats one not defined
        ([record(1, None, 0.5), record(2, None, 0.4)], 2),
    ],
)
def test_the_best_epoch_has_the_highest_auc_then_the_lowest_loss(config, history, best):
    assert folder.best_of(config, history)["epoch"] == best


def test_the_last_epoch_is_the_best_where_the_last_is_kept(tmp_path):
    config = load_config("demo.json", [*TINY, "train.keep=last"])
    history = [record(1, 0.9), record(2, 0.1, 7.0)]
    assert folder.best_of(config, history)["epoch"] == 2


@pytest.mark.parametrize(
    ("stop_auc", "aucs", "over"),
    [
        (0.0, [1.0, 1.0], False),  # 0 stands for none
        (0.9, [0.5, 0.89], False),
        (0.9, [0.9], True),
        (0.9, [0.95, 0.5], True),  # reached before a resumed run began
        (0.0, [0.5, 0.5, 0.5], True),
        (0.0, [None, None], False),
        (0.0, [], False),
    ],
)
def test_a_run_is_over_after_its_epochs_or_at_its_auc(config, stop_auc, aucs, over):
    train = config.train.model_copy(update={"stop_auc": stop_auc})
    config = config.model_copy(update={"train": train})
    history = [record(number, auc) for number, auc in enumerate(aucs, start=1)]
    assert folder.is_over(config, history) == over


# --- what a new run may overwrite --------------------------------------------------------


def test_a_folder_that_is_empty_or_missing_can_be_used(config):
    for _ in range(2):
        folder.check_folder(config.run_dir, may_exist=False)
        config.run_dir.mkdir(exist_ok=True)


def test_what_a_killed_process_left_is_no_run(config):
    """Guards against a run that cannot start because an earlier one died at once."""
    config.run_dir.mkdir()
    for name in (".best.pth.x1.part", "lock"):
        (config.run_dir / name).write_text("")
    folder.check_folder(config.run_dir, may_exist=False)


@pytest.mark.parametrize("may_exist", [False, True])
def test_files_of_somebody_else_are_left_alone(config, may_exist):
    config.run_dir.mkdir()
    (config.run_dir / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"is not a run \(it has no config.json\)"):
        folder.check_folder(config.run_dir, may_exist=may_exist)


def test_a_run_is_replaced_on_request_only(config):
    config.run_dir.mkdir()
    folder.start(config, resumed=False)
    with pytest.raises(InputError, match=r"exists; --resume .*--replace .*train.name="):
        folder.check_folder(config.run_dir, may_exist=False)
    folder.check_folder(config.run_dir, may_exist=True)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_new_run_clears_its_folder_and_a_resumed_one_keeps_it(config, resumed):
    config.run_dir.mkdir()
    (config.run_dir / "test").mkdir()
    names = ("best.pth", "test/metrics.json", ".last.pth.x1.part")
    for name in names:
        (config.run_dir / name).write_text("")
    folder.start(config, resumed=resumed)
    left = {path.relative_to(config.run_dir).as_posix() for path in config.run_dir.rglob("*")}
    assert left == {"config.json"} | (
        {"best.pth", "test", "test/metrics.json"} if resumed else set()
    )
    assert load_config(config.run_dir / "config.json") == config


def test_the_log_has_one_line_for_each_epoch(config):
    config.run_dir.mkdir()
    history = [record(1, 0.5), record(2, None)]
    folder.write_log(config.run_dir, history)
    lines = (config.run_dir / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history


# --- the lock ----------------------------------------------------------------------------


def test_another_process_is_kept_out_and_told_what_to_do(config):
    with folder.locked(config.run_dir):
        script = (
            "import sys; from pathlib import Path; from lmttm.runs import folder\n"
            "with folder.locked(Path(sys.argv[1])): pass"
        )
        other = subprocess.run(
            [sys.executable, "-c", script, str(config.run_dir)], capture_output=True, text=True
        )
        assert "another process is training" in other.stderr
    with folder.locked(config.run_dir):  # free again
        pass


def test_the_lock_is_released_when_the_block_fails(config):
    with pytest.raises(KeyError), folder.locked(config.run_dir):
        raise KeyError
    with folder.locked(config.run_dir):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/run"), folder.locked(tmp_path / "file" / "run"):
        pass


# --- what a resumed run starts from ------------------------------------------------------


@pytest.fixture
def saved(config):
    """The folder of a run that has saved its first two epochs."""
    config.run_dir.mkdir()
    for epoch in (1, 2):
        checkpoint.save(
            config.run_dir / LAST,
            config=config,
            model=build_model(config),
            epoch=epoch,
            validation={},
            previous=config.run_dir / PREVIOUS,
        )
    return config.run_dir


def test_the_newest_checkpoint_that_is_whole_is_taken(config, saved, caplog):
    assert folder.latest(config, "").epoch == 2
    (saved / LAST).write_bytes(b"half")
    assert folder.latest(config, "").epoch == 1
    assert f"{PREVIOUS} instead of {LAST}" in caplog.text
    assert not (saved / LAST).exists()  # or the next save would move it over the one that is whole
    (saved / PREVIOUS).write_bytes(b"half")
    with pytest.raises(InputError, match="--replace starts the run anew"):
        folder.latest(config, "")


def test_without_a_checkpoint_there_is_nothing_to_resume(config):
    assert folder.latest(config, "") is None


@pytest.mark.parametrize(
    ("override", "may_change"),
    [
        *[(f"train.{key}", True) for key in ("epoch=9", "save_every=3")],
        *[(text, True) for text in ("device=cpu", "root=elsewhere")],
        *[(f"train.{key}", False) for key in ("lr=0.1", "ema=0.5", "schedule=constant")],
        *[(text, False) for text in ("seed=1", "model.depth=2", "augment.shift=1", "batch_size=2")],
    ],
)
def test_a_resumed_run_keeps_its_configuration(config, saved, override, may_change):
    (saved.parent / "given.json").write_text(json.dumps(config.model_dump()))
    changed = load_config(saved.parent / "given.json", [override])
    if may_change:
        assert folder.latest(changed, "").epoch == 2
    else:
        with pytest.raises(InputError, match=rf"changed: {override.partition('=')[0]} \(was "):
            folder.latest(changed, "")


def saved_with(config, data):
    config.run_dir.mkdir(exist_ok=True)
    model = build_model(config)
    path = config.run_dir / LAST
    checkpoint.save(path, config=config, model=model, epoch=1, validation={}, data=data)


@pytest.mark.parametrize("name", ["PhantomMNIST3D", "./my/set.npz"])
def test_a_data_set_that_was_replaced_is_noticed(config, name):
    """Guards against a run that resumes with other volumes under the same name."""
    config = config.model_copy(update={"dataset_name": name})
    saved_with(config, "test:a train:b")
    assert folder.latest(config, "test:a train:b").epoch == 1
    with pytest.raises(
        InputError, match=r"was replaced since the run .*content: train.; --replace"
    ):
        folder.latest(config, "test:a train:c")
    saved_with(config, "")  # as written before there was a digest
    assert folder.latest(config, "test:a train:c").epoch == 1


def test_a_data_set_that_merely_moved_is_the_same(config, caplog):
    """Guards against a refusal where only the path is another, and against trust in any path."""
    begun, moved = (
        config.model_copy(update={"dataset_name": path}) for path in ("old/set.npz", "./new.npz")
    )
    saved_with(begun, "test:a train:b")
    assert folder.latest(moved, "test:a train:b").epoch == 1
    assert "old/set.npz has moved to ./new.npz; its content is the same" in caplog.text
    with pytest.raises(InputError, match=r"changed: dataset_name \(was 'old/set.npz'\)"):
        folder.latest(moved, "test:a train:c")
    saved_with(begun, "")
    with pytest.raises(InputError, match="changed: dataset_name"):
        folder.latest(moved, "")
    saved_with(config, "test:a train:b")
    with pytest.raises(InputError, match="changed: dataset_name"):
        folder.latest(moved, "test:a train:b")


def test_what_was_left_to_the_device_stays_as_it_was_begun(config, saved):
    """Guards against a run in bf16 that resumes in fp32, or is refused, on another device."""
    begun = config.model_copy(
        update={
            "distance": "on",
            "train": config.train.model_copy(update={"precision": "bf16"}),
        }
    )
    folder.start(begun, resumed=True)
    train = config.train.model_copy(update={"precision": "auto"})
    left_open = config.model_copy(update={"distance": "auto", "train": train})
    decided = folder.as_begun(left_open)
    assert (decided.distance, decided.train.precision) == ("on", "bf16")
    chosen = begun.model_copy(update={"distance": "off"})
    assert folder.as_begun(chosen).distance == "off"
    (saved / folder.CONFIG).unlink()
    assert folder.as_begun(left_open) == left_open


def test_a_resumed_run_keeps_the_channels_that_its_data_had(config):
    """Guards against a run of two scans that cannot be resumed, as its configuration says 1."""
    model = config.model.model_copy(update={"in_channels": 2})
    begun = config.model_copy(update={"model": model})
    assert folder.decided_as(begun, config).model.in_channels == 2
    assert folder.decided_as(config, begun).model.in_channels == 2
