"""TensorBoard events, read back by TensorBoard's own loader."""

import contextlib

from matplotlib.figure import Figure

from lmttm.config.files import load_config
from lmttm.config.keys import flatten
from lmttm.report.style import to_png
from lmttm.report.tensorboard import TensorBoard

KEYS = ("train_loss", "val_loss", "val_auc", "val_acc", "val_balanced_acc", "lr")


def record(epoch, **changes):
    return {"epoch": epoch} | dict.fromkeys(KEYS, epoch / 10) | changes


def write(folder, *records, first_epoch=None, first_step=None, figures=(), steps=()):
    with contextlib.closing(TensorBoard(folder, first_epoch, first_step)) as board:
        for one in records:
            board.add(one)
        for number, loss in steps:
            board.add_step(number, {"step_loss": loss})
        for name in figures:
            board.add_picture(name, to_png(Figure(figsize=(2, 1))))


def read(folder):
    """What TensorBoard's own loader makes of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def shown(folder):
    """What TensorBoard shows of a folder: the steps and values of each tag, and the pictures."""
    events = read(folder)
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
    (picture,) = read(tmp_path).Images("test/scores")
    assert (picture.width, picture.height) == (300, 150)
    assert picture.encoded_image_string.startswith(b"\x89PNG")


def test_a_board_without_events_leaves_no_file(tmp_path):
    write(tmp_path / "board")
    assert not (tmp_path / "board").exists()


def test_steps_are_counted_for_themselves(tmp_path):
    """Guards against epochs that void steps, as TensorBoard voids events by their number."""
    steps = [(number, number / 4) for number in range(1, 6)]
    write(tmp_path, record(1), steps=steps, first_epoch=1, first_step=1)
    # Killed in the second epoch, after a state was saved at step 3: the last two are done again.
    write(tmp_path, record(2), steps=[(4, 9.0), (5, 8.0)], first_epoch=2, first_step=4)
    scalars, _ = shown(tmp_path / "steps")
    assert scalars == {"step_loss": [(1, 0.25), (2, 0.5), (3, 0.75), (4, 9.0), (5, 8.0)]}
    assert shown(tmp_path)[0]["lr"] == [(1, 0.1), (2, 0.2)]


def test_hyper_parameters_are_all_keys_of_the_configuration(tmp_path):
    from tensorboard.plugins.hparams import metadata

    settings = flatten(load_config("demo.json").model_dump())
    with contextlib.closing(TensorBoard(tmp_path, 1)) as board:
        board.add_settings(settings)
        board.add(record(1))
    found = read(tmp_path).summary_metadata
    (content,) = [
        found[tag].plugin_data.content for tag in found if tag.endswith("session_start_info")
    ]
    given = metadata.parse_session_start_info_plugin_data(content).hparams
    assert set(given) == set(settings)
    assert given["model.dim"].number_value == settings["model.dim"]
    assert given["fast"].number_value == 1  # torch writes a bool as a number
    assert given["augment.flip_axes"].string_value == str(settings["augment.flip_axes"])
