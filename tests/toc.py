"""The book as its table of contents has it, for the tests of chapters and pages."""

import functools
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"


def pages() -> list[str]:
    """Every page of the table of contents, the landing page first, without suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]


def chapters() -> list[Path]:
    """The notebooks of the table of contents, in its order."""
    return [BOOK / f"{page}.ipynb" for page in pages() if (BOOK / f"{page}.ipynb").exists()]


@functools.cache
def notebook(path: Path) -> nbformat.NotebookNode:
    """A notebook of the book, read once; `nbformat.read` makes sure that it is valid."""
    return nbformat.read(path, as_version=4)


def cells(path: Path, kind: str | None = None) -> list[nbformat.NotebookNode]:
    """The cells of a notebook, all or only those of a kind: ``code`` or ``markdown``."""
    every = notebook(path).cells
    return [cell for cell in every if kind in (None, cell.cell_type)]


def source(path: Path, kind: str, leave_out: str = "") -> str:
    """What the cells of a kind hold, in one text; those tagged ``leave_out`` left out."""
    kept = [cell for cell in cells(path, kind) if leave_out not in cell.metadata.get("tags", [])]
    return "\n".join(cell.source for cell in kept)
