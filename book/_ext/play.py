"""Sphinx extension: what the page *Play with a code* plays with is made beside it."""

from pathlib import Path

from sphinx.application import Sphinx


def add_data(app: Sphinx, failed: Exception | None) -> None:
    """Write what the page plays with, if the book has that page and could be rendered."""
    if not failed and "play" in app.env.found_docs:
        from play_data import write_data  # loads torch, which other books do without

        write_data(Path(app.outdir) / "play")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", add_data)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
