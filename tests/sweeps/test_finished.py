"""Runs that were begun or finished with a configuration, and those that look like it."""

import json
from pathlib import Path

from lmttm.config.files import load_config
from lmttm.sweeps import plan
from lmttm.sweeps.finished import is_begun, is_finished
from tools import sweep as script


def test_a_trial_with_an_empty_log_is_not_finished(tmp_path):
    """Guards against a sweep that dies of a run that was killed before its first epoch."""
    config = load_config("demo.json", [f"output_dir={tmp_path}", "train.name=a"])
    (tmp_path / "a" / "val").mkdir(parents=True)
    (tmp_path / "a" / "val" / "metrics.json").write_text('{"epoch": 1}')
    (tmp_path / "a" / "log.jsonl").write_text("")
    assert not is_finished(config, "val")


def test_scores_of_a_run_that_is_not_over_finish_no_trial(small, tmp_path):
    """Guards against a table of half-trained runs that somebody scored in between."""
    longer = [*small, "train.epoch=2", "train.stop_auc=0"]
    assert script.main([*longer]) == 0
    folder = tmp_path / "out" / "little"
    first, second = (folder / name / "log.jsonl" for name in ("2-s0", "4-s1"))
    first.write_text(first.read_text().splitlines(keepends=True)[0])
    scores = json.loads((second.parent / "val" / "metrics.json").read_text())
    (second.parent / "val" / "metrics.json").write_text(json.dumps(scores | {"epoch": 99}))
    sweep = plan.load_sweep(Path(small[0]))
    trials = plan.make_trials(sweep, longer[1:], str(folder))
    finished = {trial.name for trial in trials if is_finished(trial.config, "val")}
    assert finished == {"2-s1", "4-s0"}


def test_a_run_with_another_configuration_is_not_this_one(small, tmp_path):
    """Guards against a table whose scores are of other settings than it says."""
    assert script.main(small) == 0
    sweep = plan.load_sweep(Path(small[0]))
    for more, same in (([], True), (["train.lr=0.5"], False)):
        trials = plan.make_trials(sweep, [*small[1:], *more], str(tmp_path / "out" / "little"))
        assert [is_begun(trial.config) for trial in trials] == [same] * 4
        assert [is_finished(trial.config, "val") for trial in trials] == [same] * 4
