"""The package as a whole: what `import lmttm` offers, and what it costs."""

import subprocess
import sys

import pytest

import lmttm


def test_every_name_of_the_package_is_there():
    for name in lmttm.__all__:
        assert getattr(lmttm, name) is not None
    assert set(lmttm.__all__) <= set(dir(lmttm))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lmttm.nothing


@pytest.mark.parametrize("script", ["train.py", "predict.py", "tools/explain.py"])
def test_a_help_text_needs_no_torch(script):
    """`train.py --help` took two seconds, to import torch."""
    from tests.reliability.conftest import ROOT

    code = (
        f"import runpy, sys; sys.argv = [{script!r}, '--help']\n"
        f"try: runpy.run_path({script!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "usage" in result.stdout
