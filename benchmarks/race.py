"""How long each network trains until its AUC on the validation split is reached."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lmttm.data.dataset import Split
from lmttm.evaluation import metrics
from lmttm.evaluation.evaluate import evaluate
from lmttm.report.style import colour_of
from lmttm.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Point = dict[str, Any]


def race(
    trainers: Mapping[str, Trainer], val: Split, *, until: float, minutes: float, epochs: int
) -> Iterator[tuple[str, Point]]:
    """Trains networks in turn, an epoch each, until each has reached its end.

    Args:
        trainers: By network.
        val: The validation split.
        until: The AUC at which a network has reached its end.
        minutes: Those of its own after which it has reached it as well.
        epochs: The last one of its schedule.

    Yields:
        A network and its `epoch`, `minutes` (of its training and validation so far) and `val_auc`.
    """
    spent = dict.fromkeys(trainers, 0.0)
    running = list(trainers)
    while running:
        for name in list(running):
            trainer, began = trainers[name], time.perf_counter()
            trainer.train_epoch()
            logits = evaluate(trainer.model_to_keep, val, batch_size=trainer.batch_size)
            spent[name] += (time.perf_counter() - began) / 60
            probabilities = logits.double().softmax(dim=1).numpy()
            auc = metrics.score(val.labels.cpu().numpy(), probabilities)["auc"]
            if auc >= until or spent[name] >= minutes or trainer.epoch >= epochs:
                running.remove(name)
            yield name, {"epoch": trainer.epoch, "minutes": round(spent[name], 3), "val_auc": auc}


def race_table(result: dict[str, Any]) -> str:
    """When each network reached the AUC, in Markdown.

    Args:
        result: As in `race.json`.
    """
    until = result["until"]
    lines = [
        f"| network | minutes to a validation AUC of {until} | epochs | best AUC |",
        "|---|---|---|---|",
    ]
    for name, points in result["networks"].items():
        last, best = points[-1], max(point["val_auc"] for point in points)
        more = "" if best >= until else "not within "
        lines.append(f"| {name} | {more}{last['minutes']:.1f} | {last['epoch']} | {best:.3f} |")
    return "\n".join(lines) + "\n"


def draw(result: dict[str, Any]) -> "Figure":
    """The AUC of each network against its minutes.

    Args:
        result: As in `race.json`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    figure = Figure(figsize=(8, 5), layout="constrained")
    panel = figure.subplots()
    for number, (name, points) in enumerate(result["networks"].items()):
        minutes = [point["minutes"] for point in points]
        scores = [point["val_auc"] for point in points]
        panel.plot(minutes, scores, ".-", color=colour_of(number), label=name)
    panel.axhline(result["until"], color="grey", linestyle=":", linewidth=1)
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.set_xlabel("minutes of training and validation", fontsize=11)
    panel.set_ylabel("AUC on the validation split", fontsize=11)
    panel.grid(alpha=0.3)
    figure.legend(loc="outside lower center", fontsize=9, ncols=3)
    return figure
