"""The built pages as a site: what they weigh, whom they shut out, what paper and indexes get."""

import re
import unicodedata
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import axe_playwright_python
import pytest
import yaml
from chromium import NEEDS_CHROMIUM
from pypdf import PdfReader
from toc import ROOT, chapters, pages

pytest_plugins = ["built"]
pytestmark = NEEDS_CHROMIUM

CHAPTERS = [path.stem for path in chapters()]
HTML, CHAPTER, LANDING, SEARCH = 300_000, 3_000_000, 1_500_000, 1_000_000  # bytes

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
RULES = {
    "runOnly": WCAG,
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
# A page has thousands of formulas and marks in code: of each kind one is looked at.
ONE_OF_EACH = """() => {
    const seen = new Set();
    for (const formula of document.querySelectorAll("mjx-container")) formula.remove();
    for (const mark of document.querySelectorAll("article :is(pre, dt.sig) span[class]"))
        if (seen.has(mark.className)) mark.replaceWith(...mark.childNodes);
        else seen.add(mark.className);
}"""


class Visit:
    """A page in the browser, and how many bytes it has asked for."""

    def __init__(self, browser, site):
        self.page = browser.new_page(
            viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
        )
        self.page.set_default_timeout(120_000)  # milliseconds: machines are shared
        self.site, self.weights = site, {}
        self.page.on("requestfinished", self.weigh)

    def weigh(self, request):
        self.weights[request.url] = request.sizes()["responseBodySize"]

    def open(self, address):
        self.page.goto(f"{self.site}/{address}", wait_until="networkidle")
        return self.page

    def read_to_the_end(self):
        """Have everything loaded that a reader comes to see."""
        self.page.evaluate(
            """async () => {
                for (let y = 0; y < document.body.scrollHeight; y += 600) {
                    scrollTo(0, y);
                    await new Promise(requestAnimationFrame);
                }
            }"""
        )
        self.page.wait_for_load_state("networkidle")


@pytest.fixture
def visit(browser, site):
    visit = Visit(browser, site)
    yield visit
    visit.page.close()


def findings(page, rules):
    """What axe finds and calls serious or critical."""
    options = rules | {"resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        (each["id"], node["target"], node["html"][:120])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("name", pages())
def test_a_page_is_light_and_shuts_nobody_out(visit, book, name):
    assert (book / f"{name}.html").stat().st_size < HTML
    page = visit.open(f"{name}.html")
    visit.read_to_the_end()
    sounds = [url for url in visit.weights if url.endswith((".wav", ".flac", ".ogg"))]
    assert not sounds, "a sound is loaded when it is played"
    budget = LANDING if name == "index" else CHAPTER
    assert sum(visit.weights.values()) < budget, sorted(visit.weights.items(), key=lambda i: -i[1])
    formulas = page.locator("article .math").count() > 0
    assert any("mathjax" in url for url in visit.weights) == formulas

    assert page.locator("mjx-container[tabindex], mjx-container [tabindex]").count() == 0
    assert (page.locator("mjx-assistive-mml").count() > 0) == formulas

    page.add_script_tag(content=AXE)
    page.evaluate(ONE_OF_EACH)
    assert not findings(page, RULES)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.evaluate("for (const each of document.getAnimations()) each.finish()")
    assert not findings(page, COLOURS)

    page.set_viewport_size({"width": 320, "height": 640})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 320, f"a page {wide} pixels wide is scrolled to both sides"


def test_a_search_is_light(visit):
    visit.open("index.html")
    before = set(visit.weights)
    page = visit.open("search.html?q=Hoyer")
    page.wait_for_selector("#search-results li a")
    page.wait_for_load_state("networkidle")
    assert page.locator("#search-results li a").count() > 5
    asked = {url: size for url, size in visit.weights.items() if url not in before}
    assert any("searchindex.js" in url for url in asked)
    assert sum(asked.values()) < SEARCH, asked


def test_what_has_the_focus_shows_it(visit):
    page = visit.open(f"{CHAPTERS[0]}.html")
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => {
                const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
                return [document.activeElement.outerHTML.slice(0, 80), outlineStyle, outlineWidth];
            }"""
        )
        if focused[0].startswith("<audio"):
            continue  # the browser marks which of its own buttons it is
        assert focused[1] != "none", focused
        assert float(focused[2].removesuffix("px")) >= 2, focused


def test_icons_are_shown_without_the_script(visit):
    page = visit.open("index.html")
    assert not any("fontawesome.js" in url for url in visit.weights)
    drawn = page.eval_on_selector_all(
        ".fa-bars, .fa-magnifying-glass",
        """all => all.filter(i => i.checkVisibility()).map(i => {
            const {content, fontFamily} = getComputedStyle(i, '::before');
            return fontFamily.includes('Font Awesome') && content.length === 3;
        })""",
    )
    assert drawn
    assert all(drawn)
    assert any("fa-solid-900.woff2" in url for url in visit.weights)


@pytest.mark.parametrize("width", [800, 975])
def test_a_drawer_is_as_high_as_the_window(visit, width):
    page = visit.open("index.html")
    page.set_viewport_size({"width": width, "height": 700})
    page.locator(".primary-toggle").filter(visible=True).click()
    page.evaluate("for (const each of document.getAnimations()) each.finish()")
    box = page.locator("#pst-primary-sidebar-modal").bounding_box()
    assert box["height"] >= 700


def squeezed(text):
    """The text without spaces, line ends and ligatures, which a PDF sets as it likes."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def printed(page, path, theme):
    """The pages of what is printed from one theme, which is there again afterwards."""
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    page.pdf(path=path, format="A4", print_background=True)
    page.wait_for_selector(f"html[data-theme='{theme}']")
    return PdfReader(path).pages


def test_a_printed_chapter_has_lost_nothing_from_dark_mode_too(visit, tmp_path):
    page = visit.open(f"{CHAPTERS[0]}.html")
    visit.read_to_the_end()
    sheets = printed(page, tmp_path / "light.pdf", "light")
    drawn = [sheet.get_contents().get_data() for sheet in sheets]
    dark = printed(page, tmp_path / "dark.pdf", "dark")
    assert drawn == [sheet.get_contents().get_data() for sheet in dark]
    assert page.locator("article details[open]").count() == 0
    text = squeezed("".join(sheet.extract_text() for sheet in sheets))

    assert squeezed(page.locator("article h1").first.text_content())[:-1] in text
    code = page.locator("article div.highlight pre").all_text_contents()
    folded = page.locator("article details div.highlight pre").count()
    assert len(code) > folded > 0
    lost = [line for cell in code for line in cell.splitlines() if squeezed(line) not in text]
    assert not lost
    labels = page.locator("article figure.player figcaption").all_text_contents()
    assert labels
    assert all(squeezed(f"To hear on the page: {label}") in text for label in labels)


class Head(HTMLParser):
    """What the head of a page says: of each name, all contents."""

    def __init__(self, path):
        super().__init__()
        self.said = {}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        name = attributes.get("name") or attributes.get("property") or attributes.get("rel")
        if tag in ("meta", "link") and name:
            content = attributes.get("content") or attributes.get("href")
            self.said.setdefault(name, []).append(content)


CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
SITE = CONFIG["html"]["baseurl"]


@pytest.mark.parametrize("name", pages())
def test_a_page_says_what_it_is_and_how_to_cite_it(book, name):
    said = Head(book / f"{name}.html").said
    assert len(said["viewport"]) == 1
    assert said["canonical"] == said["citation_public_url"] == [f"{SITE}{name}.html"]
    assert said["og:site_name"] == [CITATION["title"]]
    assert len(said["description"]) == 1
    assert len(said["description"][0]) > 20
    (picture,) = said["og:image"]
    assert (book / picture.removeprefix(SITE)).is_file()

    title = said["citation_title" if name == "index" else "citation_inbook_title"]
    assert title == [CITATION["title"]] == [CONFIG["title"]]
    assert said["citation_author"] == [each["name"] for each in CITATION["authors"]]
    paper = CITATION["preferred-citation"]
    authors = [f"{each['given-names']} {each['family-names']}" for each in paper["authors"]]
    (reference,) = said["citation_reference"]
    assert reference.split("; ") == [
        f"citation_title={paper['title']}",
        *(f"citation_author={author}" for author in authors),
        f"citation_conference_title={paper['conference']['name']}",
        f"citation_publication_date={paper['year']}",
    ]


def test_the_footer_says_who_and_which(visit):
    footer = visit.open("index.html").locator("footer.bd-footer-content")
    text = " ".join(footer.text_content().split())
    paper = CITATION["preferred-citation"]
    for part in (CITATION["title"], CITATION["version"], CITATION["license"], paper["title"]):
        assert part in text
    links = footer.locator("a").evaluate_all("all => all.map(a => a.href)")
    assert {CITATION["repository-code"], paper["url"]} <= set(links)


def test_indexes_find_every_page(book):
    assert (book / ".nojekyll").is_file()
    places = [place.text for place in ET.parse(book / "sitemap.xml").iter() if place.text]
    assert {f"{SITE}{name}.html" for name in pages()} == {p for p in places if p.strip()}


def test_a_wrong_address_leads_back(book):
    lost = (book / "404.html").read_text(encoding="utf-8")
    here = SITE.split(".io")[1]
    local = [a for a in re.findall(r'(?:href|src)="([^"#]+)"', lost) if "://" not in a]
    assert f"{here}index.html" in local
    assert all(address.startswith(here) for address in local), local
