"""Measures what it takes to read a large scan and make a volume of it, beside TorchIO.

python benchmarks/reading.py base.json [size=64 ...] [--edges 512 512 600] [--repeats 3]

The scan is a made-up CT with noise, as NIfTI (compressed, and with a slope) and as DICOM; the
configuration says what volume is made of it. Each measurement is a process with one thread.
"""

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.data.cases import load_volume
from lmttm.errors import InputError, RunError

SPACING = (0.7, 0.7, 0.6)  # mm
READERS = ("lmttm", "torchio")
SCANS = ("ct.nii.gz", "sloped.nii.gz", "series")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Measures time and memory of reading a large scan.")
    parser.add_argument(
        "--edges",
        nargs=3,
        type=int,
        default=[512, 512, 600],
        help="of the scan (default: 512 512 600)",
    )
    parser.add_argument("--repeats", type=int, default=3, help="default: 3")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/reading"), help="default: runs/reading"
    )
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)  # measures that
    return cli.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    config = load_config(args.config, args.overrides)
    if args.inside:
        reader, name = args.inside
        print(json.dumps(_measured(reader, args.out / name, config)))
        return 0
    args.out.mkdir(parents=True, exist_ok=True)
    if not (args.out / SCANS[-1]).exists():
        write_scans(args.out, args.edges)
    print(f"{'reader':<8} {'scan':<14} {'processor s':>11} {'wall s':>7} {'GB':>5} {'mean':>6}")
    for name in SCANS:
        for reader in READERS:
            rows = [_alone(args, reader, name) for _ in range(args.repeats)]
            found = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
            print(
                f"{reader:<8} {name:<14} {found['processor']:>11.1f} {found['wall']:>7.1f} "
                f"{found['peak'] / 1e9:>5.2f} {found['mean']:>6.1f}"
            )
    return 0


def write_scans(folder: Path, edges: Sequence[int]) -> None:
    """Writes one CT in three forms."""
    import nibabel

    library: Any = nibabel  # it has no types
    values = made_up_ct(edges)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    library.save(library.Nifti1Image(values, affine), folder / SCANS[0])
    sloped = library.Nifti1Image(2 * values + np.int16(14), affine)
    sloped.header.set_slope_inter(0.5, -7)
    library.save(sloped, folder / SCANS[1])
    write_series(folder / SCANS[2], values)


def made_up_ct(edges: Sequence[int]) -> np.ndarray:
    """A body in air, in Hounsfield units `(x y z)`, with the noise of a CT."""
    rng = np.random.default_rng(0)
    values = np.empty(edges, np.int16)
    x, y = np.mgrid[-1 : 1 : edges[0] * 1j, -1 : 1 : edges[1] * 1j]
    body = (x / 0.9) ** 2 + (y / 0.6) ** 2 < 1
    for plane in range(edges[2]):
        tissue = 40 + 60 * np.sin(7 * x) * np.cos(9 * y) * np.sin(plane / 40)
        noise = rng.normal(0, 20, x.shape)
        values[:, :, plane] = np.rint(np.where(body, tissue, -1000) + noise)
    return values


def write_series(folder: Path, values: np.ndarray) -> None:
    """Writes a volume as uncompressed DICOM slices."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    series = generate_uid()
    for plane in range(values.shape[2]):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        one.SeriesInstanceUID, one.Modality, one.InstanceNumber = series, "CT", plane + 1
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.ImagePositionPatient = [0, 0, round(plane * SPACING[2], 6)]
        one.PixelSpacing = [SPACING[1], SPACING[0]]
        one.SliceThickness = SPACING[2]
        one.Rows, one.Columns = values.shape[1], values.shape[0]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
        one.RescaleSlope, one.RescaleIntercept = 1, -2048
        one.PixelData = (values[:, :, plane].T + 2048).astype("<u2").tobytes()
        one.save_as(folder / f"{plane:04d}.dcm", enforce_file_format=True)


def _alone(args: argparse.Namespace, reader: str, name: str) -> dict[str, float]:
    """Measures in a process of its own, with one thread."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    threads = dict.fromkeys((*names, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1")
    command = [sys.executable, __file__, args.config, *args.overrides, "--out", str(args.out)]
    done = subprocess.run(
        [*command, "--inside", reader, name],
        env=os.environ | threads,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RunError(f"{reader} on {name}: {(done.stderr.splitlines() or ['failed'])[-1]}")
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def _measured(reader: str, path: Path, config: Config) -> dict[str, float]:
    prepare = _READ[reader](config)
    started, processor = time.perf_counter(), time.process_time()
    volume = prepare(path)
    return {
        "wall": time.perf_counter() - started,
        "processor": time.process_time() - processor,
        "peak": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024),
        "mean": float(volume.mean()),
    }


def _by_lmttm(config: Config) -> Callable[[Path], np.ndarray]:
    for name in ("nibabel", "pydicom", "scipy.ndimage"):  # as TorchIO's come before its time
        importlib.import_module(name)
    return lambda path: load_volume(path, config)


def _by_torchio(config: Config) -> Callable[[Path], np.ndarray]:
    """The largest centred box of one voxel size, resampled, and a window: what lmttm does."""
    try:
        import torchio
    except ImportError:
        raise InputError("the comparison needs TorchIO: pip install -e '.[benchmark]'") from None
    library: Any = torchio
    low, high = config.volume.window or (-160.0, 240.0)

    def prepare(path: Path) -> np.ndarray:
        image = library.ToCanonical()(library.ScalarImage(path))
        reach = np.multiply(image.spatial_shape, image.spacing)
        voxel = (reach / config.shape).min()
        box = np.minimum(np.rint(voxel * np.array(config.shape) / image.spacing), image.shape[1:])
        steps = library.Compose(
            [
                library.CropOrPad(tuple(box.astype(int).tolist())),
                library.Resize(config.shape),
                library.Clamp(low, high),
                library.RescaleIntensity((0, 255), in_min_max=(low, high)),
            ]
        )
        array: np.ndarray = np.rint(steps(image).numpy()[0])
        return array

    return prepare


_READ = {"lmttm": _by_lmttm, "torchio": _by_torchio}


if __name__ == "__main__":
    sys.exit(main())
