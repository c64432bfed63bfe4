"""The map of the landing page, drawn from the table of contents and from what chapters ask for.

A chapter is joined to those that its paragraph **You need** links, but for what one of these needs
itself. So a new chapter finds its place without an edit here.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import NamedTuple

import yaml

LEFT, RIGHT, ROW, BOX = 84, 352, 38, 30  # of the boxes, in the units of the picture
WAYS = LEFT - 8  # how far out the longest way may go


class Chapter(NamedTuple):
    """A numbered page of the contents."""

    file: str  # without suffix
    title: str
    needs: set[str]  # files of earlier chapters


def notebooks(toc: Path) -> list[str]:
    """Return the files of the numbered parts of a table of contents, without suffix."""
    parts = yaml.safe_load(toc.read_text(encoding="utf-8"))["parts"]
    return [page["file"] for part in parts if part.get("numbered") for page in part["chapters"]]


def read_chapters(toc: Path, book: Path) -> list[Chapter]:
    """Return the chapters in order, from their own first lines and their links."""
    read: list[Chapter] = []
    for file in notebooks(toc):
        cells = json.loads((book / f"{file}.ipynb").read_text(encoding="utf-8"))["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        asked = re.search(r"\*\*You need\*\*(.*?)(?:\n\n|$)", "\n\n".join(texts), re.DOTALL)
        links = set(re.findall(r"\]\((\w+)", asked[1])) if asked else set()
        title = texts[0].splitlines()[0].removeprefix("# ")
        read.append(Chapter(file, title, links & {each.file for each in read}))
    return read


def direct(chapters: list[Chapter]) -> dict[str, set[str]]:
    """Return, for each file, the needed files that no other of them needs in its turn."""
    behind: dict[str, set[str]] = {}  # all that a chapter rests on
    for each in chapters:
        behind[each.file] = each.needs.union(*(behind[need] for need in each.needs))
    return {
        each.file: each.needs - set().union(*(behind[need] for need in each.needs))
        for each in chapters
    }


def draw(chapters: list[Chapter]) -> str:
    """Return the map: a box for each chapter, and to its left the ways that lead to it."""
    ways, place = direct(chapters), {each.file: i for i, each in enumerate(chapters)}
    spans = [place[file] - place[need] for file in ways for need in ways[file]]
    longest = max([2, *spans])
    rows = []
    for i, each in enumerate(chapters):
        middle = 8 + ROW * i + BOX / 2
        paths = []
        for need in sorted(ways[each.file]):
            start = 8 + ROW * place[need] + BOX / 2
            out = 12 + (WAYS - 12) * (i - place[need] - 1) / (longest - 1)
            bend = LEFT - out * 4 / 3  # a curve reaches three quarters of the way to its bend
            paths.append(
                f'<path class="way" marker-end="url(#tip)" d="M{LEFT} {start + 5:g}'
                f'C{bend:.0f} {start + 5:g} {bend:.0f} {middle - 5:g} {LEFT - 5} {middle - 5:g}"/>'
            )
        before = " and ".join(str(place[need] + 1) for need in sorted(ways[each.file]))
        label = html.escape(f"{i + 1} {each.title}{', builds on ' * bool(before)}{before}")
        rows.append(
            f'<g>{"".join(paths)}<a href="{each.file}.html" aria-label="{label}">'
            f'<rect x="{LEFT}" y="{middle - BOX / 2:g}" width="{RIGHT - LEFT}" height="{BOX}" '
            f'rx="6"/><text x="{LEFT + 12}" y="{middle + 5:g}"><tspan class="number">{i + 1}'
            f"</tspan> {html.escape(each.title)}</text></a></g>"
        )
    height = 16 + ROW * (len(chapters) - 1) + BOX
    return (
        f'<svg class="map" viewBox="0 0 360 {height}" aria-labelledby="map-title">'
        '<title id="map-title">The chapters in order, and which build on which</title>'
        '<defs><marker id="tip" viewBox="0 0 6 6" refX="2" refY="3" markerWidth="6" '
        'markerHeight="6" orient="auto"><path d="M0 0L6 3L0 6z"/></marker></defs>\n'
        + "\n".join(rows)
        + "\n</svg>"
    )
