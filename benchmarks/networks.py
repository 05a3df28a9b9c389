"""Measures a configuration beside the networks that a user would take instead.

python benchmarks/networks.py adrenalmnist3d.json [key=value ...]
python benchmarks/networks.py adrenalmnist3d.json root=FOLDER --until 0.85 --minutes 20

All take the same batches in the same precision, and are trained as the configuration says. They
take turns, so that a machine whose speed drifts slows them all alike. The first command measures
volumes per second, on volumes of noise; the second, on the data, how long each network trains
until its AUC on the validation split is reached.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.errors import InputError
from lmttm.storage import write_text

if TYPE_CHECKING:
    import torch

    from lmttm.config.schema import Config
    from lmttm.model.trace import Classifier

# Torch reads the threads as it is loaded: `cli.run` settles them before the functions import it.

Row = dict[str, Any]

NO_MONAI = (
    'MONAI is not installed, so that its networks are left out: pip install -e ".[benchmark]"'
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Measures a configuration beside networks of other libraries.")
    parser.add_argument("--repeats", type=int, default=3, help="timed steps (default: 3)")
    parser.add_argument("--until", type=float, metavar="AUC", help="trains to this validation AUC")
    parser.add_argument(
        "--minutes", type=float, default=10, help="of training, for each network (default: 10)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/networks"), help="default: runs/networks"
    )
    return cli.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from measuring import check_machine, machine
    from rivals import has_monai

    from lmttm.device import pick_device
    from lmttm.training.setup import settle_precision

    if args.until is not None and not 0.5 < args.until < 1:
        raise InputError(f"--until must lie between 0.5 and 1, got {args.until}")
    config = load_config(args.config, args.overrides)
    check_machine(config, args.repeats)
    device = pick_device(config.device)
    config = settle_precision(config, device)
    result: dict[str, Any] = {
        "command": " ".join([args.config, *args.overrides]),
        **machine(device),
        "precision": config.train.precision,
        "batch_size": config.batch_size,
    }
    if not has_monai():
        print(NO_MONAI, file=sys.stderr)
    if args.until is None:
        return _speed(args, config, device, result)
    return _race(args, config, device, result)


def _speed(
    args: argparse.Namespace, config: "Config", device: "torch.device", result: dict[str, Any]
) -> int:
    from measuring import classifies, interleaved, rate, split_of
    from rivals import networks

    from lmttm.data.placing import placed
    from lmttm.training.setup import make_trainer

    if config.distance == "auto":  # noise is no mask
        config = config.model_copy(update={"distance": "off"})
    split = split_of(config, device)
    seen = placed(split, config, device)
    calls: dict[tuple[str, str], Callable[[], object]] = {}
    rows: dict[str, Row] = {}
    for name, build in networks(config, Path(args.config).name).items():
        model = _built(build, config, device)
        rows[name] = {
            "network": name,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "gflop": round(gflop(model), 3),
        }
        calls[name, "training"] = make_trainer(config, split, model).train_epoch
        calls[name, "inference"] = classifies(model, seen, config)
    for (name, mode), seconds in interleaved(calls, args.repeats, device).items():
        rows[name][mode] = rate(seconds, config.batch_size)
    result |= {"repeats": args.repeats, "rows": list(rows.values())}
    text = speed_table(result)
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(args.out / "networks.json", json.dumps(result, indent=2) + "\n")
    write_text(args.out / "networks.md", text)
    print(f"{text}written to {args.out}: networks.json, networks.md")
    return 0


def _race(
    args: argparse.Namespace, config: "Config", device: "torch.device", result: dict[str, Any]
) -> int:
    from race import draw, race, race_table
    from rivals import networks

    from lmttm.data.placing import placed
    from lmttm.data.sources import load_dataset
    from lmttm.report.style import save
    from lmttm.training.checks import check
    from lmttm.training.setup import make_trainer, settle

    dataset = load_dataset(config)
    config = settle(config, dataset)
    trainers = {}
    for name, build in networks(config, Path(args.config).name).items():
        model = _built(build, config, device)
        check(config, dataset, model)
        trainers[name] = make_trainer(config, dataset.splits["train"], model)
    val = placed(dataset.splits["val"], config, device)
    args.out.mkdir(parents=True, exist_ok=True)
    result |= {"until": args.until, "minutes": args.minutes, "networks": {}}
    for name, point in race(
        trainers, val, until=args.until, minutes=args.minutes, epochs=config.train.epoch
    ):
        result["networks"].setdefault(name, []).append(point)
        print(json.dumps({"network": name, **point}), flush=True)
        write_text(args.out / "race.json", json.dumps(result, indent=2) + "\n")
    text = f"{_heading(result)}\n\n{race_table(result)}"
    write_text(args.out / "race.md", text)
    save(args.out / "race.png", draw(result))
    print(f"{text}written to {args.out}: race.json, race.md, race.png")
    return 0


def _built(
    build: Callable[[], "Classifier"], config: "Config", device: "torch.device"
) -> "Classifier":
    """A network with the weights of the configuration's seed, on a device."""
    from lmttm.device import make_deterministic

    make_deterministic(config.seed, device)
    return build().to(device)


def gflop(model: "Classifier") -> float:
    """GFLOP of one volume's forward pass, by torch's counter."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    volume = torch.zeros(1, *model.input_shape, device=next(model.parameters()).device)
    counter = FlopCounterMode(display=False)
    model.requires_grad_(False).eval()  # the counter refuses outputs that no weight has touched
    with sdpa_kernel(SDPBackend.MATH), counter:  # it does not see the CPU's fused attention
        model(volume)
    model.requires_grad_()
    return float(counter.get_total_flops()) / 1e9


def speed_table(result: dict[str, Any]) -> str:
    """What was measured, in Markdown; a factor is how many times the first row's rate it is.

    Args:
        result: As in `networks.json`.
    """
    lines = [
        _heading(result),
        "",
        f"| network | parameters, M | GFLOP a volume | training, volumes/s (slowest to fastest of "
        f"{result['repeats']}) | inference |",
        "|---|---|---|---|---|",
    ]
    first = result["rows"][0]
    for row in result["rows"]:
        cells = [row["network"], f"{row['parameters'] / 1e6:.2f}", f"{row['gflop']:.2f}"]
        for mode in ("training", "inference"):
            found, most = row[mode], first[mode]["volumes_per_second"]
            rate = found["volumes_per_second"]
            span = f"({found['slowest']:.1f} to {found['fastest']:.1f})"
            cells.append(f"{rate:.1f} {span}, {rate / most:.2f}x")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _heading(result: dict[str, Any]) -> str:
    return (
        f"{result['command']}, {result['precision']}, batches of {result['batch_size']}: "
        f"{result['device']} of {result['cores']} cores, torch {result['torch']}, {result['date']}"
    )


if __name__ == "__main__":
    sys.exit(main())
