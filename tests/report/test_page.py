"""Pages: they lie in one file, ask nobody for anything, and run nothing that a name holds."""

import base64
import json
import re
import zlib

import numpy as np
import pytest

from lmttm.report import page
from tests.report.made import HOSTILE


def made(**values):
    steps = {"running_plot": "", "effects_figure": "", "prediction": HOSTILE, "rows": []}
    texts = {
        "warnings": [],
        "notices": [HOSTILE],
        "sentences": [HOSTILE],
        "trust": "",
        "commands": [],
    }
    texts |= {"maps": [{"title": HOSTILE, "legend": HOSTILE, "sanity": ""}]}
    data = {"volumes": [], "slabs": None, "name": HOSTILE}
    texts |= {"steps": steps | {"units": []}, "channels": ["path"]}
    return page.page("explain.html", title=HOSTILE, data=data, **texts | values)


def test_names_are_escaped_wherever_they_stand():
    """Guards against a file name that runs a script in the reader's browser."""
    html = made()
    assert "<img" not in html
    assert html.count("&lt;img") == 7  # title twice, notice, sentence, map twice, prediction
    stored = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1]
    assert json.loads(stored)["name"] == HOSTILE


def test_the_policy_allows_the_one_script_and_no_request():
    html = made()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', html)
    assert "@import" not in html
    assert "url(" not in page.asset("style.css")


@pytest.mark.parametrize("heat", [None, np.zeros((2, 3, 4)), np.arange(24.0).reshape(2, 3, 4)])
def test_a_volume_is_packed_as_it_is(heat):
    volume = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    found = page.packed(volume, heat)
    assert (found["shape"], found["start"]) == ([2, 3, 4], [1, 1, 2])
    assert zlib.decompress(base64.b64decode(found["voxels"])) == volume.tobytes()
    if heat is None:
        assert found["heat"] is None
    else:
        stored = np.frombuffer(zlib.decompress(base64.b64decode(found["heat"])), np.uint8)
        np.testing.assert_allclose(stored, 255 * heat.ravel() / max(heat.max(), 1), atol=0.5)


def test_a_page_prints_without_cut_pictures():
    style = page.asset("style.css")
    printed = style[style.index("@media print") :]
    assert re.search(r"figure,[^{]*\{ break-inside: avoid", printed)
    assert "prefers-color-scheme: dark" in style
