"""Players, tables and sliders of the chapters. First used in :doc:`01_hear_it_first`."""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display
from PIL import Image

from ..config import SAMPLE_RATE
from .page import data_url, flac, page, reader_waits

# How many stops of one figure a page holds, and what they may weigh.
MOST_STOPS = 64
MOST_BYTES = 1_000_000

FILES = ("widgets.css", "widgets.js")


def players(waveforms: Mapping[str, np.ndarray]) -> HTML:
    """Return a labelled player for the waveforms (n_samples,), embedded in the page.

    Waveforms of one length share it: it switches between them and goes on at the same instant.
    Others have a player each, as all have where scripts do not run. Where one would clip, all are
    attenuated by one factor, so that their levels compare.

    Raises ValueError if there is no waveform, or one is empty, has several channels or is not
    finite.
    """
    comparable = len(waveforms) > 1 and len(set(map(np.shape, waveforms.values()))) == 1
    return page(sounds("sound-switch" if comparable else "div", waveforms), *FILES)


def abx(waveforms: Mapping[str, np.ndarray]) -> HTML:
    """Return a blind test: which of two waveforms (n_samples,), A or B, is a third one, X?

    The page draws X anew for each answer, counts the right ones, and says how probable as many or
    more are by guessing: the upper tail of a binomial distribution with p = 1/2. Where scripts do
    not run, it is two players.

    Raises ValueError as `players` does, and if there are not two waveforms of one length.
    """
    if len(waveforms) != 2 or len(set(map(np.shape, waveforms.values()))) != 1:
        raise ValueError("a blind test takes two waveforms of one length")
    return page(sounds("sound-abx", waveforms), *FILES)


def sounds(element: str, waveforms: Mapping[str, np.ndarray]) -> str:
    """Return a player for each waveform inside the element that a script makes one of."""
    if not waveforms:
        raise ValueError("there are no waveforms to play")
    for label, waveform in waveforms.items():
        if np.ndim(waveform) != 1 or len(waveform) == 0:
            found = f"the waveform {label!r} has shape {np.shape(waveform)}"
            raise ValueError(f"{found}: a player takes the samples of one channel")
    peak = max(np.abs(waveform).max() for waveform in waveforms.values())
    if not np.isfinite(peak):
        raise ValueError("a waveform holds NaN or infinite samples and cannot be played")
    rows = "\n".join(
        f'<figure class="player"><figcaption>{html.escape(label)}</figcaption>'
        f'<audio controls preload="none" src="{flac(waveform / max(1.0, peak))}">'
        "</audio></figure>"
        for label, waveform in waveforms.items()
    )
    seconds = len(waveform) / SAMPLE_RATE
    return f'<{element} data-seconds="{seconds:.3f}">\n{rows}\n</{element}>'


def table(rows: Mapping[str, Mapping[str, float]], columns: Mapping[str, str]) -> HTML:
    """Return a table with a labelled row for each mapping of values; absent values are dashes.

    Args:
        columns: "heading | format" by key, such as ``{"si_sdr": "SI-SDR (dB) | .1f"}``.
    """
    headings, formats = zip(*(text.rsplit(" | ", 1) for text in columns.values()), strict=True)
    lines = [_row("th", "", headings)]
    for label, values in rows.items():
        cells = (
            format(values[key], spec) if key in values else "–"
            for key, spec in zip(columns, formats, strict=True)
        )
        lines.append(_row("td", label, cells))
    return HTML('<table class="table">' + "".join(lines) + "</table>")


def _row(tag: str, label: str, cells: Iterable[str]) -> str:
    texts = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
    return f'<tr><th scope="row">{html.escape(label)}</th>{texts}</tr>'


def explore(
    draw: Callable[..., None],
    controls: Mapping[str, Sequence],
    shown: Sequence[Mapping[str, object]],
    height: float = 2.8,
) -> None:
    """Display a figure with a slider for each of its settings.

    Before a reader (JupyterLab, Colab) the sliders have the kernel redraw the figure. In an
    executed page, such as the rendered book, they move between figures drawn beforehand: at every
    setting, or, where these are many or heavy, with values left out of the longest sliders. In
    print, and where scripts do not run, there is the figure at each of ``shown``.

    Args:
        draw: called as ``draw(ax, **setting)``; draws on the axes and labels them. Where it sets
            no title, the setting is the title.
        controls: the values of each slider, by the name of the setting, which is shown as it is.
        shown: the settings of the small multiples; the sliders start at the first.
        height: of one figure, in inches.

    Raises ValueError if ``shown`` is empty or holds a value that its slider does not have.
    """
    if not shown:
        raise ValueError("`shown` is empty: give at least one setting for pages without a kernel")
    for name, value in ((name, setting[name]) for setting in shown for name in controls):
        if value not in controls[name]:
            raise ValueError(f"{name} = {value} is not among its slider's values")
    if not reader_waits():
        display(page(_stops(draw, controls, shown, height), *FILES))
        return
    box = _sliders(draw, controls, shown[0], height)
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    bundle = {
        "application/vnd.jupyter.widget-view+json": view,
        "image/png": base64.b64encode(_png(draw, shown[0], height)[0]).decode(),
        "text/plain": f"a figure with sliders for {', '.join(controls)}",
    }
    display(bundle, raw=True)


def _sliders(
    draw: Callable[..., None], controls: Mapping[str, Sequence], start: Mapping, height: float
) -> ipywidgets.VBox:
    """Return sliders that have the kernel redraw the figure."""
    picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})
    sliders = {
        name: ipywidgets.SelectionSlider(
            options=[(_text(value), value) for value in values],
            value=start[name],
            description=name,
        )
        for name, values in controls.items()
    }

    def redraw(_change: object = None) -> None:
        setting = {name: slider.value for name, slider in sliders.items()}
        picture.value, _ = _png(draw, setting, height)

    for slider in sliders.values():
        slider.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([*sliders.values(), picture])


def _stops(
    draw: Callable[..., None],
    controls: Mapping[str, Sequence],
    shown: Sequence[Mapping[str, object]],
    height: float,
) -> str:
    """Return the figure at each of ``shown``, and at all other stops for a script to fetch."""
    figures = [_png(draw, setting, height) for setting in shown]
    heaviest = max(len(png) for png, _ in figures)
    kept = _thinned(controls, shown, min(MOST_STOPS, MOST_BYTES // heaviest))
    rows: dict[str, str] = {}
    for setting, figure in zip(shown, figures, strict=True):
        place = _place(setting, kept)
        rows.setdefault(place, _image(*figure, place))
    for chosen in itertools.product(*kept.values()):
        setting = dict(zip(kept, chosen, strict=True))
        place = _place(setting, kept)
        if place not in rows:
            rows[place] = _later(*_png(draw, setting, height), place)
    texts = {name: [_text(value) for value in values] for name, values in kept.items()}
    data = html.escape(json.dumps(texts))
    return "\n".join([f'<figure-stops data-controls="{data}">', *rows.values(), "</figure-stops>"])


def _place(setting: Mapping[str, object], kept: Mapping[str, list]) -> str:
    """Return where a setting stands among the values that are kept."""
    return " ".join(str(values.index(setting[name])) for name, values in kept.items())


def _thinned(
    controls: Mapping[str, Sequence], shown: Sequence[Mapping[str, object]], most: int
) -> dict[str, list]:
    """Leave values out of the longest slider, evenly but never one shown, until few are left."""
    kept = {name: list(values) for name, values in controls.items()}
    step = dict.fromkeys(controls, 1)
    while math.prod(map(len, kept.values())) > most:
        name = max(kept, key=lambda name: len(kept[name]))
        if step[name] >= len(controls[name]):
            break  # only what is shown is left
        step[name] += 1
        stays = {*controls[name][:: step[name]], *(setting[name] for setting in shown)}
        kept[name] = [value for value in controls[name] if value in stays]
    return kept


def _image(png: bytes, alt: str, place: str) -> str:
    width, height = Image.open(io.BytesIO(png)).size
    return (
        f'<img data-stop="{place}" alt="{html.escape(alt)}" width="{width}" height="{height}" '
        f'loading="lazy" src="{data_url("image/png", png)}">'
    )


def _later(png: bytes, alt: str, place: str) -> str:
    source = data_url("image/png", png)
    return f'<i hidden data-stop="{place}" data-alt="{html.escape(alt)}" data-src="{source}"></i>'


def _png(draw: Callable[..., None], setting: Mapping, height: float) -> tuple[bytes, str]:
    """Return the figure at a setting, with 256 colours and transparent, and what it shows."""
    figure, ax = plt.subplots(figsize=(plt.rcParams["figure.figsize"][0], height))
    draw(ax, **setting)
    if not ax.get_title():
        ax.set_title(", ".join(f"{name} = {_text(value)}" for name, value in setting.items()))
    alt = f"{ax.get_ylabel()} against {ax.get_xlabel()}: {ax.get_title()}"
    true, few = io.BytesIO(), io.BytesIO()
    figure.savefig(true, format="png", transparent=True)
    plt.close(figure)
    palette = Image.open(true).quantize(256, method=Image.Quantize.FASTOCTREE)
    palette.save(few, format="PNG", optimize=True)
    return few.getvalue(), " ".join(re.sub(r"[$\\{}]", "", alt).split())


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
