"""The report of a run, in a browser."""

import re

import numpy as np
import pytest

from lmttm.report.report_page import report_page
from tests.browser import opened, pixels
from tests.report.made import HOSTILE, report_values


@pytest.mark.parametrize(("num_classes", "dataset"), [(2, "AdrenalMNIST3D"), (11, "my/folder")])
def test_scores_are_shown_beside_the_published_ones(num_classes, dataset):
    values = report_values(num_classes, dataset=dataset)
    html = report_page(**values)
    scores = values["scores"]
    for text in (f"{scores['auc']:.3f}", "0.200 to 0.800", "not for clinical use", "0.050"):
        assert text in html
    assert ("LMTTM (paper)" in html) == (dataset == "AdrenalMNIST3D")
    assert "cannot be compared" not in html
    assert "treat it as you treat" in html
    assert "python predict.py x.json" in html


@pytest.mark.parametrize(
    ("split", "size", "method", "compared"),
    [
        ("test", 28, "LMTTM (paper)", True),
        ("test", 64, "Raptor, on DINOv2", True),
        ("test", 32, "LMTTM (paper)", False),
        ("test", (64, 28, 28), "LMTTM (paper)", False),
        ("val", 28, "LMTTM (paper)", False),
        ("val", 64, "Raptor, on DINOv2", False),
    ],
)
def test_published_scores_are_those_of_the_size(split, size, method, compared):
    """Guards against scores from 64^3 beside nothing but the smaller volumes' table."""
    values = report_values(dataset="AdrenalMNIST3D")
    values["scores"]["split"] = split
    html = report_page(**values | {"size": size})
    assert method in html
    assert ("LMTTM (paper)" in html) == (method == "LMTTM (paper)")
    assert ("cannot be compared" in html) != compared


def test_what_a_reader_must_know_first_stands_in_the_head():
    notices = {"notices": [f"the training of {HOSTILE} has not ended"]}
    head, _, rest = report_page(**report_values() | notices).partition("<main>")
    assert "has not ended" in head
    assert "has not ended" not in rest
    assert HOSTILE not in head
    assert "<strong>Note:</strong>" not in report_page(**report_values())


def test_an_undefined_score_is_named_so():
    values = report_values()
    values["scores"] |= {"auc": None, "interval": {"acc": [0.1, 0.2], "auc": None}}
    assert "not defined" in report_page(**values)


def test_the_file_stays_small_and_says_what_it_left_out():
    """The whole is under 5 MB also of large volumes that cannot be compressed."""
    values = report_values(edge=96)
    html = report_page(**values)
    assert len(html.encode()) < 5_000_000
    assert re.search(r"\d+ more are left out", html)
    assert html.count("data-volume=") >= 2


def test_nothing_wrong_is_no_empty_part():
    values = report_values()
    values["probabilities"] = np.eye(2)[values["labels"]]
    assert "All volumes are classified correctly" in report_page(**values)


def test_slices_change_on_wheel_keys_slider_and_click(tmp_path):
    (tmp_path / "report.html").write_text(report_page(**report_values()), encoding="utf-8")
    with opened((tmp_path / "report.html").as_uri()) as (page, faults):
        page.wait_for_selector("[data-ready]")
        first = page.locator("canvas").first
        first.scroll_into_view_if_needed()
        seen = [pixels(page)]

        def changed():
            seen.append(pixels(page))
            return seen[-1] != seen[-2]

        first.hover()
        page.mouse.wheel(0, 100)
        page.wait_for_timeout(200)
        assert changed()
        first.focus()
        page.keyboard.press("ArrowDown")
        assert changed()
        page.keyboard.press("Home")
        assert changed()
        assert page.locator(".view label span").first.inner_text() == "D: slice 1 of 28"
        page.keyboard.press("ArrowUp")  # there is none before it
        assert not changed()
        slider = page.locator(".view input").first
        slider.fill("20")
        assert changed()
        before = pixels(page, 1)
        first.click(position={"x": 3, "y": 3})
        assert pixels(page, 1) != before
        assert page.locator(".view label span").nth(1).inner_text() == "H: slice 1 of 28"
        assert not faults
        assert page.locator("img").count() == 0  # no name became an element


def test_nothing_is_wider_than_the_window(tmp_path):
    (tmp_path / "report.html").write_text(report_page(**report_values(11)), encoding="utf-8")
    with opened((tmp_path / "report.html").as_uri()) as (page, faults):
        page.wait_for_selector("[data-ready]")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
            for width in (400, 1200, 2000):
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                # Guards against tables whose words stand letter under letter.
                cells = "[...document.querySelectorAll('td.number')].map(c => c.offsetHeight)"
                assert max(page.evaluate(cells)) < 200
        assert not faults
