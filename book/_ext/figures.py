"""Sphinx extension: a chapter's figures are numbered, and captioned by their alternative texts.

A cell that draws has the alternative text of its picture in its metadata, under ``mystnb``. Its
first sentence becomes the visible caption; Sphinx counts the figures of each chapter.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

SHORT = 40  # characters: a first sentence such as "Two plots." says too little by itself
SENTENCES = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")


def caption(alternative: str) -> str:
    """Return the first sentence of an alternative text, and the next where that one is short.

    >>> caption("Two plots over sigma. Above, the price. Below, its slope.")
    'Two plots over sigma. Above, the price.'
    """
    first, *others = SENTENCES.split(alternative.strip())
    return " ".join([first, *others[:1]]) if len(first) < SHORT else first


def elements(node: nodes.Node, kind: str) -> list[nodes.container]:
    """Return what MyST-NB marked as ``kind`` below ``node``: cells, or outputs of a cell."""
    return [each for each in node.findall(nodes.container) if each.get("nb_element") == kind]


def number_figures(_app: Sphinx, document: nodes.document) -> None:
    """Put the first picture of each cell with an alternative text into a figure with a caption."""
    count = 0
    for cell in elements(document, "cell_code"):
        alternative = cell["cell_metadata"].get("mystnb", {}).get("image", {}).get("alt")
        outputs = elements(cell, "mime_bundle") if alternative else []
        pictures = [each for each in outputs if any(each.findall(nodes.image))] or outputs
        for picture in pictures[:1]:
            count += 1
            figure = nodes.figure(ids=[f"figure-{count}"])
            picture.replace_self(figure)
            figure += [picture, nodes.caption("", caption(alternative))]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", number_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
