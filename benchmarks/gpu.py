"""Measures on a GPU what is worth knowing of it, in parts that each have a time limit.

python benchmarks/gpu.py [base.json] [key=value ...] [--root FOLDER] [--minutes 5]

Each part is a process of its own: one that fails or takes too long costs no other its figures.
After each, `gpu.json` and the table `gpu.md` in the folder `--out` hold what there is so far.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gpu_table import table
from measuring import (
    DTYPES,
    check_machine,
    form,
    matrix_rate,
    model_of,
    peak_gib,
    rate,
    split_of,
    synchronize,
    timed,
    trainer_of,
)

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.device import describe
from lmttm.errors import InputError, RunError
from lmttm.storage import write_text
from lmttm.sweeps.cost import cost
from lmttm.training.captured import Captured
from lmttm.training.compiled import Compiled

ROOT = Path(__file__).resolve().parent.parent

Row = dict[str, Any]


class Part(NamedTuple):
    """A part: what measures it, and how many seconds it may take where all have 5 minutes."""

    measure: Callable[[argparse.Namespace], Iterator[Row]]
    limit: float


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return cli.run(_run, _parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measures speed and memory on a GPU, in parts.")
    parser.add_argument("config", nargs="?", default="base.json", help="default: base.json")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for every part")
    parser.add_argument("--device", default="cuda", help="cuda (the default), cuda:N or cpu")
    parser.add_argument("--recipe", default="adrenalmnist3d.json", help="what a seed trains")
    parser.add_argument(
        "--root",
        type=Path,
        help="folder of the recipe's data; without it phantoms take their place",
    )
    parser.add_argument("--batches", nargs=2, type=int, default=[32, 256], help="default: 32 256")
    parser.add_argument("--repeats", type=int, default=5, help="timed epochs of each figure")
    parser.add_argument("--steps", type=int, default=5, help="training steps of such an epoch")
    parser.add_argument(
        "--minutes",
        type=float,
        default=5,
        help="for all parts, whose own limits grow with it (default: 5)",
    )
    parts = f"of {', '.join(PARTS)} (default: all, in this order)"
    parser.add_argument("--parts", nargs="+", choices=PARTS, metavar="PART", help=parts)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="default: runs/gpu")
    parser.add_argument("--inside", choices=PARTS, help=argparse.SUPPRESS)  # measures that part
    return parser


def _run(args: argparse.Namespace) -> int:
    _check(args)
    if args.inside:
        for row in PARTS[args.inside].measure(args):
            with (args.out / f"{args.inside}.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        return 0
    # A stopped visit ends its part as well.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _all_parts(args)
    finally:
        signal.signal(signal.SIGTERM, before)


def _all_parts(args: argparse.Namespace) -> int:
    """Runs the parts one after the other and writes what there is after each."""
    args.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * args.minutes
    result: dict[str, Any] = {"config": args.config, "overrides": args.overrides, "parts": {}}
    for name in args.parts or _possible(args.device):
        result["parts"][name] = _part(name, args, end)
        write_text(args.out / "gpu.json", json.dumps(result, indent=2) + "\n")
        write_text(args.out / "gpu.md", table(result))
        print(f"{name}: {result['parts'][name]['outcome']}", flush=True)
    print(table(result))
    print(f"written to {args.out}: gpu.json, gpu.md")
    ended_well = [part["outcome"] == "done" for part in result["parts"].values()]
    return 0 if all(ended_well) else 1


def _possible(device: str) -> list[str]:
    """The parts that a device has: only CUDA captures."""
    return [name for name in PARTS if device != "cpu" or not name.startswith("captured")]


def _check(args: argparse.Namespace) -> None:
    if args.device != "cpu" and not torch.cuda.is_available():
        raise InputError("gpu.py needs an NVIDIA GPU; --device cpu runs it without one")
    check_machine(load_config(args.config, args.overrides), args.repeats)


def _part(name: str, args: argparse.Namespace, end: float) -> dict[str, Any]:
    """Runs a part as a process; returns its outcome, its seconds and what it has measured."""
    limit = min(PARTS[name].limit * args.minutes / 5, end - time.monotonic())
    if limit < 5:
        return {"outcome": "left out: no time was left", "seconds": 0.0, "rows": []}
    rows = args.out / f"{name}.jsonl"
    rows.unlink(missing_ok=True)
    began = time.monotonic()
    with (args.out / f"{name}.log").open("w") as log:
        # Its own group: the compiler's processes end with it.
        process = subprocess.Popen(
            [sys.executable, __file__, *_arguments(args), "--inside", name],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=limit)
            outcome = "done" if code == 0 else f"failed with exit code {code}: see {log.name}"
        except subprocess.TimeoutExpired:
            outcome = f"stopped at its limit of {limit:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    lines = rows.read_text(encoding="utf-8").splitlines() if rows.exists() else []
    return {
        "outcome": outcome,
        "seconds": round(time.monotonic() - began, 1),
        "rows": [json.loads(line) for line in lines],
    }


def _arguments(args: argparse.Namespace) -> list[str]:
    names = ("device", "recipe", "repeats", "steps", "out")
    options = [text for name in names for text in (f"--{name}", str(getattr(args, name)))]
    root = ["--root", str(args.root)] if args.root else []
    batches = ["--batches", *map(str, args.batches)]
    return [args.config, *args.overrides, *options, *root, *batches]


def _card(args: argparse.Namespace) -> Iterator[Row]:
    device = torch.device(args.device)
    edge = 8192 if device.type == "cuda" else 1024
    config = load_config(args.config, args.overrides)
    yield {
        "device": describe(device),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
    yield {
        "gflop_per_volume": {
            name: round(cost(config.model_copy(update={"fast": name == "fast"}))[1], 3)
            for name in ("plain", "fast")
        }
    }
    yield {
        "matrix_gflops": {
            name: matrix_rate(kind, device, *[edge] * 3) for name, kind in DTYPES.items()
        }
    }


def _eager(batch: int) -> Callable[[argparse.Namespace], Iterator[Row]]:
    """Measures the plain and the fast form, uncompiled, with the first or the second batch size."""

    def measure(args: argparse.Namespace) -> Iterator[Row]:
        for fast in (True, False):
            for precision in ("bf16", "fp32"):
                config = _config(args, batch, fast=fast, precision=precision)
                row = {"form": "fast" if fast else "plain", "precision": precision}
                yield row | _training(config, args)
                yield row | _inference(config, args)

    return measure


def _captured(batch: int) -> Callable[[argparse.Namespace], Iterator[Row]]:
    """Measures the training of the fast form, captured as train.py does it on a GPU."""

    def measure(args: argparse.Namespace) -> Iterator[Row]:
        for precision in ("bf16", "fp32"):
            config = _config(args, batch, fast=True, precision=precision, compile="graph")
            yield {"form": "captured", "precision": precision} | _training(config, args)

    return measure


def _compiled(batch: int, precision: str) -> Callable[[argparse.Namespace], Iterator[Row]]:
    """Measures the fast form, compiled as `train.compile=on` does it."""

    def measure(args: argparse.Namespace) -> Iterator[Row]:
        config = _config(args, batch, fast=True, precision=precision, compile="on")
        row = {"form": "compiled", "precision": precision}
        yield row | _training(config, args)
        yield row | _inference(config, args, compiled=True)

    return measure


def _config(args: argparse.Namespace, batch: int, **choices: Any) -> Config:
    config = load_config(args.config, [*args.overrides, f"batch_size={args.batches[batch]}"])
    return form(config, **choices)


def _training(config: Config, args: argparse.Namespace) -> Row:
    device = torch.device(args.device)
    _reset_peak(device)
    trainer = trainer_of(config, device, steps=args.steps)
    began = time.perf_counter()
    trainer.train_epoch()
    synchronize(device)
    first = time.perf_counter() - began
    seconds = timed(trainer.train_epoch, args.repeats, device)
    _check_launch(trainer.run)
    return _row("training", config, [value / args.steps for value in seconds], first, device)


@torch.no_grad()
def _inference(config: Config, args: argparse.Namespace, *, compiled: bool = False) -> Row:
    """In fp32 and uncompiled as predict.py does it; else it says what the machine could do."""
    device = torch.device(args.device)
    _reset_peak(device)
    model, split = model_of(config, device).eval(), split_of(config, device)
    classify: Callable[[Tensor], Tensor] = model
    if compiled:
        classify = Compiled(lambda volumes: model(volumes), config.batch_size, graphs=True)

    def infer() -> None:
        with torch.autocast(device.type, torch.bfloat16, config.train.precision == "bf16"):
            classify(split.inputs(slice(None))).float().cpu()

    began = time.perf_counter()
    infer()
    first = time.perf_counter() - began
    seconds = timed(infer, args.repeats, device)
    _check_launch(classify)
    return _row("inference", config, seconds, first, device)


def _row(
    mode: str, config: Config, seconds: list[float], first: float, device: torch.device
) -> Row:
    return {
        "mode": mode,
        "batch": config.batch_size,
        **rate(seconds, config.batch_size),
        "first_seconds": round(first, 2),  # with the compilation, where there is one
        "peak_gib": round(peak_gib(device), 2),
    }


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _check_launch(call: Any) -> None:
    """Raises a RunError where compiling or capturing failed: the figures are the eager form's."""
    if isinstance(call, Compiled) and call.compiled is None:
        raise RunError("compiling failed: the figures would be those of the uncompiled form")
    if isinstance(call, Captured) and call.graphed is None:
        raise RunError("capturing failed: the figures would be those of the uncaptured form")


def _recipe(compiled: str) -> Callable[[argparse.Namespace], Iterator[Row]]:
    """Trains and scores a seed by the two commands that a user gives."""

    def measure(args: argparse.Namespace) -> Iterator[Row]:
        name = f"recipe-compile-{compiled}"
        places = [f"output_dir={args.out / 'runs'}", f"train.name={name}", f"device={args.device}"]
        real = args.root and (args.root / f"{Path(args.recipe).stem}.npz").is_file()
        source = [f"root={args.root}"] if real else ["dataset_name=PhantomMNIST3D"]
        common = [args.recipe, *args.overrides, *source, *places, f"train.compile={compiled}"]
        row: Row = {"recipe": args.recipe, "data": "its own" if real else "phantoms"}
        row["compile"] = compiled
        row["train_seconds"] = _seconds("train.py", *common, "seed=0", "--replace")
        run = args.out / "runs" / name
        epochs = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        row["epochs"] = len(epochs)
        row["first_epoch_seconds"] = epochs[0]["seconds"]
        row["epoch_seconds"] = statistics.median(epoch["seconds"] for epoch in epochs)
        yield row  # before the scores: these are of another command
        row["predict_seconds"] = _seconds("predict.py", *common)
        scores = json.loads((run / "test" / "metrics.json").read_text())
        yield row | {name: scores[name] for name in ("acc", "auc")}

    return measure


def _seconds(script: str, *arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, str(ROOT / script), *arguments], check=True)
    return round(time.perf_counter() - began, 1)


# The most telling first: what comes last is left out where the time is up.
PARTS = {
    "card": Part(_card, 40),
    "eager-small": Part(_eager(0), 50),
    "captured-small": Part(_captured(0), 40),
    "recipe": Part(_recipe("auto"), 90),
    "compiled-bf16-small": Part(_compiled(0, "bf16"), 90),
    "eager-large": Part(_eager(1), 50),
    "captured-large": Part(_captured(1), 50),
    "recipe-eager": Part(_recipe("off"), 60),
    "compiled-bf16-large": Part(_compiled(1, "bf16"), 80),
    "compiled-fp32-small": Part(_compiled(0, "fp32"), 80),
    "compiled-fp32-large": Part(_compiled(1, "fp32"), 80),
}

if __name__ == "__main__":
    sys.exit(main())
