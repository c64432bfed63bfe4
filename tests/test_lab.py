"""Sliders in a real JupyterLab: a browser moves one, the kernel answers with another picture."""

import os
import re
import subprocess
import sys

import nbformat
import pytest
from chromium import NEEDS_CHROMIUM

pytestmark = NEEDS_CHROMIUM
PATIENCE = 120_000  # ms: a loaded machine starts JupyterLab and a kernel slowly
# A key that is pressed before the kernel answers is lost.
READY = """() =>
    document.querySelector('.jp-Toolbar-kernelName')?.innerText.startsWith('Python') &&
    document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'
"""
SOURCE = """
from sdmvae_lite.book.widgets import explore

def draw(ax, gain):
    ax.plot([0, gain])

explore(draw, {"gain": [1, 2, 3]}, [{"gain": 1}, {"gain": 3}])
"""


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that serves one notebook."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(SOURCE)], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, tmp_path / "sliders.ipynb")
    options = ("--no-browser", "--allow-root", "--port=0", "--IdentityProvider.token=")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={tmp_path}"],
        env=os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path / "config")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in server.stderr)
        yield next(filter(None, found))[0]
    finally:
        server.terminate()
        server.communicate()


def test_a_slider_moved_in_jupyterlab_redraws_its_figure(lab, browser):
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{lab}/doc/tree/sliders.ipynb")
    page.wait_for_function(READY)
    page.locator(".jp-Notebook .cm-content").first.click()
    page.keyboard.press("Shift+Enter")

    picture = page.locator("img.jupyter-widgets")
    picture.wait_for()
    assert page.locator(".jp-OutputArea img").count() == 1, "the printed figure shows as well"
    before = picture.get_attribute("src")
    page.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('img.jupyter-widgets').src !== before", arg=before
    )
    assert page.locator(".widget-readout").inner_text() == "2"
    page.close()
