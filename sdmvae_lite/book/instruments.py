"""Codes under a playhead, coefficients to drag and scatters to hear, live on a page.

Each is complete where scripts do not run, and in print. First used in :doc:`01_hear_it_first`.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from IPython.display import HTML
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator
from PIL import Image

from ..scoring.metrics import hoyer
from .page import data_url, page
from .widgets import FILES, sounds

STYLE = "instruments.css"
CODE_FILES = (*FILES, STYLE, "codes.js")
LARGEST = 32767  # of 16 bits
# A scatter is laid out for a phone: its size, and how far its marks are apart, in pixels.
PLOT, APART = np.array([260.0, 280.0]), 28.0


def code_player(waveforms: Mapping[str, np.ndarray], codes: Mapping[str, np.ndarray]) -> HTML:
    """Return a player of waveforms (n_samples,) over codes (n_frames, code_size) of their sentence.

    A line over the pictures of the codes stands where the player stands, and can be moved. Below,
    the coefficients of that instant are bars with values, from left to right as the rows of the
    picture from below.

    Raises ValueError as `players` does, and if the waveforms differ in length.
    """
    return page(code_markup(waveforms, codes), *CODE_FILES)


def code_markup(waveforms: Mapping[str, np.ndarray], codes: Mapping[str, np.ndarray]) -> str:
    """Return what `code_player` shows, without the files of CODE_FILES."""
    if len(set(map(len, waveforms.values()))) > 1:
        raise ValueError("waveforms over one code have one length")
    rows = "\n".join(
        f"<p>The code of the {html.escape(name)}</p>\n{_code_image(name, code)}"
        for name, code in codes.items()
    )
    line = '<i class="playhead" hidden></i>'
    player = sounds("sound-switch", waveforms)
    return f'<code-view>\n{player}\n<div class="codes">\n{rows}\n{line}</div>\n</code-view>'


def rows_by_size(code: np.ndarray) -> np.ndarray:
    """Return the coefficients of a code (n_frames, code_size) by falling mean magnitude."""
    return np.argsort(-np.abs(code).mean(axis=0), kind="stable")


def code_picture(code: np.ndarray) -> np.ndarray:
    """Return the picture (code_size, n_frames, 3) of a code (n_frames, code_size), in bytes.

    A row is a coefficient, those with the largest mean magnitude at the bottom; brightness is the
    magnitude relative to the largest of all but one in a hundred.
    """
    sizes = np.abs(code[:, rows_by_size(code)[::-1]])
    picture = colormaps["viridis"]((sizes / np.quantile(sizes, 0.99)).T)  # clips at 1
    return np.round(255 * picture[..., :3]).astype(np.uint8)


def _code_image(name: str, code: np.ndarray) -> str:
    """Return the picture with its numbers: 16 bits each, frame after frame."""
    file = io.BytesIO()
    Image.fromarray(code_picture(code)).save(file, format="PNG")
    largest = np.abs(code).max() or 1.0
    whole = np.round(code / largest * LARGEST).astype("<i2")
    alt = f"Picture of a code: {code.shape[1]} rows over {len(code)} frames of speech, bright "
    alt += f"where a number of the {html.escape(name)} is large."
    return (
        f'<img alt="{alt}" src="{data_url("image/png", file.getvalue())}" '
        f'data-name="{html.escape(name)}" data-step="{largest / LARGEST:.9g}" '
        f'data-most="{np.quantile(np.abs(code), 0.99):.4g}" '
        f'data-rows="{" ".join(map(str, rows_by_size(code)))}" '
        f'data-code="{base64.b64encode(whole.tobytes()).decode()}">'
    )


def code_bars(values: Sequence[float], most: float = 3.0) -> HTML:
    """Return bars that a reader moves, with what measures say of the code that they are.

    Args:
        values: of the coefficients at first, between -most and most.

    Raises ValueError if a value is larger than ``most``, and Unscorable as `hoyer` does.
    """
    code = np.asarray(values, dtype=np.float64)
    if not np.abs(code).max() <= most:
        raise ValueError(f"values must lie between {-most:g} and {most:g}")
    said = f"Hoyer {hoyer(torch.tensor(code)):.3f}"
    bars = "".join(
        f'<i style="--z: {value / most:.4g}"><b>{value:.3g}</b></i>' for value in code.tolist()
    )
    label = f"Bars of {len(code)} coefficients: {', '.join(f'{value:.3g}' for value in code)}"
    markup = (
        f'<code-bars data-most="{most:g}" data-values="{json.dumps(code.tolist())}">\n'
        f'<div class="bars" role="img" aria-label="{label}">'
        f"{bars}</div>\n<p>{said}</p>\n</code-bars>"
    )
    return page(markup, *FILES[:1], STYLE, "bars.js")


def sound_map(
    waveforms: Mapping[str, np.ndarray],
    points: Mapping[str, tuple[float, float, str]],
    x: str,
    y: str,
) -> HTML:
    """Return a scatter whose marks play waveforms (n_samples,) of one length.

    Args:
        points: across, up and colour of the mark of each waveform that has one, by its label.
            Marks are numbered in this order, and so are those waveforms.
        x: what is measured across; `y`: upwards.

    Raises ValueError as `players` does, and if the lengths differ or a point has no waveform.
    """
    if len(set(map(len, waveforms.values()))) > 1:
        raise ValueError("waveforms of one scatter have one length")
    missing = points.keys() - waveforms.keys()
    if missing:
        raise ValueError(f"there is no waveform for {', '.join(sorted(missing))}")
    numbers = {label: number for number, label in enumerate(points, 1)}
    named = {
        f"{numbers[label]}: {label}" if label in numbers else label: waveform
        for label, waveform in waveforms.items()
    }
    plot = _scatter(points, list(waveforms), (x, y))
    markup = f"<sound-map>\n{plot}\n{sounds('sound-switch', named)}\n</sound-map>"
    return page(markup, *FILES, STYLE, "map.js")


def _scatter(
    points: Mapping[str, tuple[float, float, str]], order: list[str], axes: tuple[str, str]
) -> str:
    """Return axes with a mark for each point, joined to where it lies if others are in the way."""
    values = np.array([point[:2] for point in points.values()], dtype=np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    low, high = low - 0.08 * (high - low), high + 0.08 * (high - low)
    true = 100 * (values - low) / (high - low)
    places = 100 * _apart(true / 100 * PLOT) / PLOT
    ticks = "".join(
        f'<span class="tick {side}" style="--at: {100 * (tick - low[i]) / (high - low)[i]:.2f}%">'
        f"{tick:.3g}</span>"
        for i, side in enumerate(("across", "up"))
        for tick in MaxNLocator(5).tick_values(low[i], high[i])
        if low[i] <= tick <= high[i]
    )
    lines = "".join(
        f"M{a:.2f} {100 - b:.2f}L{c:.2f} {100 - d:.2f}"
        for (a, b), (c, d) in zip(true.tolist(), places.tolist(), strict=True)
    )
    marks = "".join(
        f'<span class="mark" data-sound="{order.index(label)}" style="left: {left:.2f}%; '
        f'bottom: {bottom:.2f}%; --colour: {colour}" title="{html.escape(label)}: '
        f'{html.escape(axes[0])} {across:.2f}, {html.escape(axes[1])} {up:.2f}">{number}</span>'
        for number, ((label, (across, up, colour)), (left, bottom)) in enumerate(
            zip(points.items(), places.tolist(), strict=True), 1
        )
    )
    return (
        f'<div class="plot"><svg viewBox="0 0 100 100" preserveAspectRatio="none" '
        f'aria-hidden="true"><path d="{lines}"/></svg>{ticks}'
        f'<span class="axis across">{html.escape(axes[0])}</span>'
        f'<span class="axis up">{html.escape(axes[1])}</span>{marks}</div>'
    )


def _apart(places: np.ndarray, steps: int = 200) -> np.ndarray:
    """Return the places (n, 2), in pixels, moved until none is nearer to another than APART."""
    places = places + 1e-3 * np.arange(len(places))[:, None]  # no two at one place
    for _ in range(steps):
        between = places[:, None] - places
        distance = np.maximum(np.linalg.norm(between, axis=-1, keepdims=True), 1e-9)
        push = np.where(distance < APART, 0.5 * (APART - distance) * between / distance, 0)
        places = np.clip(places + 0.5 * push.sum(axis=1), 0, PLOT)
    return places
