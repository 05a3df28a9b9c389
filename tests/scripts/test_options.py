"""Options that have no effect beside others are refused, before anything is read or written."""

import importlib

import pytest


@pytest.mark.parametrize(
    ("script", "words", "told"),
    [
        ("predict", "--input a.npy --split val", "--split has no effect with --input"),
        ("predict", "--data set/ --split val", "--split has no effect with --data"),
        ("predict", "--data set/ --input a.npy", "--input has no effect with --data"),
        ("predict", "--data set/ --calibrate", "--calibrate has no effect with --data"),
        ("predict", "--data set/ --threshold youden", "--threshold has no effect with --data"),
        ("predict", "--window 0,1", "--window needs --input or --data"),
        ("predict", "--split val --axes zyx", "--axes needs --input or --data"),
        ("tools.explain", "--input a.npy --split val", "--split has no effect with --input"),
        ("tools.sweep", "--gpus-per-trial 0.5", "--gpus-per-trial has no effect with trials that"),
        ("tools.prepare", "--check --output a.png", "--output has no effect with --check"),
        ("tools.prepare", "--clear --check", "--check has no effect with --clear"),
        ("tools.prepare", "--check a.npy", "scans are not shown with --check, got a.npy"),
        ("tools.reproduce", "--all", "--all repeats all rows, got base beside it"),
    ],
)
def test_an_option_without_effect_is_refused(script, words, told, capsys, tmp_path, monkeypatch):
    """Guards against `--input scan.nii.gz --split val`, which scored no split and said nothing."""
    monkeypatch.chdir(tmp_path)
    subject = "base" if script == "tools.reproduce" else "demo.json"
    assert importlib.import_module(script).main([subject, *words.split()]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
