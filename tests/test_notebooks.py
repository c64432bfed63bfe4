"""What a committed chapter looks like: stripped, its parameters in one cell, its cells short."""

import ast
import re
import subprocess
import sys

import nbformat
import pytest
from toc import BOOK, ROOT, cells, chapters, notebook, pages, source

NOTEBOOKS = sorted(path for path in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
PARAMETERS = {"preset", "corpus", "device", "seed"}
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
LONGEST_CELL = 30

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def tags(cell):
    return set(cell.metadata.get("tags", []))


def strip_tool(*arguments):
    tool = ROOT / "tools" / "strip_notebooks.py"
    return subprocess.run(
        [sys.executable, tool, *arguments], capture_output=True, text=True, check=False
    )


def test_every_page_of_the_contents_is_there():
    missing = [page for page in pages() if not any(BOOK.glob(f"{page}.*"))]
    assert not missing


def test_there_are_chapters_and_all_are_in_the_contents():
    assert NOTEBOOKS
    assert sorted(chapters()) == NOTEBOOKS


def test_notebooks_are_stripped():
    check = strip_tool("--check", BOOK)
    assert check.returncode == 0, f"run `make format`:\n{check.stdout}"


def test_stripping_leaves_what_was_written(tmp_path):
    notebook = nbformat.v4.new_notebook(metadata={"widgets": {}, "title": "mine"})
    cell = nbformat.v4.new_code_cell("1 + 1", execution_count=7)
    cell.outputs = [nbformat.v4.new_output("stream", text="2")]
    cell.metadata.update(tags=["parameters"], execution={"started": "now"})
    notebook.cells = [nbformat.v4.new_markdown_cell("*kept*"), cell]
    path = tmp_path / "chapter.ipynb"
    nbformat.write(notebook, path)

    assert strip_tool("--check", tmp_path).returncode == 1
    assert strip_tool(tmp_path).returncode == 0
    assert strip_tool("--check", tmp_path).returncode == 0

    text, code = nbformat.read(path, as_version=4).cells
    assert (text.source, code.source) == ("*kept*", "1 + 1")
    assert (code.outputs, code.execution_count) == ([], None)
    assert code.metadata == {"tags": ["parameters"]}


def test_damaged_notebooks_are_named_and_the_others_are_stripped(tmp_path):
    damaged = {
        tmp_path / f"damaged-{number}.ipynb": text
        for number, text in enumerate(["{", "[]", "{}", '{"nbformat": 4, "cells": 7}'])
    }
    for path, text in damaged.items():
        path.write_text(text)
    used = nbformat.v4.new_code_cell("1", execution_count=7)
    nbformat.write(nbformat.v4.new_notebook(cells=[used]), tmp_path / "used.ipynb")
    done = strip_tool(tmp_path)
    assert done.returncode == 1
    for path, complaint in zip(damaged, done.stderr.splitlines(), strict=True):
        assert complaint.startswith(f"{path}: not a notebook (")
        assert path.read_text() == damaged[path]
    assert nbformat.read(tmp_path / "used.ipynb", 4).cells[0].execution_count is None


@each_notebook
def test_notebook_is_valid(path):
    nbformat.validate(notebook(path))


@each_notebook
def test_one_cell_holds_the_parameters(path):
    found = [cell for cell in cells(path, "code") if "parameters" in tags(cell)]
    assert len(found) == 1, "exactly one cell is tagged `parameters`"
    assigned = {
        target.id
        for statement in ast.parse(found[0].source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    }
    assert assigned == PARAMETERS


@each_notebook
def test_first_code_cell_installs_in_colab(path):
    expected = (ROOT / "tools" / "colab_cell.txt").read_text(encoding="utf-8")
    first = cells(path, "code")[0]
    assert first.source.strip() == expected.strip()
    assert "remove-cell" in tags(first)


@each_notebook
def test_a_chapter_imports_from_the_package_by_name(path):
    """By the names `make book` knows what a chapter rests on: the package loads them lazily."""
    assert not re.search(r"^\s*import sdmvae_lite", source(path, "code"), re.MULTILINE)


@each_notebook
def test_shown_cells_are_short(path):
    shown = [cell.source for cell in cells(path, "code") if not tags(cell) & FOLDED]
    longest = max(shown, key=lambda source: source.count("\n"))
    assert longest.count("\n") + 1 <= LONGEST_CELL, longest


@each_notebook
def test_folded_cells_say_what_they_hold(path):
    folded = [cell for cell in cells(path, "code") if tags(cell) & {"hide-input", "hide-cell"}]
    unnamed = [cell.source for cell in folded if not cell.metadata.get("mystnb")]
    assert not unnamed, unnamed[0]
    values = (value for cell in folded for value in cell.metadata["mystnb"].values())
    kinds = {value for value in values if isinstance(value, str)}  # an image is no name
    assert kinds <= {
        "Settings of this chapter",
        "Set-up",
        "Solution",
        *(f"Code of this {kind}" for kind in ("figure", "table")),
    }


@each_notebook
def test_a_chapter_says_what_it_offers_and_closes_what_it_opened(path):
    text = source(path, "markdown")
    order = ["# ", "**After this chapter you will be able to**", "**You need**", "**It takes**"]
    order += ["## A question", "## Summary", "## Exercises", "## What comes next", "## References"]
    found = [text.find(start) for start in order]
    assert -1 not in found, [start for start, place in zip(order, found, strict=True) if place < 0]
    assert found == sorted(found)


@each_notebook
def test_each_exercise_has_a_solution_that_runs(path):
    """Solutions are folded code, so that running the chapter runs them."""
    all_cells = cells(path)
    asked = [
        position
        for position, cell in enumerate(all_cells)
        if cell.cell_type == "markdown" and re.search(r"^\*\*\d\. ", cell.source, re.MULTILINE)
    ]
    assert 2 <= len(asked) <= 4
    for position in asked:
        solution = all_cells[position + 1]
        assert solution.cell_type == "code", all_cells[position].source
        assert solution.source.startswith("# Solution\n"), solution.source
        assert "hide-cell" in tags(solution), solution.source


@each_notebook
def test_equations_are_labelled_once_and_every_reference_finds_one(path):
    text = source(path, "markdown")
    labels = re.findall(r"^\$\$ \(([\w-]+)\)$", text, re.MULTILINE)
    assert len(labels) == len(set(labels))
    assert set(re.findall(r"\{eq\}`([\w-]+)`", text)) <= set(labels)
    assert labels, "a chapter without an equation"
