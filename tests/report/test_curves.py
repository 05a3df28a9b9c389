"""The picture of a training: the records of its epochs, with what chance gives."""

import numpy as np
import pytest

from lmttm.report.curves import curves


def record(epoch, **changes):
    keys = ("train_loss", "val_loss", "val_auc", "val_acc", "val_balanced_acc", "lr")
    return {"epoch": epoch, "best": False} | dict.fromkeys(keys, epoch / 10) | changes


def test_curves_are_the_records_of_the_epochs():
    history = [record(1, best=True), record(2, best=True, val_auc=None), record(3)]
    figure = curves(history, title="some run, 5 volumes", majority=0.75)
    assert figure.get_suptitle() == "some run, 5 volumes"
    loss, scores, rate = figure.axes
    drawn = {line.get_label(): line.get_ydata() for line in (*loss.lines, *scores.lines)}
    np.testing.assert_allclose(drawn["training"], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(drawn["AUC"], [0.1, np.nan, 0.3])
    np.testing.assert_allclose(drawn["AUC by chance"], 0.5)
    np.testing.assert_allclose(drawn["ACC of the majority"], 0.75)
    np.testing.assert_allclose(rate.lines[0].get_ydata(), [0.1, 0.2, 0.3])
    # The dotted line marks the epoch whose weights are kept: the last of the best ones.
    assert {tuple(panel.lines[-1].get_xdata()) for panel in (loss, scores, rate)} == {(2, 2)}


@pytest.mark.parametrize("epochs", [1, 2, 50])
def test_epochs_are_whole_numbers_and_nothing_lies_outside(epochs):
    """Guards against an axis from 0.96 to 1.04 where there is one epoch."""
    figure = curves([record(epoch, best=True) for epoch in range(1, epochs + 1)])
    figure.draw_without_rendering()
    for panel in figure.axes:
        low, high = panel.get_xlim()
        assert (low, high) == (0.5, epochs + 0.5)
        shown = [tick for tick in panel.get_xticks() if low <= tick <= high]
        assert shown
        assert all(tick == int(tick) for tick in shown)
    assert figure.axes[2].get_ylim()[0] == 0  # not a millionth around a single rate
    for panel in figure.axes[:2]:
        bottom, top = panel.get_ylim()
        for line in panel.lines[:2]:
            assert (bottom <= line.get_ydata()).all() or top > 1
            assert (line.get_ydata() <= max(top, epochs / 10)).all()
