"""The book as its table of contents has it, for the tests of chapters and pages."""

from pathlib import Path

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
