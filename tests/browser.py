"""A headless Chromium for tests of pages; they are skipped where there is none."""

import contextlib
import shutil

import pytest


@contextlib.contextmanager
def opened(url, *, width=1200, **options):
    """Opens a page; gives it with a list of its faults: console errors and outside requests."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    origin = "/".join(url.split("/")[:3])
    with api.sync_playwright() as playwright:
        # Root has no sandbox; what is opened here are pages of this project.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        faults = []
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on(
            "request",
            lambda r: (
                None
                if r.url.startswith((origin, "data:", "blob:"))
                else faults.append(f"request: {r.url}")
            ),
        )
        page.goto(url)
        yield page, faults
        browser.close()


def pixels(page, number=0):
    """What a canvas of the page shows, as a text that differs where a pixel does."""
    return page.evaluate(f"document.querySelectorAll('canvas')[{number}].toDataURL()")
