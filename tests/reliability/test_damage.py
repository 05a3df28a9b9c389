"""Damaged checkpoints, full disks, too little memory: nothing is lost, and it is reported."""

import errno
import resource
import shutil
import signal
import threading

import pytest
import torch

import predict
import train
from lmttm import cli
from lmttm.data import phantoms
from lmttm.errors import InputError
from lmttm.runs import checkpoint
from lmttm.runs.checkpoint import BEST, LAST, PREVIOUS
from lmttm.training.trainer import Trainer
from tests.reliability.conftest import SETTINGS

FEWER = {"train": 48, "val": 20, "test": 20}


@pytest.fixture(autouse=True)
def _fewer_phantoms(monkeypatch):
    monkeypatch.setattr(phantoms, "SPLITS", FEWER)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run of two epochs; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantoms, "SPLITS", FEWER)
        assert train.main([*SETTINGS, f"output_dir={folder}"]) == 0
    return folder / "demo"


@pytest.fixture
def run_dir(tmp_path, trained):
    """A copy of the folder of a run that is done."""
    return shutil.copytree(trained, tmp_path / "demo")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, lambda path: path.unlink()])
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(
    run_dir, command, capsys, tmp_path, damage
):
    whole = checkpoint.load(run_dir / LAST).weights
    before = (run_dir / PREVIOUS).read_bytes()
    damage(run_dir / LAST)
    assert train.main([*command, "--resume"]) == 0
    assert f"resuming from {PREVIOUS} instead of {LAST}" in capsys.readouterr().err
    assert (run_dir / PREVIOUS).read_bytes() == before
    for key, value in checkpoint.load(run_dir / LAST).weights.items():
        assert torch.equal(value, whole[key])


def test_two_damaged_checkpoints_are_an_error(run_dir, command, capsys):
    flip_a_bit(run_dir / LAST)
    truncate(run_dir / PREVIOUS)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in run_dir.iterdir())
    assert train.main([*command, "--resume"]) == 2
    assert "cannot be read; --replace starts the run anew" in capsys.readouterr().err
    after = [(p.name, p.stat().st_mtime_ns) for p in run_dir.iterdir() if p.name != "lock"]
    assert sorted(after) == [entry for entry in before if entry[0] != "lock"]


def test_a_run_without_a_checkpoint_starts_anew(run_dir, command):
    for path in [*run_dir.glob("last*"), *run_dir.glob("best*")]:
        path.unlink()
    assert train.main([*command, "--resume"]) == 0
    assert (run_dir / BEST).is_file()


def newest_sound(folder):
    """The epoch of the checkpoint that a run would go on from."""
    try:
        return checkpoint.load(folder / LAST).epoch
    except InputError:
        return checkpoint.load(folder / PREVIOUS).epoch


def test_every_moment_of_a_save_leaves_a_sound_checkpoint(run_dir, tmp_path, monkeypatch):
    """The save is broken off at each of its file operations in turn."""
    state = checkpoint.load(run_dir / LAST)
    model = state.build()

    def save(folder):
        checkpoint.save(
            folder / LAST,
            config=state.config,
            model=model,
            epoch=99,
            validation={},
            previous=folder / PREVIOUS,
        )

    real, calls = type(run_dir).replace, []

    def breaks(path, target):
        calls.append(target)
        if len(calls) > allowed:
            raise KeyboardInterrupt
        return real(path, target)

    monkeypatch.setattr(type(run_dir), "replace", breaks)
    for allowed in range(20):
        folder = tmp_path / f"copy{allowed}"
        shutil.copytree(run_dir, folder)
        calls.clear()
        try:
            save(folder)
        except KeyboardInterrupt:
            assert newest_sound(folder) in (2, 99)
        else:
            break
    assert 5 < allowed < 19
    assert checkpoint.load(folder / LAST).epoch == 99
    assert checkpoint.load(folder / PREVIOUS).epoch == 2


def test_a_full_disk_is_told_and_leaves_the_former_checkpoint(run_dir, command, capsys):
    """No file may grow beyond 50 kB, as if the disk were full there."""
    former = {name: (run_dir / name).read_bytes() for name in (LAST, PREVIOUS, BEST)}
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    try:
        code = train.main([*command, "--resume", "train.epoch=3"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    err = capsys.readouterr().err
    assert code == 1
    assert "cannot be written: File too large" in err  # not "unexpected pos 576 vs 534"
    assert "Traceback" not in err
    assert {name: (run_dir / name).read_bytes() for name in former} == former
    assert not list(run_dir.glob(".*.part"))
    assert train.main([*command, "--resume", "train.epoch=3"]) == 0


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the disk quota is used up")],
)
def test_a_full_disk_is_told_in_words_wherever_it_is_met(number, told, capsys):
    """Guards against a traceback where TensorBoard or a picture meets it."""

    def fails(_):
        raise OSError(number, "as the system says", "events.7")

    assert cli.run(fails, cli.parser("A test."), ["demo.json"]) == 1
    assert capsys.readouterr().err == f"error: events.7: {told} (as the system says)\n"
    number = errno.EIO
    with pytest.raises(OSError, match="as the system says"):
        cli.run(fails, cli.parser("A test."), ["demo.json"])


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_too_little_memory_says_what_to_try(command, monkeypatch, capsys, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(Trainer, "_step", fails)
    assert train.main(command) == 1
    err = capsys.readouterr().err
    assert "out of memory with batch_size=8; try batch_size=4, or train.accumulate=2" in err


def test_a_step_that_is_not_finite_keeps_the_last_checkpoint(run_dir, command, capsys):
    former = (run_dir / LAST).read_bytes()
    spoilt = [*command, "train.name=wild", "train.lr=1e30", "train.optimizer=RMSprop"]
    assert train.main(spoilt) == 1
    err = capsys.readouterr().err
    assert "the loss or the gradient is not finite at epoch 1, step" in err
    assert (run_dir.parent / "wild" / "not_finite.json").is_file()
    assert (run_dir / LAST).read_bytes() == former


def test_nothing_outlives_a_run(command):
    before = threading.active_count()
    assert train.main(command) == 0
    assert predict.main(command) == 0
    assert threading.active_count() == before
