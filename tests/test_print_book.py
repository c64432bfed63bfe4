"""`make pdf`: every page in one PDF, found from its first sheet and from the bookmarks."""

import subprocess
import sys

import pytest
from chromium import CHROMIUM, NEEDS_CHROMIUM
from pypdf import PdfReader
from toc import ROOT

pytestmark = NEEDS_CHROMIUM

TOC = """format: jb-book
root: index
parts:
  - caption: Chapters
    chapters:
      - file: long
      - file: last
"""
PAGES = {
    "index": "<h1>A book<a>#</a></h1>",
    "long": "<h1>2. Long & <em>winding</em></h1>" + "<p>On and on.</p>" * 100,
    "last": "<h1>3. The last</h1>",
}


@pytest.fixture
def print_book(tmp_path, monkeypatch):
    """Runs the tool on a book of three pages."""
    monkeypatch.setenv("CHROMIUM", CHROMIUM)
    (tmp_path / "_toc.yml").write_text(TOC, encoding="utf-8")
    (tmp_path / "_config.yml").write_text("title: Three pages\n", encoding="utf-8")
    for name, article in PAGES.items():
        text = f"<!DOCTYPE html><meta charset='utf-8'><article>{article}</article>"
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")

    def run():
        command = [sys.executable, ROOT / "tools" / "print_book.py", ".", "book.pdf"]
        return subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)

    return run


def test_the_book_is_one_pdf_with_a_list_of_its_pages(print_book, tmp_path):
    done = print_book()
    assert done.returncode == 0, done.stderr
    book = PdfReader(tmp_path / "book.pdf")
    sheets = [sheet.extract_text() for sheet in book.pages]
    starts = {each.title: book.get_destination_page_number(each) for each in book.outline}
    assert list(starts) == ["A book", "2. Long & winding", "3. The last"]
    assert starts["3. The last"] > starts["2. Long & winding"] + 1, "a page of several sheets"
    listed = " ".join(sheets[0].split())
    assert listed.startswith("Three pages")
    for title, start in starts.items():
        assert title in sheets[start]
        assert f"{title} {start + 1}" in listed
    links = [each.get_object() for each in book.pages[0]["/Annots"]]
    begun = [book.pages[start].indirect_reference for start in starts.values()]
    assert [link["/Dest"][0] for link in links] == begun
    heights = [float(link["/Rect"][1]) for link in links]
    assert heights == sorted(heights, reverse=True)


def test_a_page_that_was_not_rendered_is_named(print_book, tmp_path):
    (tmp_path / "last.html").unlink()
    refused = print_book()
    assert refused.returncode != 0
    assert "no page last.html: `make book` renders it" in refused.stderr
    assert not (tmp_path / "book.pdf").exists()
