"""Shows how a run comes to an answer: python explain.py base.json --index 12."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.data.dataset import prepare
from lmttm.data.labelled import SPLITS
from lmttm.data.preparation import Cut, to_cube
from lmttm.data.scans import read
from lmttm.data.sources import class_names_of, load_dataset
from lmttm.device import make_deterministic, pick_device
from lmttm.errors import InputError
from lmttm.evaluation.explanation import explain
from lmttm.report import figures, heatmap
from lmttm.runs import checkpoint
from lmttm.runs.checkpoint import BEST


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Shows where a run looked, and what moved it, for one volume.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--index", type=int, help="a volume of a split, from 0")
    which.add_argument("--input", metavar="PATH", help="a volume of your own, as for predict.py")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: test")
    return cli.run(_explain, parser, argv)


def _explain(args: argparse.Namespace) -> int:
    asked = load_config(args.config, args.overrides)
    saved = checkpoint.load(asked.run_dir / BEST)
    config = saved.config.model_copy(update={"root": asked.root, "device": asked.device})
    if config.model.model == "resnet3d":
        raise InputError("explain.py follows steps and memory; model.model=resnet3d has neither")
    device = pick_device(config.device)
    make_deterministic(config.seed)
    label = None
    if args.input:
        volume = torch.from_numpy(to_cube(read(Path(args.input)), config.size, Cut(), args.input))
        name = Path(args.input).name.split(".")[0] or "input"
    else:
        split = load_dataset(config).splits[args.split]
        if not 0 <= args.index < len(split):
            raise InputError(f"--index must be from 0 to {len(split) - 1}, got {args.index}")
        volume, label = split.images[args.index], split.labels[args.index].item()
        name = f"{args.split}-{args.index}"
    model = saved.build().to(device)
    found = explain(model, prepare(volume[None].to(device), config))
    found = type(found)(*(part[0].cpu().numpy() for part in found))

    folder = asked.run_dir / "explain"
    folder.mkdir(exist_ok=True)
    classes = class_names_of(config)
    title = f"{name}: " + (f"label {classes[label]}, " if label is not None else "")
    title += f"taken for {classes[found.probabilities.argmax()]}"
    picture = heatmap.draw(volume.numpy(), found, classes, title)
    figures.save(folder / f"{name}.png", picture)
    figures.save(folder / f"{name}-tokens.png", heatmap.draw_tokens(volume.numpy(), found, title))
    heatmap.animate(folder / f"{name}.gif", volume.numpy(), found, classes, title)
    print(f"{title}\nwritten to {folder}: {name}.png, {name}-tokens.png, {name}.gif")
    return 0


if __name__ == "__main__":
    sys.exit(main())
