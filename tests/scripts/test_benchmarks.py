"""The benchmarks run, here on the CPU with a tiny machine, and keep what they have measured."""

import json
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from lmttm.errors import RunError

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    "model.dim=16",
    "model.memory_tokens_size=4",
    "model.num_blocks=2",
    "model.patch_size=14",
    "model.summarize_num_tokens=2",
    "model.depth=1",
]


@pytest.fixture
def gpu(monkeypatch):
    """The module `benchmarks/gpu.py`, which imports from its own folder."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import gpu

    return gpu


def command(out, *more):
    options = ["--device", "cpu", "--repeats", "1", "--steps", "2", "--batches", "2", "3"]
    return ["base.json", *TINY, *options, "--out", str(out), *map(str, more)]


def test_without_a_gpu_it_refuses(gpu, monkeypatch, capsys, tmp_path):
    """Guards against figures of a CPU that pass for those of a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--out", str(tmp_path / "out")]) == 2
    assert "needs an NVIDIA GPU; --device cpu" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_each_part_leaves_its_figures(gpu, tmp_path):
    """Guards against figures of parts that a later one takes with it."""
    assert gpu.main(command(tmp_path, "--parts", "card")) == 0
    assert "A square matrix product reaches" in (tmp_path / "gpu.md").read_text()
    part = json.loads((tmp_path / "gpu.json").read_text())["parts"]["card"]
    assert [set(row) for row in part["rows"]][1:] == [{"gflop_per_volume"}, {"matrix_gflops"}]


def test_a_part_that_takes_too_long_or_fails_stops_no_other(gpu, tmp_path, monkeypatch):
    """Guards against one part that takes the time of all."""
    limits = {"card": gpu.PARTS["card"]._replace(limit=6)}
    monkeypatch.setattr(gpu, "PARTS", gpu.PARTS | limits)
    wait = gpu.subprocess.Popen.wait

    def no_patience(process, timeout=None):
        return wait(process, timeout and 0.01)

    monkeypatch.setattr(gpu.subprocess.Popen, "wait", no_patience)
    assert gpu.main(command(tmp_path, "--parts", "card")) == 1
    assert "- card: stopped at its limit of 6 s" in (tmp_path / "gpu.md").read_text()
    monkeypatch.undo()
    assert gpu.main(command(tmp_path, "--parts", "card", "--minutes", 0)) == 1
    assert "- card: left out: no time was left" in (tmp_path / "gpu.md").read_text()


def rows_of(gpu, part, arguments):
    return list(gpu.PARTS[part].measure(gpu._parser().parse_intermixed_args(arguments)))


def test_forms_precisions_and_batches_are_measured(gpu, tmp_path):
    rows = rows_of(gpu, "eager-small", command(tmp_path))
    seen = [(row["form"], row["precision"], row["mode"]) for row in rows]
    forms = [(form, kind) for form in ("fast", "plain") for kind in ("bf16", "fp32")]
    assert seen == [(*form, mode) for form in forms for mode in ("training", "inference")]
    assert {row["batch"] for row in rows} == {2}
    assert {row["batch"] for row in rows_of(gpu, "eager-large", command(tmp_path))} == {3}
    assert all(0 < row["slowest"] <= row["volumes_per_second"] <= row["fastest"] for row in rows)


def test_a_form_whose_compilation_fails_has_no_figures(gpu, tmp_path, monkeypatch):
    """Guards against the eager form's speed under the name of the compiled one."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    rows = rows_of(gpu, "compiled-bf16-small", command(tmp_path))
    assert [(row["form"], row["mode"]) for row in rows] == [
        ("compiled", "training"),
        ("compiled", "inference"),
    ]

    def fails(function, **_):
        def call(*_):
            raise torch._dynamo.exc.TorchDynamoException("no compiler")

        return call

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(gpu.RunError, match="compiling failed"):
        rows_of(gpu, "compiled-bf16-small", command(tmp_path))


def test_the_recipe_is_timed_through_the_commands(gpu, tmp_path, monkeypatch):
    """The commands themselves are tested elsewhere; here they leave what they would."""
    called = []

    def run(command, check):
        called.append(command[1:])
        folder = tmp_path / "runs" / "recipe-compile-auto"
        (folder / "test").mkdir(parents=True, exist_ok=True)
        (folder / "log.jsonl").write_text('{"seconds": 9}\n{"seconds": 1}\n{"seconds": 2}\n')
        (folder / "test" / "metrics.json").write_text('{"acc": 0.8, "auc": 0.9}')

    monkeypatch.setattr(gpu.subprocess, "run", run)
    *_, row = rows_of(gpu, "recipe", command(tmp_path))
    assert [Path(script).name for script, *_ in called] == ["train.py", "predict.py"]
    assert all("dataset_name=PhantomMNIST3D" in arguments for arguments in called)
    assert (row["epochs"], row["first_epoch_seconds"], row["epoch_seconds"]) == (3, 9, 2)
    assert (row["data"], row["acc"], row["auc"]) == ("phantoms", 0.8, 0.9)
    (tmp_path / "adrenalmnist3d.npz").touch()
    *_, row = rows_of(gpu, "recipe", command(tmp_path, "--root", tmp_path))
    assert row["data"] == "its own"
    assert f"root={tmp_path}" in called[-1]


def test_the_table_knows_the_share_of_the_matrix_rate(gpu):
    """Guards against a training step that counts as one forward pass, or the other form's work."""
    from gpu_table import fraction, table

    known = {
        "gflop_per_volume": {"plain": 10.0, "fast": 5.0},
        "matrix_gflops": {"fp32": 50.0, "bf16": 300.0},
    }
    row = {"mode": "training", "form": "plain", "precision": "bf16", "volumes_per_second": 5.0}
    assert fraction(row, known) == 10 * 3 * 5 / 300
    row = {"mode": "inference", "form": "compiled", "precision": "fp32", "volumes_per_second": 5.0}
    assert fraction(row, known) == 5 * 5 / 50
    assert fraction(row, {}) is None
    numbers = {"batch": 2, "slowest": 4, "fastest": 6, "peak_gib": 1.5, "first_seconds": 9}
    parts = {"card": {"outcome": "done", "rows": [known]}}
    parts["eager"] = {"outcome": "failed with exit code 1: see eager.log", "rows": [row | numbers]}
    text = table({"config": "base.json", "overrides": [], "parts": parts})
    assert "| compiled | inference | fp32 | 2 | 5.0 (4.0 to 6.0) | 0.50 | 1.5 | 9 |" in text
    assert text.endswith("- eager: failed with exit code 1: see eager.log\n")


@pytest.mark.slow
def test_the_whole_runs_on_the_cpu(gpu, tmp_path):
    """Guards against a part that only fails on the one visit to a GPU."""
    code = gpu.main([*command(tmp_path, "--minutes", 60), "train.epoch=1"])
    result = json.loads((tmp_path / "gpu.json").read_text())
    outcomes = {name: part["outcome"] for name, part in result["parts"].items()}
    assert code == 0, outcomes
    assert list(outcomes) == [name for name in gpu.PARTS if not name.startswith("captured")]


def test_the_signals_are_as_before(gpu, tmp_path):
    """Guards against a handler that outlives the benchmark, in a process that does more."""
    before = signal.getsignal(signal.SIGTERM)
    assert gpu.main(command(tmp_path, "--parts", "card")) == 0
    assert signal.getsignal(signal.SIGTERM) == before


def test_throughput_measures_both_forms_free_and_busy(tmp_path, monkeypatch, capsys):
    """Guards against a load that is not there, or figures of one form under another's name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import measuring
    import throughput

    monkeypatch.setattr(measuring, "matrix_rate", lambda *_: 100.0)
    arguments = ["base.json", *TINY, "device=cpu", "batch_size=2", "--repeats", "1"]
    assert throughput.main([*arguments, "--out", str(tmp_path)]) == 0
    alone = json.loads((tmp_path / "throughput.json").read_text())["rows"]
    assert throughput.main([*arguments, "--busy", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "throughput.json").read_text())["rows"]
    kinds = [
        (mode, form, precision)
        for form in ("fast", "plain")
        for precision in ("bf16", "fp32")
        for mode in ("training", "inference")
    ]
    assert [(row["mode"], row["form"], row["precision"]) for row in alone] == kinds
    assert [(row["mode"], row["form"], row["precision"]) for row in rows] == kinds
    assert all(row["volumes_per_second"] > 0 and "busy" not in row for row in alone)
    assert all(row["busy"]["volumes_per_second"] > 0 for row in rows)
    assert "plain form, beside a load" in capsys.readouterr().out


def test_the_table_of_throughput_has_each_figure_in_its_place(monkeypatch):
    """Guards against columns that were exchanged, and ratios to the wrong form."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from throughput import table

    def row(mode, form, precision, free, busy):
        figures = [
            {"volumes_per_second": x, "slowest": x - 1, "fastest": x + 1} for x in (free, busy)
        ]
        names = {"mode": mode, "form": form, "precision": precision}
        return names | figures[0] | {"busy": figures[1]}

    rows = [
        row(mode, form, precision, *(base * share for share in (1, 0.5)))
        for mode, first in (("training", 2), ("inference", 20))
        for form, precision, base in (
            ("fast", "bf16", 8 * first),
            ("fast", "fp32", 4 * first),
            ("plain", "bf16", 2 * first),
            ("plain", "fp32", first),
        )
    ]
    facts = {"command": "x.json", "device": "cpu (1 thread)", "cores": 2, "torch": "2", "date": ""}
    lines = table({**facts, "repeats": 3, "rows": rows}).splitlines()
    assert (
        "| training, bf16 | 4.0 (3.0 to 5.0), 2.00x | 16.0 (15.0 to 17.0), 8.00x "
        "| 2.0 (1.0 to 3.0), 1.00x | 8.0 (7.0 to 9.0), 4.00x |"
    ) in lines
    assert lines[-1].startswith("| inference, fp32 | 20.0 (19.0 to 21.0), 1.00x | 80.0 ")


@pytest.fixture
def load(monkeypatch, tmp_path):
    """The module `benchmarks/load.py`, with a load that starts at once instead of a training."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import load

    script = tmp_path / "load_of_sums.py"
    script.write_text(
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'benchmarks')!r}]\n"
        "from load import obey\n"
        "obey(lambda: sum(range(100_000)))\n"
    )
    monkeypatch.setattr(load, "competing", partial(load.competing, [], script=script))
    return load


def test_a_load_works_only_where_it_is_told_to(load):
    """Guards against a load that also runs beside the free figures."""

    def seconds(process):
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with load.competing() as one:
        paused = seconds(one.process)
        time.sleep(0.3)
        assert seconds(one.process) == paused
        with one.running():
            while seconds(one.process) < paused + 0.1:
                time.sleep(0.02)
        done = seconds(one.process)
        time.sleep(0.3)
        assert seconds(one.process) - done < 0.05
    assert one.process.poll() is not None


@pytest.mark.parametrize("error", [KeyboardInterrupt, RunError])
def test_a_load_ends_with_what_it_competes_with(load, error):
    """Guards against a process that eats the cores after Ctrl-C."""
    with pytest.raises(error), load.competing() as one, one.running():
        raise error
    assert one.process.returncode == -signal.SIGKILL


def test_a_load_ends_after_a_benchmark_that_was_killed(load):
    """Guards against a process that is left behind where nothing can be done any more."""
    with load.competing() as one:
        one.tell("run")
        one.process.stdin.close()  # as the system does for a process that is killed
        assert one.process.wait(timeout=60) == 0
    with load.competing() as one:
        one.process.stdin.close()
        assert one.process.wait(timeout=60) == 0


def test_a_load_that_cannot_run_is_an_error(load, tmp_path):
    """Guards against free figures that pass for busy ones."""
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit(2)")
    ended = pytest.raises(RunError, match="the competing load has ended")
    with ended, load.competing(script=broken):
        pass
    with load.competing() as one:
        one.process.kill()
        with ended, one.running():
            pass


def test_large_sets_train_in_the_memory_of_small_ones(tmp_path, monkeypatch, capsys):
    """Guards against volumes that are copied into memory: here 0.2 GiB of them."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import large

    arguments = ["small.json", *TINY, "size=64", "model.patch_size=32", "device=cpu"]
    sizes = ["--volumes", "40", "840", "--folder", str(tmp_path)]
    assert large.main([*arguments, *sizes]) == 0
    few, many = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (few["volumes"], many["volumes"]) == (40, 840)
    assert many["gib_of_volumes"] == pytest.approx(840 / 4096, abs=0.01)
    assert 0 < many["anonymous_gib"] < few["anonymous_gib"] + 0.15
    assert list(tmp_path.iterdir()) == []


def test_fewer_than_two_volumes_are_refused(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import large

    assert large.main(["small.json", "--volumes", "1"]) == 2
    assert "--volumes must be at least 2, got 1" in capsys.readouterr().err
