"""The explanation of a volume, in a browser."""

from dataclasses import replace

import numpy as np
import pytest

from lmttm.report.explain_page import explain_fragment, explain_page, sanity
from lmttm.report.sentences import TRUST, TRUST_OF_MAPS
from tests.browser import opened, pixels
from tests.report.made import explained, explained_by_maps


def test_sliders_keys_and_the_cursor_move_together(tmp_path):
    html = explain_page(explained(), title="some volume", commands=["python tools/explain.py x"])
    (tmp_path / "explain.html").write_text(html, encoding="utf-8")
    with opened((tmp_path / "explain.html").as_uri()) as (page, faults):
        page.wait_for_selector("[data-ready]")

        def cursor():
            return float(page.locator(".cursor").get_attribute("x1"))

        page.locator("[data-slab]").fill("1")
        left, seen = cursor(), pixels(page)
        page.locator("[data-slab]").fill("4")
        assert cursor() > left
        assert pixels(page) != seen
        assert page.locator("[data-step]").inner_text() == "slab 4 of 4"
        assert page.locator("tr.ours").get_attribute("data-row") == "3"
        # The other way round, and both maps show the same place.
        page.locator("canvas").nth(3).focus()
        page.keyboard.press("Home")
        assert cursor() == left
        texts = page.locator(".view label span")
        assert texts.first.inner_text() == texts.nth(3).inner_text() == "D: slice 1 of 12"
        before = pixels(page), pixels(page, 3)
        page.locator("[data-opacity]").fill("0")
        assert pixels(page) != before[0]
        assert pixels(page) == pixels(page, 3)  # the volume alone
        assert not faults
        assert page.locator("img").count() == 0
        for width in (400, 1200, 2000):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("steps", "units"), [(1, 1), (4, 0), (12, 5)])
def test_every_slab_and_unit_has_its_row(steps, units):
    html = explain_fragment(explained(steps, units))
    assert html.count("<tr data-row=") == steps
    assert html.count("if a memory unit reads as zeros") == (units > 0)
    assert TRUST[:30] in html
    assert "The same model with random weights" in html


def test_a_model_without_steps_shows_its_maps_and_nothing_of_slabs(tmp_path):
    html = explain_page(explained_by_maps(), title="some volume", commands=["cmd"])
    for text in ("slab", "memory unit", 'class="cursor"'):
        assert text not in html.partition("<script")[0], text
    assert TRUST_OF_MAPS[:30] in html
    assert html.count("The same model with random weights") == 2
    assert "<img" not in html
    (tmp_path / "explain.html").write_text(html, encoding="utf-8")
    with opened((tmp_path / "explain.html").as_uri()) as (page, faults):
        page.wait_for_selector("[data-ready]")
        before = [pixels(page, number) for number in (0, 3, 6, 9)]
        page.locator("canvas").first.focus()
        page.keyboard.press("Home")
        after = [pixels(page, number) for number in (0, 3, 6, 9)]
        assert all(one != two for one, two in zip(before, after, strict=True))
        page.locator("[data-opacity]").nth(1).fill("0")  # of all maps
        assert len({pixels(page, number) for number in (0, 3, 6, 9)}) == 1
        assert page.locator("[data-opacity]").first.input_value() == "0"
        assert not faults


def test_the_sanity_check_compares_the_maps():
    rng = np.random.default_rng(0)
    one, two = rng.random((2, 8, 8, 8))
    assert "is 1.00: much of this map" in sanity(one, one)
    assert "little of this map" in sanity(one, two)
    assert "cannot be compared" in sanity(one, np.zeros_like(one))
    assert "is empty" in sanity(np.zeros_like(one), one)


def test_one_channel_of_several_is_chosen(tmp_path):
    """Guards against an explanation of two scans that shows only one."""
    one = explained()
    both = replace(one, grey=np.concatenate([one.grey, 255 - one.grey]))
    assert "data-channel" not in explain_page(one, title="", commands=[]).partition("<script")[0]
    html = explain_page(both, title="two scans", commands=["cmd"])
    (tmp_path / "explain.html").write_text(html, encoding="utf-8")
    with opened((tmp_path / "explain.html").as_uri()) as (page, faults):
        page.wait_for_selector("[data-ready]")
        choice, first = page.locator("[data-channel]"), pixels(page)
        assert choice.locator("option").all_inner_texts() == ["path", "path_2"]
        choice.select_option("1")
        assert pixels(page) != first
        page.locator("[data-opacity]").fill("0")
        assert pixels(page) == pixels(page, 3)  # both maps lie over the same scan
        page.locator("[data-opacity]").fill("70")
        choice.select_option("0")
        assert pixels(page) == first
        assert not faults
