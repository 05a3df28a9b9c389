"""Measures how fast a configuration trains and predicts, in its plain and its fast form.

python benchmarks/throughput.py base.json [key=value ...] [--busy]

The forms take turns, so that their ratios are right on a machine whose speed drifts. With `--busy`
all of it is measured twice: alone, and beside a second process that trains the same configuration
with as many threads.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from load import Load, competing

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.storage import write_text

if TYPE_CHECKING:
    import torch

    from lmttm.config.schema import Config

# Torch reads the threads as it is loaded: `cli.run` settles them before the functions import it.

Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Measures volumes per second of training and inference.")
    parser.add_argument("--repeats", type=int, default=7, help="timed steps (default: 7)")
    parser.add_argument("--busy", action="store_true", help="also beside a competing load")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/benchmark"), help="default: runs/benchmark"
    )
    return cli.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from measuring import DTYPES, check_machine, machine, matrix_rate

    from lmttm.device import pick_device
    from lmttm.sweeps.cost import cost

    config = load_config(args.config, args.overrides)
    check_machine(config, args.repeats)
    args.out.mkdir(parents=True, exist_ok=True)
    device = pick_device(config.device)
    edge = 8192 if device.type == "cuda" else 2048
    shapes = {"matrix_gflops": (edge,) * 3, "largest_product_gflops": _largest_product(config)}
    result: dict[str, Any] = {
        "command": " ".join([args.config, *args.overrides]),
        **machine(device),
        "batch_size": config.batch_size,
        "repeats": args.repeats,
        **{
            name: {kind: matrix_rate(dtype, device, *shape) for kind, dtype in DTYPES.items()}
            for name, shape in shapes.items()
        },
        "gflop_per_volume": {
            name: round(cost(config.model_copy(update={"fast": name == "fast"}))[1], 3)
            for name in ("plain", "fast")
        },
    }
    print(json.dumps(result, indent=2))
    busy = competing([args.config, *args.overrides]) if args.busy else contextlib.nullcontext()
    with busy as load:
        result["rows"] = _rows(config, args.repeats, device, load)
    text = table(result)
    write_text(args.out / "throughput.json", json.dumps(result, indent=2) + "\n")
    write_text(args.out / "throughput.md", text)
    print(f"{text}written to {args.out}: throughput.json, throughput.md")
    return 0


def _rows(config: "Config", repeats: int, device: "torch.device", load: Load | None) -> list[Row]:
    from measuring import form, inference_of, interleaved, peak_gib, rate, trainer_of

    start = peak_gib(device)
    calls: dict[tuple[str, str, str], Callable[[], object]] = {}
    peaks: dict[tuple[str, str], Row] = {}
    for fast in (True, False):
        # The peak of memory only grows: what takes least goes first.
        for precision in ("bf16", "fp32"):
            formed = form(config, fast=fast, precision=precision)
            name = "fast" if fast else "plain", precision
            trainer = trainer_of(formed, device)
            calls["training", *name] = trainer.train_epoch
            calls["inference", *name] = inference_of(formed, device)
            if fast:
                trainer.train_epoch()
                peaks[name] = {"peak_gib_above_start": round(peak_gib(device) - start, 2)}

    def measured() -> dict[tuple[str, str, str], Row]:
        seconds = interleaved(calls, repeats, device)
        return {name: dict(rate(values, config.batch_size)) for name, values in seconds.items()}

    free = measured()
    busy = {}
    if load:
        with load.running():
            busy = {name: {"busy": row} for name, row in measured().items()}
    return [
        {"mode": mode, "form": form, "precision": precision}
        | free[mode, form, precision]
        | busy.get((mode, form, precision), {})
        | (peaks.get((form, precision), {}) if mode == "training" else {})
        for mode, form, precision in calls
    ]


def _largest_product(config: "Config") -> tuple[int, int, int]:
    """Rows, inner and outer width of the model's largest product: all input tokens at once."""
    from measuring import form, steps_and_tokens

    steps, tokens = steps_and_tokens(form(config, fast=True, precision="fp32"))
    return config.batch_size * steps * tokens, config.model.dim, config.model.dim


def table(result: dict[str, Any]) -> str:
    """What was measured, in Markdown: a line for each mode and precision, a column for each form.

    Args:
        result: As in `throughput.json`.
    """
    rows = {(row["form"], row["mode"], row["precision"]): row for row in result["rows"]}
    forms = ("plain", "fast")
    kinds = ("", "busy") if "busy" in result["rows"][0] else ("",)
    heads = [f"{form} form{', beside a load' if kind else ''}" for kind in kinds for form in forms]
    lines = [
        f"{result['command']}: {result['device']} of {result['cores']} cores, torch "
        f"{result['torch']}, {result['date']}",
        "",
        f"| volumes/s, median (slowest to fastest of {result['repeats']}), times the plain form "
        f"in fp32 | {' | '.join(heads)} |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for mode in ("training", "inference"):
        published = rows["plain", mode, "fp32"]["volumes_per_second"]
        for precision in ("bf16", "fp32"):
            found = [
                rows[form, mode, precision][kind] if kind else rows[form, mode, precision]
                for kind in kinds
                for form in forms
            ]
            cells = [_cell(row, published) for row in found]
            lines.append(f"| {mode}, {precision} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: Row, published: float) -> str:
    """The rate of a form, and how many times that of the published way of computing it is."""
    rate = row["volumes_per_second"]
    return f"{rate:.1f} ({row['slowest']:.1f} to {row['fastest']:.1f}), {rate / published:.2f}x"


if __name__ == "__main__":
    sys.exit(main())
