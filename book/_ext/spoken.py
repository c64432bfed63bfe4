"""Sphinx extension: the sentences of the landing page and *Play with a code*, and whose they are.

    {spoken}   one sentence: whose speech is on the pages

They are of the corpus that the chapters take, so that `SDMVAE_CORPUS` changes every voice at once.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

if TYPE_CHECKING:
    from sdmvae_lite.speech.corpora import Corpus, Utterance

SYNTHETIC = ("51f/s46", "50m/s33", "54f/s88")  # short ones of the synthetic corpus
SHORT = (2.0, 6.0)  # seconds of a sentence of another one


@functools.cache
def corpus() -> Corpus:
    """Return the corpus of `SDMVAE_CORPUS`, as large as the preset; the synthetic one whole."""
    from sdmvae_lite.config import get_preset
    from sdmvae_lite.speech.corpora import load_corpus

    found = load_corpus(minutes=get_preset().minutes)
    return load_corpus("synthetic") if found.name == "synthetic" else found


def sentences() -> dict[str, Utterance]:
    """Return up to three test sentences of different speakers, by what a page calls them."""
    test = corpus().test
    if corpus().name == "synthetic":
        spoken = {each.id: each for each in test}
        return {spoken[name].source.text: spoken[name] for name in SYNTHETIC}
    least, most = SHORT
    firsts: dict[str, Utterance] = {}
    for each in [each for each in test if least <= each.source.seconds <= most] or test:
        firsts.setdefault(each.speaker, each)
    return {f"speaker {name}": each for name, each in [*firsts.items()][:3]}


class Spoken(Directive):
    """Whose speech is on the pages, by the corpus itself."""

    def run(self) -> list[nodes.Node]:
        self.state.document.settings.env.note_reread()  # another corpus changes no file
        return [nodes.paragraph("", f"What is heard on these pages: {corpus().credit}.")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("spoken", Spoken)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
