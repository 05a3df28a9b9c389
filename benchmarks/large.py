"""Trains an epoch on data sets that may exceed memory: seconds a volume, and anonymous memory.

python benchmarks/large.py small.json device=cpu [key=value ...] [--volumes 1000 20000]

The volumes are a sparse file that takes no space on disk, in the form of a set of one's own.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from measuring import model_of, synchronize

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.data.sources import load_dataset
from lmttm.data.tables import SPLITS
from lmttm.device import describe, pick_device
from lmttm.errors import InputError
from lmttm.training.setup import make_trainer, settle

_OTHERS = 16  # volumes of the validation and the test split


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Measures training on data sets larger than memory.")
    parser.add_argument(
        "--volumes",
        type=int,
        nargs="+",
        default=[1000, 20000],
        help="of each training split (default: 1000 20000)",
    )
    parser.add_argument("--folder", type=Path, help="for the sparse files (default: temporary)")
    return cli.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    if min(args.volumes) < 2:
        raise InputError(f"--volumes must be at least 2, got {min(args.volumes)}")
    for volumes in args.volumes:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            given = [*args.overrides, f"dataset_name={folder}/", f"cache={folder}/cache"]
            config = load_config(args.config, [*given, "model.out_class_num=2"])
            write_set(Path(folder), config, volumes)
            print(json.dumps(measure(config)), flush=True)
    return 0


def write_set(folder: Path, config: Config, volumes: int) -> None:
    """Writes a set whose volumes are zeros; its training split has that many."""
    for split in SPLITS:
        count = volumes if split == "train" else _OTHERS
        shape = (count, *config.shape)
        np.lib.format.open_memmap(folder / f"{split}_images.npy", "w+", np.uint8, shape)
        np.save(folder / f"{split}_labels.npy", np.arange(count, dtype=np.uint8)[:, None] % 2)


def measure(config: Config) -> dict[str, Any]:
    """Trains an epoch; returns the seconds a volume and the most anonymous memory on the way."""
    device = pick_device(config.device)
    opened = []
    for _ in range(2):  # what is remembered of the files saves the second from reading them
        began = time.perf_counter()
        dataset = load_dataset(config)
        dataset.digest()
        opened.append(round(time.perf_counter() - began, 2))
    config = settle(config, dataset)
    trainer = make_trainer(config, dataset.splits["train"], model_of(config, device))
    most = anonymous_gib()

    def watch() -> bool:
        nonlocal most
        if trainer.steps_done % 10 == 0:
            most = max(most, anonymous_gib())
        return False

    count = len(trainer.split)
    began, processor = time.perf_counter(), time.process_time()
    trainer.train_epoch(watch)
    synchronize(device)
    return {
        "device": describe(device),
        "volumes": count,
        "gib_of_volumes": round(count * np.prod(config.shape) / 2**30, 2),
        "seconds_to_open": opened,
        "ms_per_volume": round(1000 * (time.perf_counter() - began) / count, 2),
        "processor_ms_per_volume": round(1000 * (time.process_time() - processor) / count, 2),
        "anonymous_gib": round(max(most, anonymous_gib()), 2),
    }


def anonymous_gib() -> float:
    """Memory of the process that is no file (RssAnon); 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith("RssAnon")]
    return int(found[0]) / 2**20 if found else 0.0


if __name__ == "__main__":
    sys.exit(main())
