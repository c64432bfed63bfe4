"""Sphinx extension: the landing page plays a sentence and shows a part of the table.

    {landing-player}   three voices under one position, over the codes of two of them
    {landing-table}    four rows of the table, and what the records say of the paper's conclusion
    {landing-map}      the chapters, and which build on which: see `landing_map`

All are computed when the book is built: from the package's models, from `results`, and from the
table of contents.
"""

from __future__ import annotations

import functools
import html
from pathlib import Path

import numpy as np
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

import landing_map
import spoken

CODES = ("VAE", "SDM-VAE")
ROWS = {
    "vae-32": "VAE",
    "vsc-0.5-32": "VSC, α = 0.5",
    "sdm-identity-32": "SDM-VAE, D = I",
    "sdm-dct64-32": "SDM-VAE, DCT of 64 atoms",
}
SCORES = {
    "pesq_raw": ("PESQ", ".2f"),
    "estoi": ("ESTOI", ".2f"),
    "hoyer": ("Hoyer", ".2f"),
}


@functools.cache
def voices() -> dict:
    """Return a `Resynthesis` of one sentence by each of CODES."""
    from play_data import MODELS  # loads torch, which other pages do without
    from sdmvae_lite.model.pretrained import load_pretrained
    from sdmvae_lite.scoring.resynthesis import resynthesise

    waveform = next(iter(spoken.sentences().values())).waveform()
    return {name: resynthesise(load_pretrained(MODELS[name]), waveform) for name in CODES}


def player() -> str:
    """Return the player of the voices, at one level, over the codes of two of them."""
    from sdmvae_lite.book.instruments import CODE_FILES, code_markup
    from sdmvae_lite.book.page import with_files

    made = voices()
    sounds = {"original": made[CODES[0]].reference}
    sounds |= {f"through the {name}": each.estimate for name, each in made.items()}
    peak = max(np.abs(sound).max() for sound in sounds.values())
    codes = {name: each.output.code.numpy() for name, each in made.items()}
    markup = code_markup({name: sound / peak for name, sound in sounds.items()}, codes)
    shown_first = markup.replace("<img ", '<img loading="eager" ')
    return f'<div class="landing">{with_files(shown_first, *CODE_FILES)}</div>'


def table() -> str:
    """Return four rows of the table, beside the paper's, and the verdict on its conclusion."""
    from sdmvae_lite.table.claims import CLAIMS, PAPER
    from sdmvae_lite.table.records import (
        read_records,
        results_folder,
        row_means,
    )
    from sdmvae_lite.table.verdicts import judge

    records = read_records(results_folder(), "speechocean762")
    trainings = min(len(records[row]) for row in ROWS)
    utterances = records[next(iter(ROWS))][0].utterances["speaker"]
    lines = ["".join(f'<th scope="col">{title}</th>' for title, _ in SCORES.values())]
    for row, label in ROWS.items():
        cells = (
            f"<td>{row_means(records[row], measure).mean():{spec}}"
            f" <small>({PAPER[row][measure]:{spec}})</small></td>"
            for measure, (_, spec) in SCORES.items()
        )
        lines.append(f'<th scope="row">{label}</th>{"".join(cells)}')
    verdict = judge(
        CLAIMS[0],
        {row: each for row, each in records.items() if row in PAPER},
    )
    head, *rows = lines
    return (
        '<table class="table verdict"><caption>'
        f"Means over {trainings} trainings or more, of {len(utterances)} recorded sentences by "
        f"{len(set(utterances))} speakers that no model met; in parentheses the paper’s, "
        "on another corpus.</caption>"
        f"<thead><tr><td></td>{head}</tr></thead><tbody>"
        + "".join(f"<tr>{row}</tr>" for row in rows)
        + "</tbody></table>\n<p class='verdict'>The paper concludes: <em>"
        f"{html.escape(verdict.claim.text.lower())}</em>. On this corpus, by the paper’s protocol: "
        f"<strong>{html.escape(str(verdict))}</strong>.</p>"
    )


class Player(Directive):
    """The player, see `player`."""

    def run(self) -> list[nodes.Node]:
        return [nodes.raw("", player(), format="html")]


class Table(Directive):
    """The rows and the verdict, see `table`."""

    def run(self) -> list[nodes.Node]:
        from sdmvae_lite.table.records import results_folder

        self.state.document.settings.env.note_dependency(str(results_folder()))
        return [nodes.raw("", table(), format="html")]


class Map(Directive):
    """The chapters and the ways between them, see `landing_map.draw`."""

    def run(self) -> list[nodes.Node]:
        env = self.state.document.settings.env
        toc = Path(env.srcdir, env.config.external_toc_path)
        chapters = landing_map.read_chapters(toc, Path(env.srcdir))
        for path in (toc, *(Path(env.srcdir, f"{each.file}.ipynb") for each in chapters)):
            env.note_dependency(str(path))
        return [nodes.raw("", landing_map.draw(chapters), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("landing-player", Player)
    app.add_directive("landing-table", Table)
    app.add_directive("landing-map", Map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
