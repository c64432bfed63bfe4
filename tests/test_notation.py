"""The reference pages keep to the book: the paper's equations, and the terms of the glossary."""

import importlib
import inspect
import re

import pytest
from toc import BOOK, chapters, source

NOTATION, GLOSSARY = (
    (BOOK / f"{name}.md").read_text(encoding="utf-8") for name in ("notation", "glossary")
)
TEXTS = {path.stem: source(path, "markdown") for path in chapters()}

ROW = re.compile(
    r"^\| \((?P<number>\w+)\) \| [^|]+ \| \{eq\}`(?P<label>[\w-]+)` \| (?P<code>[^|]+) "
    r"\| \[\]\((?P<chapter>\w+)\) \|$",
    re.MULTILINE,
)
ROWS = list(ROW.finditer(NOTATION.split("## The paper's equations")[1]))


def defined(path):
    """What the package defines under a dotted path, module and name, or module, class and name."""
    module, *rest = re.fullmatch(r"((?:[a-z]\w*\.)+[a-z]\w*)((?:\.\w+)+)", path).groups()
    thing = importlib.import_module(module)
    for name in rest[0].split(".")[1:]:
        thing = getattr(thing, name)
    assert thing.__module__ == module, f"{path} is defined in {thing.__module__}"
    return thing


def equations(text):
    """The numbers of equations that a text calls the paper's."""
    said = re.findall(
        r"paper(?:'s(?:\s[\w-]+)?)?,?\s+\(?(?:eqs?\.|equations?)\s+"
        r"((?:\(?\d+[ab]?\)?(?:,\s+and\s+|,\s+|\s+and\s+)?)+)",
        text,
    )
    return set(re.findall(r"\d+[ab]?", " ".join(said)))


def test_every_equation_of_the_paper_has_its_row():
    numbers = ["1", "2", "3", "4", "5", "6", "7", "8a", "8b", "9", "10", "11", "12"]
    assert [row["number"] for row in ROWS] == numbers
    lines = NOTATION.split("## The paper's equations")[1].splitlines()
    assert sum(line.startswith("| (") for line in lines) == len(numbers)


each_row = pytest.mark.parametrize("row", ROWS, ids=[row["number"] for row in ROWS])


@each_row
def test_a_function_names_the_equation_that_it_computes(row):
    targets = re.findall(r"\{py:\w+\}`[\w.]+ <(sdmvae_lite\.[\w.]+)>`", row["code"])
    (target,) = targets
    assert row["number"] in equations(inspect.getdoc(defined(target)))


@each_row
def test_a_chapter_shows_the_equation_and_names_it(row):
    text = TEXTS[row["chapter"]]
    assert f"$$ ({row['label']})" in text
    assert row["number"] in equations(text)


ENTRIES = re.findall(r"^(\S.*)\n  (.+) \[\]\((\w+)\)$", GLOSSARY.split("```")[1], re.MULTILINE)


def plain(text):
    """A text in one case, with one kind of space and without the marks of markdown and code."""
    return re.sub(r"[\s_-]+", " ", text.replace("*", "").replace("`", "")).casefold()


def names(term):
    """The forms in which a chapter may use a term: without, and only, what it has in brackets."""
    head, *other = re.split(r" \(|\)", term)
    return [plain(name) for name in (head.split(", ")[0], *other) if name]


def test_the_glossary_is_in_order_and_has_every_entry_once():
    terms = [plain(term).replace(",", "") for term, _, _ in ENTRIES]
    assert terms == sorted(set(terms))
    blank = GLOSSARY.split("```")[1].strip().count("\n\n")
    assert len(ENTRIES) == blank + 1, "an entry is a term, a sentence and a chapter"


@pytest.mark.parametrize(("term", "sentence", "chapter"), ENTRIES, ids=lambda text: text[:20])
def test_a_term_is_a_sentence_and_leads_to_a_chapter_that_uses_it(term, sentence, chapter):
    assert sentence.endswith((".", ".*"))
    assert sentence.count(". ") == 0
    text = plain(TEXTS[chapter])
    assert any(re.search(rf"\b{re.escape(name)}(s|es)?\b", text) for name in names(term))
