"""From the package to the book: a link leads to a chapter that shows the name, and to no other."""

import ast
import re

import pytest
from toc import ROOT, cells, chapters

PACKAGE = ROOT / "sdmvae_lite"
ROOMS = ("", "speech", "model", "training", "scoring", "enhancement", "table", "book")
NO_REFERENCE = {"__init__", "__main__", "cli"}  # the command line has its own --help
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
        path.read_text(encoding="utf-8")
    )
    for path in sorted(PACKAGE.rglob("*.py"))
}


def modules():
    """The modules of the reference page; the corpora are one, by the names that they export."""
    left_out = {*NO_REFERENCE, *ROOMS}
    return [name for name in FILES if name not in left_out and "speech.corpora." not in name]


def shown_in(path):
    """The names that a chapter's code imports, or asks something for."""
    names = set()
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(re.sub(r"^(\s*)!.*", r"\1pass", cell.source, flags=re.M))):
            if isinstance(node, ast.ImportFrom):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
    return names


SHOWN = {path.stem: shown_in(path) for path in chapters()}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def names_of(module, node):
    """What a docstring speaks of: its own name, or those that its module defines or exports."""
    if not isinstance(node, ast.Module):
        return {node.name}
    names = {top.name for top in node.body if isinstance(top, DOCUMENTED[1:])}
    if PACKAGE.joinpath(*module.split(".")).is_dir():
        exports = (top for top in node.body if isinstance(top, ast.ImportFrom) and top.level == 1)
        names.update(alias.name for top in exports for alias in top.names)
    return names


LINKS = [
    pytest.param(
        names_of(module, node), page, id=f"{module}-{getattr(node, 'name', '')}-{page[:2]}"
    )
    for module, tree in FILES.items()
    for node in ast.walk(tree)
    if isinstance(node, DOCUMENTED)
    for page in re.findall(r":doc:`([^`]+)`", ast.get_docstring(node) or "")
]


@pytest.mark.parametrize(("names", "page"), LINKS)
def test_a_link_leads_to_a_chapter_that_shows_the_name(names, page):
    assert page in SHOWN, f"{page} is no chapter"
    assert names & SHOWN[page], f"the code of {page} uses none of {sorted(names)}"


def test_the_reference_pages_show_every_module_in_the_order_of_the_rooms():
    pages = ((ROOT / "book" / f"{name}.md").read_text("utf-8") for name in ("api", "api_uses"))
    pattern = r"\.\. automodule:: sdmvae_lite\.([\w.]+)\n   :members:"
    listed = re.findall(pattern, "".join(pages))
    assert sorted(listed) == sorted(modules())
    order = [ROOMS.index(name.rpartition(".")[0]) for name in listed]
    assert order == sorted(order)


def test_the_notation_page_names_what_the_code_names():
    page = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
    table = page.split("## The same names in the code")[1]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| $")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[2])}
    assert {"mu", "logvar", "gamma", "dictionary", "frames"} <= named
    identifiers = {
        getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
        for tree in FILES.values()
        for node in ast.walk(tree)
    }
    assert named <= identifiers
