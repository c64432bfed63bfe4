"""From the package back to the book: each name says where it is derived, and is found there."""

import ast
import importlib
import inspect
import re

import pytest
from test_import_order import PACKAGE, modules
from toc import ROOT, chapters, source

# Modules whose every name is derived or shown in a chapter; for the services one link will do, and
# what works behind them is shown in no chapter.
MATHEMATICS = (
    *("spectra", "dictionaries", "divergences", "models", "training", "gradients"),
    *("resynthesis", "metrics", "evaluation", "statistics"),
    *("codes", "records", "claims"),
)
SERVICES = (
    *("config", "corpora", "frames", "storage", "lockstep", "experiments", "pretrained"),
    *("checks", "plots", "widgets"),
)
BEHIND = ("batches", "stacks", "workers", "score_cache")
CODE = {path.stem: source(path, "code") for path in chapters()}


def links(docstring):
    """The pages that a docstring leads to."""
    return re.findall(r":doc:`([^`<]+)`", docstring or "")


def names(module):
    """The public functions and classes that a module defines."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and node.name[0] != "_"]


def test_every_module_is_held_to_this():
    assert set(modules()) == {*MATHEMATICS, *SERVICES, *BEHIND}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in MATHEMATICS for name in names(module)]
)
def test_a_name_leads_to_the_chapter_that_shows_it(module, name):
    thing = getattr(importlib.import_module(f"sdmvae_lite.{module}"), name)
    found = links(inspect.getdoc(thing))
    assert found, f"{module}.{name} does not say which chapter shows it"
    for chapter in found:
        assert chapter in CODE, f"{module}.{name} leads to {chapter}, which is no chapter"
        assert f"sdmvae_lite.{module} import" in CODE[chapter], f"{chapter} does not use {module}"


@pytest.mark.parametrize("module", SERVICES)
def test_a_module_leads_to_a_chapter_that_uses_it(module):
    found = links(importlib.import_module(f"sdmvae_lite.{module}").__doc__)
    assert found, f"the docstring of {module} does not say which chapter shows it"
    for chapter in found:
        assert chapter in CODE, f"{module} leads to {chapter}, which is no chapter"
        assert f"sdmvae_lite.{module} import" in CODE[chapter], f"{chapter} does not use {module}"


@pytest.mark.parametrize("module", [*MATHEMATICS, *SERVICES, *BEHIND])
def test_the_reference_page_shows_every_module(module):
    page = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    assert f".. automodule:: sdmvae_lite.{module}\n   :members:" in page


def test_the_notation_page_names_what_the_code_names():
    page = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
    table = page.split("## The same names in the code")[1]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| $")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[2])}
    assert {"mu", "logvar", "gamma", "dictionary", "frames"} <= named
    sources = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.glob("*.py"))
    identifiers = {
        getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
        for node in ast.walk(ast.parse(sources.replace("from __future__ import annotations", "")))
    }
    assert named <= identifiers
