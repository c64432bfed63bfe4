"""The built book in a real browser: on a laptop and on a phone, with no network."""

import functools
import re
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from built import build
from chromium import NEEDS_CHROMIUM
from toc import ROOT, cells, chapters, pages

CHAPTERS = [path.stem for path in chapters()]
SIZES = {"laptop": (1280, 800), "phone": (390, 844)}

pytest_plugins = ["built"]
pytestmark = NEEDS_CHROMIUM


@pytest.fixture(params=SIZES)
def visit(request, browser, site):
    """Opens a page of the book; it then holds `complaints` and the `hosts` it asked."""
    width, height = SIZES[request.param]
    page = browser.new_page(viewport={"width": width, "height": height})
    page.complaints, page.hosts = [], set()
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "console",
        lambda line: page.complaints.append(line.text) if line.type == "error" else None,
    )
    page.on("request", lambda asked: page.hosts.add(urlsplit(asked.url).hostname))

    def open_page(name):
        page.goto(f"{site}/{name}.html", wait_until="networkidle")
        return page

    yield open_page
    page.close()


def test_index_is_the_landing_page(book):
    assert (book / "index.html").is_file()


class Anchors(HTMLParser):
    """The links of a page, and the places in it that a link may name."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places.add(attributes.get("id"))
        if tag == "a" and attributes.get("href"):
            self.links.append(urlsplit(attributes["href"]))


def test_links_inside_the_book_lead_somewhere(book):
    read = functools.cache(Anchors)
    dead = []
    for name in pages():
        page = (book / f"{name}.html").resolve()
        for link in read(page).links:
            if link.scheme or link.netloc:
                continue
            target = (page.parent / unquote(link.path)).resolve() if link.path else page
            place = unquote(link.fragment) if target.suffix == ".html" else ""
            if not target.is_file() or (place and place not in read(target).places):
                dead.append(f"{name}: {link.geturl()}")
    assert not dead


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_code_names_equations_by_the_numbers_that_a_page_shows(book, path):
    chapter = int(path.stem[:2])
    shown = re.findall(r'class="eqno">\(([\d.]+)\)', (book / f"{path.stem}.html").read_text())
    assert shown == [f"{chapter}.{number}" for number in range(1, len(shown) + 1)]
    code = "\n".join(cell.source for cell in cells(path, "code"))
    assert set(re.findall(r"eqs?\. \(([\w.]+)\)", code.replace("paper's eq", ""))) <= set(shown)


def check_mathematics_is_typeset(page):
    written = page.locator("article .math").count()
    assert written > 0
    page.wait_for_function(
        "n => document.querySelectorAll('article .math mjx-container').length >= n", arg=written
    )
    sizes = page.eval_on_selector_all(
        "article .math mjx-container",
        "all => all.map(m => m.getBoundingClientRect()).map(box => box.width * box.height)",
    )
    assert min(sizes) > 0
    assert page.locator("mjx-merror").count() == 0


def check_audio_can_be_played(page, chapter):
    durations = page.evaluate(
        """async () => Promise.all([...document.querySelectorAll('audio')].map(
            audio => new Promise(resolve => {
                audio.onloadedmetadata = () => resolve(audio.duration);
                audio.onerror = () => resolve(-1);
                audio.preload = 'metadata';
                audio.load();
            })))"""
    )
    code = "\n".join(cell.source for cell in cells(chapters()[chapter], "code"))
    assert bool(durations) == bool(re.search(r"\b(players|code_player|abx|sound_map)\(", code))
    assert all(0 < duration < 60 for duration in durations), durations


def check_figures_are_numbered(page, chapter):
    described = [cell for cell in cells(chapters()[chapter]) if cell.metadata.get("mystnb")]
    drawn = [cell for cell in described if "image" in cell.metadata["mystnb"]]
    numbers = page.locator("figure figcaption .caption-number").all_text_contents()  # or folded
    expected = [f"Figure {chapter + 1}.{number + 1}" for number in range(len(drawn))]
    assert [number.strip() for number in numbers] == expected


@pytest.mark.parametrize("name", pages())
def test_page_is_whole_and_asks_nobody(visit, name):
    page = visit(name)
    assert not page.complaints
    assert page.hosts - {None} == {"127.0.0.1"}

    assert page.locator(".stderr").count() == 0, "a page shows no progress bars"
    twice = ".output.stream ~ .output.stream"
    assert page.locator(twice).count() == 0, "what a cell prints is one output"

    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"{wide} pixels stand out to the right"

    load = "all => Promise.all(all.map(i => ((i.loading = 'eager'), i.decode().catch(() => {}))))"
    page.eval_on_selector_all("article img", load)  # what would wait until it is scrolled to
    images = page.eval_on_selector_all(
        "article img",
        "all => all.map(i => ({src: i.src.slice(0, 80), alt: i.alt, width: i.naturalWidth}))",
    )
    for image in images:
        assert image["width"] > 0, image
        assert image["alt"], image
        assert not image["alt"].endswith((".png", ".svg")), image

    if name in CHAPTERS or name == "notation":
        check_mathematics_is_typeset(page)
    if name in CHAPTERS:
        check_audio_can_be_played(page, CHAPTERS.index(name))
        check_figures_are_numbered(page, CHAPTERS.index(name))


def test_the_landing_page_plays_within_the_first_screen(visit):
    page = visit("index")
    for part in ("sound-switch", ".landing .codes", ".doors"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= page.viewport_size["height"], part


@pytest.fixture(params=["index", CHAPTERS[0]])
def resizable(request, browser, site):
    """A page of the book, whose window the test makes as wide as it likes."""
    page = browser.new_page()
    page.goto(f"{site}/{request.param}.html", wait_until="networkidle")
    page.chapters = {"#", *(f"{name}.html" for name in pages() if name != request.param)}
    yield page
    page.close()


def press(page, button):
    """Click the visible button of a sidebar: ``primary``: the chapters, ``secondary``: the page."""
    page.locator(f".{button}-toggle").filter(visible=True).click()


def links(page, sidebar):
    """Where the links of a sidebar lead that stand in the window, once none of it moves."""
    page.wait_for_function("() => document.getAnimations().length === 0")
    return page.eval_on_selector_all(
        f".bd-sidebar-{sidebar} li > a",
        """all => all.filter(a => a.checkVisibility({visibilityProperty: true}))
            .filter(a => a.getBoundingClientRect().right > 0)
            .filter(a => a.getBoundingClientRect().left < window.innerWidth)
            .map(a => a.getAttribute("href"))""",
    )


@pytest.mark.parametrize("width", [390, 768])
def test_buttons_open_the_chapters_and_the_contents(resizable, width):
    resizable.set_viewport_size({"width": width, "height": 800})
    assert links(resizable, "primary") == links(resizable, "secondary") == []
    press(resizable, "primary")
    assert set(links(resizable, "primary")) == resizable.chapters
    resizable.keyboard.press("Escape")
    assert not links(resizable, "primary")

    press(resizable, "secondary")
    *_, place = links(resizable, "secondary")
    resizable.locator(f".bd-sidebar-secondary a[href='{place}']").click()
    top = f"document.querySelector('{place}').getBoundingClientRect().top"
    resizable.wait_for_function(f"() => 0 < {top} && {top} < window.innerHeight")
    assert not links(resizable, "secondary"), "the contents cover the place chosen in them"


def test_on_a_wide_screen_the_menu_button_hides_the_chapters(resizable):
    resizable.set_viewport_size({"width": 1280, "height": 800})
    assert links(resizable, "secondary"), "the contents need no button here"
    assert set(links(resizable, "primary")) == resizable.chapters
    press(resizable, "primary")
    assert not links(resizable, "primary")
    press(resizable, "primary")
    assert set(links(resizable, "primary")) == resizable.chapters


@pytest.mark.parametrize(("cell", "fails"), [("1 / 1", False), ("1 / 0", True)])
def test_a_failing_cell_fails_the_build(tmp_path, cell, fails):
    for name in ("_config.yml", "book/references.bib"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("_static", "_extra", "_ext", "_templates"):
        shutil.copytree(ROOT / "book" / name, tmp_path / "book" / name)
    contents = "format: jb-book\nroot: index\nchapters:\n  - file: other\n"
    (tmp_path / "_toc.yml").write_text(contents, encoding="utf-8")
    (tmp_path / "book" / "other.md").write_text("# Another page\n", encoding="utf-8")
    cells = [nbformat.v4.new_markdown_cell("# A page"), nbformat.v4.new_code_cell(cell)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "book" / "index.ipynb")

    built = build(tmp_path, tmp_path)
    assert bool(built.returncode) == fails, built.stdout + built.stderr
    assert ("ZeroDivisionError" in built.stdout + built.stderr) == fails
