"""The browser of the tests: one for all of a process."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

BROWSERS = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, filter(None, BROWSERS))), None)
# Chromium's own traffic, which is none of the pages'.
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HEARD = "a => !a.paused && !a.muted && a.volume > 0.5"  # of an audio element
NEEDS_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH, nor named by CHROMIUM"),
]


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


def heard(page):
    """Which sounds of the page are heard now, by their places on it."""
    find = f"all => all.flatMap((a, i) => ({HEARD})(a) ? [i] : [])"
    return page.locator("audio").evaluate_all(find)
