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
from importlib.resources import files
from pathlib import Path

import numpy as np
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

import landing_map

FOLDER = "landing"  # beside the page, for sounds and pictures
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
    """Return a `Resynthesis` of one synthetic sentence by each of CODES."""
    from play_data import MODELS, SENTENCES  # loads torch, which other pages do without
    from sdmvae_lite.model.pretrained import load_pretrained
    from sdmvae_lite.scoring.resynthesis import resynthesise
    from sdmvae_lite.speech.corpora import load_corpus

    spoken = {each.id: each for each in load_corpus("synthetic").test}
    waveform = spoken[SENTENCES[0]].waveform()
    return {name: resynthesise(load_pretrained(MODELS[name]), waveform) for name in CODES}


def strip(code: np.ndarray) -> np.ndarray:
    """Return the picture (code_size, n_frames, 3) of a code (n_frames, code_size), in bytes.

    A row is a coefficient, those with the largest mean magnitude at the bottom; brightness is the
    magnitude relative to the largest of all but one in a hundred.
    """
    from matplotlib import colormaps

    sizes = np.abs(code[:, np.argsort(np.abs(code).mean(axis=0))])
    picture = colormaps["viridis"]((sizes / np.quantile(sizes, 0.99)).T)  # clips at 1
    return np.round(255 * picture[..., :3]).astype(np.uint8)


def write_files(folder: Path) -> None:
    """Write the voices, at one level, and the codes into ``folder``."""
    import soundfile
    from PIL import Image

    from sdmvae_lite.config import SAMPLE_RATE

    folder.mkdir(parents=True, exist_ok=True)
    made = voices()
    sounds = {"original": made[CODES[0]].reference}
    sounds |= {name: each.estimate for name, each in made.items()}
    peak = max(np.abs(sound).max() for sound in sounds.values())
    for name, sound in sounds.items():
        soundfile.write(
            folder / f"{name}.flac",
            sound / peak,
            SAMPLE_RATE,
            subtype="PCM_16",
        )
    for name, each in made.items():
        Image.fromarray(strip(each.output.code.numpy())).save(folder / f"{name}.png")


def player(seconds: float) -> str:
    """Return the player of the three voices over the codes, complete without its script."""
    names = {
        "original": "original",
        **{name: f"through the {name}" for name in CODES},
    }
    sounds = "\n".join(
        f'<figure class="player"><figcaption>{label}</figcaption>'
        f'<audio controls preload="none" src="{FOLDER}/{name}.flac"></audio></figure>'
        for name, label in names.items()
    )
    codes = "\n".join(
        f"<p>The code of the {name}</p>"
        f'<img src="{FOLDER}/{name}.png" loading="eager" alt="Picture of a code: 32 rows over '
        f'{seconds:.1f} seconds of speech, bright where a number of the {name} is large.">'
        for name in CODES
    )
    style, script = (
        files("sdmvae_lite.book").joinpath(f"widgets.{kind}").read_text("utf-8")
        for kind in ("css", "js")
    )
    return (
        f'<div class="landing"><style>{style}</style><script>{script}</script>\n'
        f'<sound-switch data-seconds="{seconds:.3f}">\n{sounds}\n</sound-switch>\n'
        f'<div class="codes">\n{codes}\n<i class="playhead" hidden></i></div>\n'
        f'<script src="{FOLDER}/playhead.js"></script></div>'
    )


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
        from sdmvae_lite.config import SAMPLE_RATE

        reference = voices()[CODES[0]].reference
        return [nodes.raw("", player(len(reference) / SAMPLE_RATE), format="html")]


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


def add_files(app: Sphinx, failed: Exception | None) -> None:
    """Write sounds and pictures beside the landing page, if it plays."""
    page = Path(app.outdir) / "index.html"
    if not failed and page.exists() and 'class="landing"' in page.read_text(encoding="utf-8"):
        write_files(Path(app.outdir) / FOLDER)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("landing-player", Player)
    app.add_directive("landing-table", Table)
    app.add_directive("landing-map", Map)
    app.connect("build-finished", add_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
