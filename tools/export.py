"""Exports a run: python tools/export.py base.json writes ONNX, pre-processing, a model card.

With --weights FOLDER it writes safetensors in the form of the shipped models instead.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone that is not installed

import lmttm
from lmttm import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Exports a run with its model card.", runs=True)
    parser.add_argument(
        "--weights", metavar="FOLDER", help="write safetensors there, as in weights/, instead"
    )
    return cli.run(_export, parser, argv)


def _export(args: argparse.Namespace) -> int:
    run = lmttm.open_run(args.config, args.overrides)
    if args.weights:
        run.save_weights(args.weights)
        print(f"written to {args.weights}: model.safetensors, its configuration, scores and card")
        return 0
    from lmttm.report import text

    found = run.export()
    print(
        f"onnxruntime gives the same logits on {found.num_volumes} volumes (to "
        f"{found.difference:.1g})\n"
        + text.written(found.folder, ["model.onnx", "preprocessing.json", "model_card.md"])
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
