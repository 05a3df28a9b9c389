"""Measures how the time of a training step grows with each size of a configuration.

python benchmarks/growth.py adrenalmnist3d.json [key=value ...]

One size grows while the others stay, and what is measured is fitted by a power of it:
seconds = factor * size ** exponent.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.report.style import BLUE, ORANGE, save
from lmttm.storage import write_text

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

# Torch reads the threads as it is loaded: `cli.run` settles them before the functions import it.

Row = dict[str, Any]


class Size(NamedTuple):
    """A size that grows.

    Attributes:
        label: What is counted.
        values: From the smallest to the largest.
        overrides: Those that give a configuration a value.
    """

    label: str
    values: tuple[int, ...]
    overrides: Callable[[Config, int], list[str]]


def _steps(config: Config, steps: int) -> list[str]:
    """A deeper volume: its slabs are the steps."""
    height, width = config.shape[1:]
    stride, patch = config.model.stride[0], config.model.patch[0]
    return [f"size=[{(steps - 1) * stride + patch},{height},{width}]"]


def _units(config: Config, units: int) -> list[str]:
    """More units, each of as many tokens as before."""
    tokens = units * (config.model.memory_tokens_size // config.model.num_units)
    return [f"model.num_blocks={units}", f"model.memory_tokens_size={tokens}"]


def _edge(config: Config, edge: int) -> list[str]:
    """A larger cube: more steps, and more input tokens in each."""
    return [f"size={edge}"]


def _key(name: str) -> Callable[[Config, int], list[str]]:
    return lambda _, value: [f"{name}={value}"]


SIZES = {
    "steps": Size("steps", (4, 8, 16, 32), _steps),
    "units": Size("memory units of the same size", (3, 5, 7, 9), _units),
    "tokens": Size("memory tokens", (64, 128, 256, 512), _key("model.memory_tokens_size")),
    "width": Size("width of a token", (64, 128, 256, 384), _key("model.dim")),
    "volume": Size("edge of a volume, voxels", (15, 21, 30, 42), _edge),
    "batch": Size("volumes of a step", (8, 16, 32, 64), _key("batch_size")),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Fits how the time of a training step grows with each size.")
    parser.add_argument("--repeats", type=int, default=5, help="timed steps (default: 5)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/growth"), help="default: runs/growth"
    )
    return cli.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from measuring import check_machine, machine

    from lmttm.device import pick_device
    from lmttm.training.setup import settle_precision

    # No named data set has volumes of all these sizes; these are of noise.
    overrides = [*args.overrides, "dataset_name=noise/"]
    config = load_config(args.config, overrides)
    check_machine(config, args.repeats)
    args.out.mkdir(parents=True, exist_ok=True)
    device = pick_device(config.device)
    result: dict[str, Any] = {
        "command": " ".join([args.config, *args.overrides]),
        **machine(device),
        "precision": settle_precision(config, device).train.precision,
        "repeats": args.repeats,
        "sizes": {},
    }
    for name, size in SIZES.items():
        configs = {
            value: load_config(args.config, [*overrides, *size.overrides(config, value)])
            for value in size.values
        }
        row = {"label": size.label, **_measured(configs, args.repeats, device)}
        result["sizes"][name] = row
        print(f"{size.label}: exponent {row['exponent']:.2f}", flush=True)
    text = table(result)
    write_text(args.out / "growth.json", json.dumps(result, indent=2) + "\n")
    write_text(args.out / "growth.md", text)
    save(args.out / "growth.png", draw(result))
    print(f"{text}written to {args.out}: growth.json, growth.md, growth.png")
    return 0


def _measured(configs: dict[int, Config], repeats: int, device: "torch.device") -> Row:
    from measuring import form, interleaved, trainer_of

    trainers = {
        value: trainer_of(form(config, fast=True, precision=config.train.precision), device)
        for value, config in configs.items()
    }
    calls = {value: trainer.train_epoch for value, trainer in trainers.items()}
    seconds = {
        value: statistics.median(times)
        for value, times in interleaved(calls, repeats, device).items()
    }
    exponent, factor = fit(list(seconds), list(seconds.values()))
    return {
        "values": list(seconds),
        "seconds": [round(value, 5) for value in seconds.values()],
        "exponent": round(exponent, 3),
        "factor": factor,
    }


def fit(sizes: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Fits seconds = factor * size ** exponent, by least squares on the logarithms.

    Returns:
        The exponent and the factor.
    """
    exponent, constant = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(exponent), float(np.exp(constant))


def table(result: dict[str, Any]) -> str:
    """What was measured, in Markdown.

    Args:
        result: As in `growth.json`.
    """
    lines = [
        f"{result['command']}, {result['precision']}: {result['device']} of {result['cores']} "
        f"cores, torch {result['torch']}, {result['date']}",
        "",
        f"| what grows | sizes | s of a training step, median of {result['repeats']} | exponent |",
        "|---|---|---|---|",
    ]
    for row in result["sizes"].values():
        sizes = ", ".join(map(str, row["values"]))
        seconds = ", ".join(f"{value:.3f}" for value in row["seconds"])
        lines.append(f"| {row['label']} | {sizes} | {seconds} | {row['exponent']:.2f} |")
    return "\n".join(lines) + "\n"


def draw(result: dict[str, Any]) -> "Figure":
    """A panel for each size, all with the same seconds, so that their slopes can be compared.

    Args:
        result: As in `growth.json`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, StrMethodFormatter

    figure = Figure(figsize=(9, 5.4), layout="constrained")
    panels = figure.subplots(2, 3, sharey=True)
    for panel, row in zip(panels.flat, result["sizes"].values(), strict=True):
        values = np.array(row["values"], dtype=float)
        line = row["factor"] * values ** row["exponent"]
        panel.loglog(values, line, color=ORANGE, linewidth=2)
        panel.loglog(values, row["seconds"], "o", color=BLUE)
        panel.set_title(f"exponent {row['exponent']:.2f}", fontsize=12)
        panel.set_xlabel(row["label"], fontsize=11)
        panel.xaxis.set_major_locator(FixedLocator(row["values"]))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.grid(alpha=0.3)
    figure.supylabel("seconds of a training step", fontsize=11)
    return figure


if __name__ == "__main__":
    sys.exit(main())
