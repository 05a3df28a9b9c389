"""Scans of a set go into the cache in parallel, each once, and come out as bytes."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lmttm.data import gather
from lmttm.data.sources import load_dataset
from tests.data.test_own import grey, make_cases, make_set
from tests.scanned import write_nifti


def test_the_second_start_reads_no_scan(tmp_path, monkeypatch):
    config = make_set(tmp_path)
    first = load_dataset(config)

    def forbidden(path):
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(gather, "read", forbidden)
    monkeypatch.setattr(gather, "content_digest", forbidden)
    second = load_dataset(config)
    for name, split in first.splits.items():
        assert np.array_equal(split.images, second.splits[name].images)


def test_a_damaged_cache_is_made_again(tmp_path):
    config = make_set(tmp_path)
    first = load_dataset(config).splits["train"].images.clone()
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file() and path.suffix in (".npy", ".json"):
            path.write_bytes(path.read_bytes()[:-9])
    assert np.array_equal(load_dataset(config).splits["train"].images, first)


def test_an_interrupted_preparation_goes_on(tmp_path, monkeypatch):
    config = make_set(tmp_path)
    read, done = gather.read, []

    def interrupted(path):
        done.append(path)
        if len(done) == 10:
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(gather, "read", interrupted)
    monkeypatch.setattr(gather, "_ALONE", 99)
    with pytest.raises(KeyboardInterrupt):
        load_dataset(config)
    load_dataset(config)
    assert len(done) == 41  # one scan was read twice


def test_several_processes_give_what_one_gives(tmp_path, monkeypatch):
    config = make_set(tmp_path)
    monkeypatch.setattr(gather, "_ALONE", 2)
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    parallel = load_dataset(config).splits["train"].images.clone()
    monkeypatch.setattr(gather, "_ALONE", 99)
    alone = load_dataset(config.model_copy(update={"cache": "off"}))
    assert np.array_equal(parallel, alone.splits["train"].images)


def test_an_interrupt_is_for_the_process_that_waits_alone():
    """Guards against a traceback of each process at Ctrl-C."""
    script = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
    former = signal.getsignal(signal.SIGINT)
    with gather._interrupts_ignored():
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.split() == [b"True"]
    assert signal.getsignal(signal.SIGINT) is former
    with ThreadPoolExecutor(1) as pool:  # which may set no handler
        pool.submit(gather._interrupts_ignored().__enter__).result()


def test_each_scan_may_have_its_place(tmp_path):
    d, h, w = np.indices((12, 12, 12))
    config = make_set(tmp_path, [(12 * d + 3 * h + w + n).astype(np.int16) for n in range(40)])
    table = tmp_path / "data.csv"
    header, *rows = table.read_text().split("\n")
    placed = [f"{row},{4 + n % 3},5,6,6" for n, row in enumerate(rows)]
    table.write_text("\n".join([f"{header},centre_d,centre_h,centre_w,extent", *placed]))
    config = config.model_copy(
        update={"volume": config.volume.model_copy(update={"window": [0.0, 255.0]})}
    )
    dataset = load_dataset(config)
    assert (dataset.volume.centre, dataset.volume.extent) == ("table", "table")
    assert dataset.volume.intensity == "window"
    split = dataset.splits["val"]
    number = int(split.paths[0].split(".")[0])
    middle = 12 * (4 + number % 3) + 3 * 5 + 6 + number
    seen = split.images[0].numpy()[13:15, 13:15, 13:15]
    assert abs(seen.mean() - middle) < 2


def test_the_known_digests_are_not_trusted_blindly(tmp_path):
    config = make_set(tmp_path)
    load_dataset(config)
    (tmp_path / "cache" / "known.json").write_text("[]")
    load_dataset(config)
    assert len(json.loads((tmp_path / "cache" / "known.json").read_text())) == 40


def test_a_damaged_scan_of_a_case_is_made_again_from_both(tmp_path):
    """The region of the second scan is known only with the first."""
    volumes = [grey(n) for n in range(20)]
    config = make_cases(tmp_path / "set", [volumes, [np.flip(v) for v in volumes]])
    first = load_dataset(config)
    before = {name: split.images.clone() for name, split in first.splits.items()}
    files = sorted((tmp_path / "cache").rglob("*.npy"))
    assert len(files) == 40 + 3
    for path in files[::5]:
        path.write_bytes(path.read_bytes()[:-9])
    again = load_dataset(config)
    for name, images in before.items():
        assert np.array_equal(again.splits[name].images, images)


def test_another_first_scan_is_another_region_of_the_second(tmp_path):
    """Guards against a cached second scan that was cut for another first one."""
    volumes = [grey(n) for n in range(20)]
    config = make_cases(tmp_path / "set", [volumes, volumes])
    before = load_dataset(config).splits["test"].images[:, 1].clone()
    for number, voxels in enumerate(volumes):
        write_nifti(tmp_path / "set" / f"{number}-path.nii.gz", voxels, origin=3.0)
    after = load_dataset(config).splits["test"].images[:, 1]
    assert not np.array_equal(before, after)
