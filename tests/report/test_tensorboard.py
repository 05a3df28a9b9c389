"""TensorBoard events, read back by TensorBoard's own loader."""

import contextlib

from matplotlib.figure import Figure

from lmttm.report.tensorboard import TensorBoard

KEYS = ("train_loss", "val_loss", "val_auc", "val_acc", "val_balanced_acc", "lr")


def record(epoch, **changes):
    return {"epoch": epoch} | dict.fromkeys(KEYS, epoch / 10) | changes


def write(folder, *records, first_epoch=None, figures=()):
    with contextlib.closing(TensorBoard(folder, first_epoch)) as board:
        for one in records:
            board.add(one)
        for name in figures:
            board.add_figure(name, Figure(figsize=(1, 1)))


def shown(folder):
    """What TensorBoard shows of a folder: the steps and values of each tag, and the pictures."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    tags = events.Tags()
    scalars = {
        tag: [(e.step, round(e.value, 6)) for e in events.Scalars(tag)] for tag in tags["scalars"]
    }
    return scalars, set(tags["images"])


def test_every_number_of_an_epoch_is_shown_at_its_epoch(tmp_path):
    write(tmp_path, record(1), record(2))
    scalars, _ = shown(tmp_path)
    assert set(scalars) == set(KEYS)
    assert all(values == [(1, 0.1), (2, 0.2)] for values in scalars.values())


def test_a_score_that_is_not_defined_leaves_a_gap(tmp_path):
    write(tmp_path, record(1), record(2, val_auc=None), record(3))
    scalars, _ = shown(tmp_path)
    assert scalars["val_auc"] == [(1, 0.1), (3, 0.3)]
    assert len(scalars["val_acc"]) == 3


def test_a_resumed_run_shows_each_epoch_once(tmp_path):
    """Guards against a curve that goes back: epochs that were lost are void."""
    write(tmp_path, record(1), record(2, lr=9.0), first_epoch=1)
    write(tmp_path, record(2), record(3), first_epoch=2)
    scalars, _ = shown(tmp_path)
    assert scalars["lr"] == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_pictures_stand_beside_the_curves(tmp_path):
    write(tmp_path, record(1), first_epoch=1)
    write(tmp_path, figures=["test/scores"])
    scalars, images = shown(tmp_path)
    assert images == {"test/scores"}
    assert scalars["lr"] == [(1, 0.1)]


def test_a_board_without_events_leaves_no_file(tmp_path):
    write(tmp_path / "board")
    assert not (tmp_path / "board").exists()
