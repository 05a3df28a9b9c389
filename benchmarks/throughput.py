"""Measures how fast a configuration trains and predicts, in its plain and its fast form.

python benchmarks/throughput.py base.json [key=value ...] [--sweep batch|dim|memory|steps]
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lmttm import cli, engine
from lmttm.augment import Augment
from lmttm.config import Config, load_config
from lmttm.data import Split
from lmttm.device import describe, make_deterministic, pick_device
from lmttm.figures import BLUE, ORANGE, save
from lmttm.model import build_model
from lmttm.storage import write_text
from lmttm.sweep import cost

# What each sweep varies, over the base of the configuration.
SWEEPS = {
    "batch": ("batch_size", [8, 16, 32, 64], "volumes of a step"),
    "dim": ("model.dim", [64, 128, 256, 448], "width of a token"),
    "memory": ("model.memory_tokens_size", [64, 160, 256, 448, 896], "memory tokens"),
    "steps": ("model.patch_size", [9, 7, 5, 4, 3], "steps"),
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
    args.out.mkdir(parents=True, exist_ok=True)
    if args.sweep:
        return _sweep(args, config)
    device = pick_device(config.device)
    result: dict[str, Any] = {
        "device": describe(device),
        "torch": torch.__version__,
        "batch_size": config.batch_size,
        "repeats": args.repeats,
        "matrix_gflops": {
            str(kind).removeprefix("torch."): _matrix_rate(kind, device)
            for kind in (torch.float32, torch.bfloat16)
        },
    }
    print(json.dumps(result, indent=2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    for fast in (True, False):  # the fast form first: its peak of memory is not the plain one's
        form = "fast" if fast else "plain"
        result[form] = {
            "gflop_per_volume": round(cost(config.model_copy(update={"fast": fast}))[1], 3)
        }
        for precision in ("fp32", "bf16"):
            seconds = _train_seconds(config, device, args.repeats, fast, precision == "bf16")
            result[form][f"training_{precision}"] = _rate(seconds, config.batch_size)
        seconds = _inference_seconds(config, device, args.repeats, fast)
        result[form]["inference_fp32"] = _rate(seconds, config.batch_size)
        if fast and device.type == "cpu":
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            result["training_gib_above_start"] = round(peak - before, 2)
        print(json.dumps({form: result[form]}, indent=2))
    if device.type == "cuda":
        result["peak_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
    for name in ("training_fp32", "training_bf16"):
        work = 3 * result["fast"]["gflop_per_volume"] * result["fast"][name]["volumes_per_second"]
        rate = result["matrix_gflops"]["float32" if name.endswith("32") else "bfloat16"]
        result["fast"][name]["fraction_of_matrix_rate"] = round(work / rate, 3)
    write_text(args.out / "throughput.json", json.dumps(result, indent=2) + "\n")
    print(f"written to {args.out / 'throughput.json'}")
    return 0


def _sweep(args: argparse.Namespace, config: Config) -> int:
    from matplotlib.figure import Figure

    key, values, label = SWEEPS[args.sweep]
    rows = []
    for value in values:
        varied = load_config(args.config, [*args.overrides, f"{key}={value}"])
        device = pick_device(varied.device)
        times = _train_seconds(varied, device, args.repeats, True, False)
        steps = build_model(varied).tokenizer.grid(varied.size)[0]
        place = steps if args.sweep == "steps" else value
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


def _rate(seconds: list[float], batch: int) -> dict[str, float]:
    rates = sorted(batch / value for value in seconds)
    return {
        "volumes_per_second": round(statistics.median(rates), 2),
        "slowest": round(rates[0], 2),
        "fastest": round(rates[-1], 2),
    }


def _timed(call: Callable[[], Any], repeats: int, device: torch.device) -> list[float]:
    """Seconds of each repeat, after two that warm up."""
    seconds = []
    for number in range(repeats + 2):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= 2:
            seconds.append(time.perf_counter() - began)
    return seconds


def _matrix_rate(kind: torch.dtype, device: torch.device) -> float:
    """GFLOP/s of a large matrix product."""
    edge = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(edge, edge, device=device).to(kind) for _ in range(2))
    seconds = statistics.median(_timed(lambda: left @ right, 5, device))
    return round(2 * edge**3 / seconds / 1e9, 1)


def _split(config: Config, device: torch.device) -> Split:
    edge, count = config.size, config.batch_size
    images = torch.randint(256, (count, edge, edge, edge), dtype=torch.uint8)
    labels = torch.arange(count) % config.model.out_class_num
    return Split("train", images, labels).to(device)


def _model(config: Config, device: torch.device, fast: bool) -> torch.nn.Module:
    make_deterministic(config.seed)
    return build_model(config.model_copy(update={"fast": fast, "distance": "off"})).to(device)


def _train_seconds(
    config: Config, device: torch.device, repeats: int, fast: bool, bf16: bool
) -> list[float]:
    """Seconds of one training step each: an epoch of a split of one batch."""
    model = _model(config, device, fast)
    train = config.train
    trainer = engine.Trainer(
        model,
        _split(config, device),
        augment=Augment(),
        optimizer=engine.make_optimizer(
            model, name=train.optimizer, lr=train.lr, weight_decay=train.weight_decay
        ),
        lr_at=lambda step: train.lr,
        seed=config.seed,
        batch_size=config.batch_size,
        bf16=bf16,
    )
    return _timed(trainer.train_epoch, repeats, device)


def _inference_seconds(
    config: Config, device: torch.device, repeats: int, fast: bool
) -> list[float]:
    model, split = _model(config, device, fast), _split(config, device)
    return _timed(
        lambda: engine.evaluate(model, split, batch_size=config.batch_size), repeats, device
    )


if __name__ == "__main__":
    sys.exit(main())
