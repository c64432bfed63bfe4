"""The page *Play with a code*, rendered once and opened as a visitor opens it."""

import base64
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from print_book import serve
from toc import BOOK, ROOT

from sdmvae_lite.model.pretrained import load_pretrained

sys.path.append(str(BOOK / "_ext"))
import play_data
import spoken

STEP = 1e-4  # what a rounding to 16 bits and browsers' scale of them may be off, of 1

# What the page lets sound, and when: each start and stop of a source, with its samples.
LISTEN = """
window.heard = [];
const {start, stop} = AudioBufferSourceNode.prototype;
AudioBufferSourceNode.prototype.start = function (when, offset) {
    heard.push({what: "start", when, offset, at: performance.now(),
                samples: this.buffer.getChannelData(0)});
    return start.call(this, when, offset);
};
AudioScheduledSourceNode.prototype.stop = function (when) {
    heard.push({what: "stop", when});
    return stop.call(this, when);
};
"""


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    """The folder of a book that is little more than this page, rendered as the whole book is."""
    folder = tmp_path_factory.mktemp("play")
    for name in ("_static", "_extra", "_ext", "_templates"):
        shutil.copytree(BOOK / name, folder / "book" / name)
    for name in ("play.md", "references.bib"):
        shutil.copy(BOOK / name, folder / "book" / name)
    shutil.copy(ROOT / "_config.yml", folder)
    (folder / "book" / "index.md").write_text("# A book\n", encoding="utf-8")
    contents = "format: jb-book\nroot: index\nchapters:\n  - file: play\n"
    (folder / "_toc.yml").write_text(contents, encoding="utf-8")
    built = subprocess.run(
        [
            *(Path(sys.executable).with_name("jupyter-book"), "build", "book"),
            *("--config", "_config.yml", "--toc", folder / "_toc.yml", "--path-output", folder),
        ],
        cwd=folder,
        env=os.environ,
        text=True,
        capture_output=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "_build" / "html"


ASKED = []  # what the server was asked


@pytest.fixture(scope="session")
def served(rendered):
    """The page's address on this machine, where it is a secure context with a server."""
    with serve(rendered, lambda *said: ASKED.append(said)) as site:
        yield f"{site}/play.html"


@pytest.fixture
def visit(rendered):
    """Opens the page, from its file unless an address is given, and holds it to be quiet."""
    contexts, complaints = [], []

    def open_page(browser, fragment="", address=rendered.joinpath("play.html").as_uri(), **options):
        contexts.append(
            browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        )
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.add_init_script(LISTEN)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.goto(f"{address}#{fragment}")
        if options.get("java_script_enabled", True):
            page.wait_for_function("document.querySelector('#play-said')?.textContent")
        page.complaints = complaints
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture(scope="module")
def sentences(browser):
    """The three sentences as the page reads them, in double precision, which is the page's."""
    page = browser.new_page()
    for name in ("numerics.js", "sound.js"):
        page.add_script_tag(path=BOOK / "_extra" / "play" / name)
    read = "async flac => [...await sound.read(numerics.fromBase64(flac).buffer)]"
    files = [play_data.flac(each.waveform()) for each in spoken.sentences().values()]
    found = [np.array(page.evaluate(read, base64.b64encode(file).decode())) for file in files]
    page.close()
    for file, samples in zip(files, found, strict=True):
        expected = soundfile.read(io.BytesIO(file))[0]
        assert np.abs(samples - expected / np.abs(expected).max()).max() < STEP
    return found


def package(name):
    """A model of the package in double precision."""
    return load_pretrained(name).double()


def said(page):
    return page.locator("#play-said").text_content()


def wait_until(page, text):
    page.wait_for_function(
        "text => document.querySelector('#play-said').textContent.includes(text)", arg=text
    )


def download(page):
    """The sound as the page saves it."""
    with page.expect_download() as saving:
        page.click("#play-save")
    samples, rate = soundfile.read(saving.value.path())
    assert rate == 16_000
    return samples


def unclipped(waveform):
    return waveform / max(1, np.abs(waveform).max())


def wait_for_address(page, pattern):
    """Wait until the address holds what matches a regular expression."""
    page.wait_for_function("pattern => new RegExp(pattern).test(location.hash)", arg=pattern)
