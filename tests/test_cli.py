"""What every command does with its arguments, its errors and its output."""

import argparse
import logging
import os
import subprocess
import sys

import pytest

from lmttm import cli
from lmttm.errors import InputError, RunError


def outcome(command, argv=("base.json",)):
    return cli.run(command, cli.parser("Does something."), argv)


def raising(error):
    def command(_):
        raise error

    return command


class Stopped(RunError):
    """An error with a code and a prefix of its own."""

    exit_code = 143
    prefix = ""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RunError("the disk is full"), 1, "error: the disk is full\n"),
        (InputError("no such key"), 2, "error: no such key\n"),
        (Stopped("stopped in epoch 2"), 143, "stopped in epoch 2\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted\n"),
    ],
)
def test_an_error_is_one_message_and_an_exit_code(error, code, message, capsys):
    assert outcome(raising(error)) == code
    assert capsys.readouterr() == ("", message)


def test_a_path_in_an_error_is_one_that_commands_nothing(capsys):
    """Guards against a file name that colours the terminal; a list of faults keeps its lines."""
    outcome(raising(InputError("2 faults:\n- a\x1b[31m.nii\n- b\udcff.nii")))
    assert capsys.readouterr().err == "error: 2 faults:\n- a\\x1b[31m.nii\n- b\\xff.nii\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_that_lacks_a_letter_loses_no_output(encoding):
    """Guards against a traceback for a name, after all scans were classified."""
    script = r"print('a', '\u6f22.nii', chr(0xdcff)) or 0"
    script = f"from lmttm.cli import parser, run; exit(run(lambda _: {script}, parser(''), ['x']))"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment)
    assert (done.returncode, done.stdout) == (0, b"a \\u6f22.nii \\udcff\n")


def test_a_fault_of_the_program_keeps_its_traceback():
    """Guards against a defect that is reported as if the user had made it."""
    with pytest.raises(ZeroDivisionError):
        outcome(lambda _: 1 // 0)


def test_the_code_of_a_command_is_the_code_of_the_process():
    assert [outcome(lambda _, code=code: code) for code in (0, 1, 3)] == [0, 1, 3]


def test_a_help_text_says_what_the_command_takes(capsys):
    """Guards against `train.epoch=3` as the example of commands that do not train."""
    for settings, told in [
        ({}, ["a file of config/", "train.epoch=3"]),
        ({"runs": True}, ["the folder of a run", "batch_size=8"]),
        ({"subject": "a sweep", "others": "scans"}, ["a sweep", "SCAN or key=value", "scans"]),
    ]:
        cli.parser("Does something.", **settings).print_help()
        out = capsys.readouterr().out
        assert all(text in " ".join(out.split()) for text in told)
        assert ("train.epoch" in out) == (not settings)


def test_overrides_stand_anywhere_among_the_options():
    parser = cli.parser("Does something.")
    parser.add_argument("--split")
    seen = []
    argv = ["base.json", "a=1", "--split", "val", "b=2"]
    assert cli.run(lambda args: seen.append(args) or 0, parser, argv) == 0
    assert seen == [argparse.Namespace(config="base.json", overrides=["a=1", "b=2"], split="val")]


def test_a_missing_configuration_is_named_alone(capsys):
    """Guards against overrides that are called required beside it."""
    with pytest.raises(SystemExit):
        cli.run(lambda _: 0, cli.parser("Does something."), [])
    assert capsys.readouterr().err.endswith("the following arguments are required: config\n")


def test_warnings_are_single_lines(capsys):
    assert outcome(lambda _: logging.getLogger("lmttm").warning("odd") or 0) == 0
    assert capsys.readouterr().err == "WARNING: odd\n"


@pytest.mark.parametrize("words", [1, 10**6])
def test_a_reader_that_leaves_early_is_no_fault(words):
    """Regression: `predict.py base.json | head -3` ended in a traceback."""
    command = f"print('word ' * {words}) or 0"
    script = f"from lmttm.cli import parser, run; exit(run(lambda _: {command}, parser(''), ['x']))"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_overrides_behind_an_option_of_many_values(tmp_path):
    """Guards against `--input scan.nii device=cpu`, where the override was taken for a scan."""
    odd = tmp_path / "a=b.nii"
    odd.write_text("")
    overrides = ["seed=1"]
    texts = ["scan.nii", str(odd), "device=cpu", "model.dim=8"]
    assert cli.without_overrides(texts, overrides) == ["scan.nii", str(odd)]
    assert overrides == ["seed=1", "device=cpu", "model.dim=8"]
