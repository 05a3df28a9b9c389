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

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.data.dataset import Split
from lmttm.device import describe, make_deterministic, pick_device
from lmttm.errors import InputError
from lmttm.evaluation.evaluate import evaluate
from lmttm.model.build import build_model
from lmttm.model.machine import LMTTM
from lmttm.model.trace import Classifier
from lmttm.report.style import BLUE, ORANGE, save
from lmttm.storage import write_text
from lmttm.sweeps.plan import cost
from lmttm.training.setup import make_trainer

# What each sweep varies, over the base of the configuration; steps follow from the depth of the
# volumes, which is no key.
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
    if config.model.model == "resnet3d":
        raise InputError("the benchmark measures lmttm and ttm, got model.model=resnet3d")
    if args.repeats < 1:
        raise InputError(f"--repeats must be at least 1, got {args.repeats}")
    args.out.mkdir(parents=True, exist_ok=True)
    if args.sweep:
        return _sweep(args, config)
    device = pick_device(config.device)
    edge = 8192 if device.type == "cuda" else 2048
    result: dict[str, Any] = {
        "device": describe(device),
        "torch": torch.__version__,
        "batch_size": config.batch_size,
        "repeats": args.repeats,
        "matrix_gflops": {
            str(kind).removeprefix("torch."): _matrix_rate(kind, device, *[edge] * 3)
            for kind in (torch.float32, torch.bfloat16)
        },
        "largest_product_gflops": {
            str(kind).removeprefix("torch."): _matrix_rate(kind, device, *_largest_product(config))
            for kind in (torch.float32, torch.bfloat16)
        },
    }
    print(json.dumps(result, indent=2))
    before = _peak_gib(device)
    for fast in (True, False):
        form = "fast" if fast else "plain"
        result[form] = {
            "gflop_per_volume": round(cost(config.model_copy(update={"fast": fast}))[1], 3)
        }
        # The peak of memory only grows: what takes least goes first.
        for precision, kind in (("bf16", "bfloat16"), ("fp32", "float32")):
            formed = _form(config, fast=fast, bf16=precision == "bf16")
            rate = _rate(_train_seconds(formed, device, args.repeats), config.batch_size)
            work = 3 * result[form]["gflop_per_volume"] * rate["volumes_per_second"]
            rate["fraction_of_matrix_rate"] = round(work / result["matrix_gflops"][kind], 3)
            if fast:
                rate["peak_gib_above_start"] = round(_peak_gib(device) - before, 2)
            result[form][f"training_{precision}"] = rate
            seconds = _inference_seconds(formed, device, args.repeats)
            result[form][f"inference_{precision}"] = _rate(seconds, config.batch_size)
        print(json.dumps({form: result[form]}, indent=2))
    write_text(args.out / "throughput.json", json.dumps(result, indent=2) + "\n")
    print(f"written to {args.out / 'throughput.json'}")
    return 0


def _sweep(args: argparse.Namespace, config: Config) -> int:
    from matplotlib.figure import Figure

    key, values, label = SWEEPS[args.sweep]
    rows = []
    for value in values:
        varied = load_config(args.config, [*args.overrides, f"{key}={value}"]) if key else config
        depth = varied.size if key else value
        device = pick_device(varied.device)
        times = _train_seconds(_form(varied, fast=True), device, args.repeats, depth)
        place = value if key else _grid(varied, depth)[0]
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


def _matrix_rate(
    kind: torch.dtype, device: torch.device, rows: int, inner: int, columns: int
) -> float:
    """GFLOP/s of a matrix product."""
    left = torch.randn(rows, inner, device=device).to(kind)
    right = torch.randn(inner, columns, device=device).to(kind)
    seconds = statistics.median(_timed(lambda: left @ right, 5, device))
    return round(2 * rows * inner * columns / seconds / 1e9, 1)


def _largest_product(config: Config) -> tuple[int, int, int]:
    """Rows, inner and outer width of the model's largest product: all input tokens at once."""
    steps, tokens = _grid(_form(config, fast=True), config.size)
    return config.batch_size * steps * tokens, config.model.dim, config.model.dim


def _grid(config: Config, size: int) -> tuple[int, int]:
    """Steps, and input tokens of each, in a volume with edge `size`."""
    model = build_model(config)
    assert isinstance(model, LMTTM)  # `main` refuses the baseline
    return model.tokenizer.grid(size)


def _peak_gib(device: torch.device) -> float:
    """The most memory that was taken so far: the device's, or on the CPU the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _split(config: Config, device: torch.device, depth: int) -> Split:
    edge, count = config.size, config.batch_size
    images = torch.randint(256, (count, depth, edge, edge), dtype=torch.uint8)
    labels = torch.arange(count) % config.model.out_class_num
    return Split("train", images, labels).to(device)


def _form(config: Config, *, fast: bool, bf16: bool = False) -> Config:
    """The configuration that takes the fast form, or the plain one, which is never compiled."""
    train = {"precision": "bf16" if bf16 else "fp32"} | ({} if fast else {"compile": "off"})
    update = {"fast": fast, "distance": "off", "train": config.train.model_copy(update=train)}
    return config.model_copy(update=update)


def _model(config: Config, device: torch.device) -> Classifier:
    make_deterministic(config.seed)
    return build_model(config).to(device)


def _train_seconds(
    config: Config, device: torch.device, repeats: int, depth: int | None = None
) -> list[float]:
    """Seconds of one training step each: an epoch of a split of one batch."""
    split = _split(config, device, depth or config.size)
    trainer = make_trainer(config, split, _model(config, device))
    return _timed(trainer.train_epoch, repeats, device)


def _inference_seconds(config: Config, device: torch.device, repeats: int) -> list[float]:
    """Seconds of one batch each; in bf16 only here: train.py and predict.py score in fp32."""
    model, split = _model(config, device), _split(config, device, config.size)

    def infer() -> None:
        with torch.autocast(device.type, torch.bfloat16, config.train.precision == "bf16"):
            evaluate(model, split, batch_size=config.batch_size)

    return _timed(infer, repeats, device)


if __name__ == "__main__":
    sys.exit(main())
