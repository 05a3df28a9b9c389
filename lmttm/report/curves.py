"""A picture of how a training went."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lmttm.report.style import BLUE, GREEN, ORANGE, put_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES = (
    (0, "train_loss", "training", BLUE, "-"),
    (0, "val_loss", "validation", ORANGE, "--"),
    (1, "val_auc", "AUC", BLUE, "-"),
    (1, "val_acc", "ACC", ORANGE, "--"),
    (1, "val_balanced_acc", "balanced ACC", GREEN, ":"),
    (2, "lr", "learning rate", BLUE, "-"),
)
_TITLES = (
    ("loss", "cross-entropy, nats"),
    ("validation scores", "score"),
    ("learning rate", "step size"),
)


def curves(
    history: list[dict[str, Any]], *, title: str = "", majority: float | None = None
) -> "Figure":
    """Draws how a training went: losses, validation scores and the learning rate.

    Args:
        history: The records of `log.jsonl`, at least one.
        title: Such as the run, the data set and the number of volumes.
        majority: Share of the most frequent class of the validation split, which a constant
            answer reaches as its ACC; None where it is not known.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [record["epoch"] for record in history]
    kept = max(record["epoch"] for record in history if record["best"])
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    put_title(figure, title)
    panels = figure.subplots(1, 3)
    for panel, key, label, colour, style in _LINES:
        values = [np.nan if record[key] is None else record[key] for record in history]
        marker = "o" if len(epochs) < 10 else None
        panels[panel].plot(epochs, values, style, color=colour, label=label, marker=marker, ms=4)
    chance = {"color": "grey", "linewidth": 1}
    panels[1].axhline(0.5, linestyle=":", label="AUC by chance", **chance)
    if majority is not None:
        panels[1].axhline(majority, linestyle="-.", label="ACC of the majority", **chance)
    for panel, (name, unit) in zip(panels, _TITLES, strict=True):
        panel.axvline(kept, color="black", linewidth=0.8, linestyle=(0, (1, 3)))
        panel.set_title(name)
        panel.set_xlabel(f"epoch (dotted: weights kept, {kept})")
        panel.set_ylabel(unit)
        panel.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)  # also of a single epoch
        panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        panel.grid(alpha=0.3)
    for panel in panels[:2]:  # below, where they hide no line
        panel.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    losses, scores = (
        [record[key] for record in history for n, key, *_ in _LINES if n == number]
        for number in (0, 1)
    )
    panels[0].set_ylim(0, 1.08 * max(losses) or 1)
    panels[2].set_ylim(0, 1.08 * max(record["lr"] for record in history) or 1)
    panels[1].set_ylim(min(0.5, *(s for s in scores if s is not None)) - 0.05, 1.03)
    return figure
