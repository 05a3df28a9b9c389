"""Takes a run away: python export.py base.json writes ONNX, pre-processing and a model card."""

import argparse
import json
import sys
from collections.abc import Sequence

import torch

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.data.dataset import prepare
from lmttm.data.sources import class_names_of, load_dataset
from lmttm.runs import checkpoint, export
from lmttm.runs.checkpoint import BEST
from lmttm.storage import write_text

CHECKED_VOLUMES = 32


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Exports the best checkpoint of a run as ONNX, with a model card.")
    return cli.run(_export, parser, argv)


def _export(args: argparse.Namespace) -> int:
    asked = load_config(args.config, args.overrides)
    saved = checkpoint.load(asked.run_dir / BEST)
    config = saved.config.model_copy(update={"root": asked.root})
    images = load_dataset(config).splits["val"].images
    chosen = torch.arange(max(CHECKED_VOLUMES, 2)) % len(images)
    names = class_names_of(config)
    scored = asked.run_dir / "test" / "metrics.json"
    scores = json.loads(scored.read_text(encoding="utf-8")) if scored.is_file() else None

    folder = asked.run_dir / "export"
    folder.mkdir(exist_ok=True)
    difference = export.write_onnx(
        folder / "model.onnx", saved.build(), prepare(images[chosen], config)
    )
    write_text(folder / "preprocessing.json", export.to_json(export.preprocessing(saved, names)))
    write_text(folder / "model_card.md", export.model_card(saved, names, scores))
    print(
        f"onnxruntime gives the same logits on {len(chosen)} volumes (to {difference:.1g})\n"
        f"written to {folder}: model.onnx, preprocessing.json, model_card.md"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
