"""Measures how fast a configuration trains and predicts, in its plain and its fast form.

python benchmarks/throughput.py base.json [key=value ...] [--sweep batch|dim|memory|steps]
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from measuring import (
    DTYPES,
    check_machine,
    form,
    inference_seconds,
    matrix_rate,
    peak_gib,
    rate,
    timed,
    trainer_of,
)

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.device import describe, pick_device
from lmttm.model.build import build_model
from lmttm.model.machine import LMTTM
from lmttm.report.style import BLUE, ORANGE, save
from lmttm.storage import write_text
from lmttm.sweeps.plan import cost

# What each sweep varies, over the base of the configuration; steps follow from the depth of the
# volumes.
SWEEPS = {
    "batch": ("batch_size", [8, 16, 32, 64], "volumes of a step"),
    "dim": ("model.dim", [64, 128, 256, 448], "width of a token"),
    "memory": ("model.memory_tokens_size", [64, 160, 256, 448, 896], "memory tokens"),
    "steps": ("", [9, 18, 27, 54, 108], "steps"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Measures volumes per second of training and inference.")
    parser.add_argument("--repeats", type=int, default=7, help="timed steps (default: 7)")
    parser.add_argument("--sweep", choices=SWEEPS, help="draw how the time of a step grows")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/benchmark"), help="default: runs/benchmark"
    )
    return cli.run(_measure, parser, argv)


def _measure(args: argparse.Namespace) -> int:
    config = load_config(args.config, args.overrides)
    check_machine(config, args.repeats)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.sweep:
        return _sweep(args, config)
    device = pick_device(config.device)
    edge = 8192 if device.type == "cuda" else 2048
    largest = _largest_product(config)
    result: dict[str, Any] = {
        "device": describe(device),
        "torch": torch.__version__,
        "batch_size": config.batch_size,
        "repeats": args.repeats,
        "matrix_gflops": {
            name: matrix_rate(kind, device, *[edge] * 3) for name, kind in DTYPES.items()
        },
        "largest_product_gflops": {
            name: matrix_rate(kind, device, *largest) for name, kind in DTYPES.items()
        },
    }
    print(json.dumps(result, indent=2))
    before = peak_gib(device)
    for fast in (True, False):
        name = "fast" if fast else "plain"
        gflop = round(cost(config.model_copy(update={"fast": fast}))[1], 3)
        result[name] = {"gflop_per_volume": gflop}
        # The peak of memory only grows: what takes least goes first.
        for precision in ("bf16", "fp32"):
            formed = form(config, fast=fast, precision=precision)
            seconds = timed(trainer_of(formed, device).train_epoch, args.repeats, device)
            found = rate(seconds, config.batch_size)
            work = 3 * gflop * found["volumes_per_second"]
            matrix = result["matrix_gflops"][precision]
            found["fraction_of_matrix_rate"] = round(work / matrix, 3)
            if fast:
                found["peak_gib_above_start"] = round(peak_gib(device) - before, 2)
            result[name][f"training_{precision}"] = found
            seconds = inference_seconds(formed, device, args.repeats)
            result[name][f"inference_{precision}"] = rate(seconds, config.batch_size)
        print(json.dumps({name: result[name]}, indent=2))
    write_text(args.out / "throughput.json", json.dumps(result, indent=2) + "\n")
    print(f"written to {args.out / 'throughput.json'}")
    return 0


def _sweep(args: argparse.Namespace, config: Config) -> int:
    from matplotlib.figure import Figure

    key, values, label = SWEEPS[args.sweep]
    rows = []
    for value in values:
        if key:
            varied = load_config(args.config, [*args.overrides, f"{key}={value}"])
        else:
            varied = config.model_copy(update={"size": [value, *config.shape[1:]]})
        device = pick_device(varied.device)
        trainer = trainer_of(form(varied, fast=True, precision="fp32"), device)
        times = timed(trainer.train_epoch, args.repeats, device)
        place = value if key else _grid(varied)[0]
        rows.append({"value": place, "seconds": statistics.median(times)})
        print(f"{label} {place}: {rows[-1]['seconds']:.3f} s a training step")
    write_text(args.out / f"{args.sweep}.json", json.dumps(rows, indent=2) + "\n")
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    panel = figure.subplots()
    places = [row["value"] for row in rows]
    seconds = [row["seconds"] for row in rows]
    panel.plot(places, seconds, "o-", color=BLUE, label="measured")
    line = [seconds[-1] * place / places[-1] for place in places]
    panel.plot(places, line, "--", color=ORANGE, label="in proportion")
    panel.set_xlabel(label)
    panel.set_ylabel("seconds of a training step")
    panel.set_xlim(0)
    panel.set_ylim(0)
    panel.grid(alpha=0.3)
    panel.legend()
    save(args.out / f"{args.sweep}.png", figure)
    print(f"written to {args.out}: {args.sweep}.json, {args.sweep}.png")
    return 0


def _largest_product(config: Config) -> tuple[int, int, int]:
    """Rows, inner and outer width of the model's largest product: all input tokens at once."""
    steps, tokens = _grid(form(config, fast=True, precision="fp32"))
    return config.batch_size * steps * tokens, config.model.dim, config.model.dim


def _grid(config: Config) -> tuple[int, int]:
    """Steps, and input tokens of each."""
    model = build_model(config)
    assert isinstance(model, LMTTM)  # `check_machine` refuses the baseline
    return model.tokenizer.grid(config.shape)


if __name__ == "__main__":
    sys.exit(main())
