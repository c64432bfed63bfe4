"""Print the rendered book into one PDF, with a list of its pages and bookmarks.

Each page of the book is printed by Chromium, which CHROMIUM names where it is not on PATH, and
the sheets are numbered through. Sounds are lines that say what there is to hear.
"""

import argparse
import functools
import html
import io
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from playwright.sync_api import Browser, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Link

from sdmvae_lite.store import write

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"format": "A4", "print_background": True}
MARGIN = {"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}
LINE, FIRST, PER_SHEET = 22.0, 160.0, 28  # of the list of pages: points, points, lines


def chromium() -> str:
    """The path of the browser."""
    named = os.environ.get("CHROMIUM")
    found = [path for path in map(shutil.which, filter(None, (named, *BROWSERS))) if path]
    if not found:
        raise SystemExit("no Chromium was found: install one, or name it by CHROMIUM=/path/to/it")
    return found[0]


def pages(toc: Path) -> list[str]:
    """The names of all pages, in the order of the table of contents."""
    contents = yaml.safe_load(toc.read_text(encoding="utf-8"))
    parts = contents.get("parts", [])
    return [contents["root"], *(each["file"] for part in parts for each in part["chapters"])]


@contextmanager
def serve(folder: Path, note: Callable[..., None] = lambda *said: None) -> Iterator[str]:
    """Serve a folder; what is asked for is told to ``note``. Yields the address, without a slash.

    Like Python's own server it sends whole files only, no parts of them.
    """

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, _format: str, *said: object) -> None:
            note(*said)

    handler = functools.partial(Handler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def print_page(browser: Browser, address: str, path: Path) -> str:
    """Print the page at ``address`` into ``path``, and return its title."""
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(address, wait_until="networkidle")
    page.evaluate("for (const each of document.images) each.loading = 'eager'")
    page.wait_for_function("() => [...document.images].every(each => each.complete)")
    page.wait_for_function("() => !window.MathJax?.startup || MathJax.startup.promise")
    page.pdf(path=path, margin=MARGIN, **SIZE)
    title = page.locator("article h1").first.inner_text().rstrip("#").strip()
    page.close()
    return title


def list_of_pages(browser: Browser, name: str, starts: dict[str, int], path: Path) -> None:
    """Print the first sheets: the name of the book, and each title with the sheet it begins on."""
    lines = [
        f"<p style='top:{FIRST + LINE * (i % PER_SHEET):.1f}pt'><span>{html.escape(title)}</span>"
        f"<b>{number}</b></p>"
        for i, (title, number) in enumerate(starts.items())
    ]
    sheets = [lines[i : i + PER_SHEET] for i in range(0, len(lines), PER_SHEET)]
    style = """@page { size: A4; margin: 0 } body { margin: 0; font: 12pt sans-serif }
        section { position: relative; height: 841pt; break-after: page }
        h1 { position: absolute; top: 60pt; left: 60pt; margin: 0; font-size: 26pt }
        p { position: absolute; left: 60pt; width: 475pt; margin: 0; display: flex;
            justify-content: space-between }"""
    body = "".join(
        f"<section><h1>{html.escape(name)}</h1>{''.join(each)}</section>" for each in sheets
    )
    page = browser.new_page()
    page.set_content(f"<style>{style}</style>{body}")
    page.pdf(path=path, **SIZE)
    page.close()


def join(printed: dict[str, Path], contents: Path, target: Path) -> None:
    """Join the sheets, with bookmarks, and links from the list of pages."""
    writer = PdfWriter()
    writer.append(contents, import_outline=False)
    n_contents = len(writer.pages)
    starts = []
    for title, path in printed.items():
        starts.append(len(writer.pages))
        writer.append(path, outline_item=title, import_outline=False)
    for i, start in enumerate(starts):
        sheet = writer.pages[min(i // PER_SHEET, n_contents - 1)]
        top = float(sheet.mediabox.height) - FIRST - LINE * (i % PER_SHEET)
        box = (60, top - LINE + 4, 535, top + 4)
        writer.add_annotation(i // PER_SHEET, Link(rect=box, target_page_index=start))
    writer.compress_identical_objects()
    content = io.BytesIO()
    writer.write(content)
    write(target, content.getvalue())


def print_book(book: Path, toc: Path, name: str, target: Path) -> None:
    """Print every page of the rendered ``book`` into the PDF ``target``."""
    names = pages(toc)
    if missing := [each for each in names if not (book / f"{each}.html").is_file()]:
        raise SystemExit(f"{book} has no page {missing[0]}.html: `make book` renders it")
    with (
        serve(book) as site,
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium())
        printed = {}
        for each in names:
            path = Path(folder) / f"{each}.pdf"
            printed[print_page(browser, f"{site}/{each}.html", path)] = path
        number, starts = 1 + -(-len(names) // PER_SHEET), {}
        for title, path in printed.items():
            starts[title] = number
            number += len(PdfReader(path).pages)
        contents = Path(folder) / "list of pages.pdf"
        list_of_pages(browser, name, starts, contents)
        browser.close()
        join(printed, contents, target)
    print(f"{target}: {number - 1} sheets")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("book", type=Path, help="the rendered book: _build/html")
    parser.add_argument("target", type=Path, help="the PDF: _build/book.pdf")
    parser.add_argument("--toc", type=Path, default=Path("_toc.yml"), help="its contents")
    parser.add_argument("--config", type=Path, default=Path("_config.yml"), help="its title")
    arguments = parser.parse_args()
    title = re.search(r"(?m)^title: (.*)$", arguments.config.read_text(encoding="utf-8"))
    print_book(arguments.book, arguments.toc, title[1] if title else "", arguments.target)


if __name__ == "__main__":
    main()
