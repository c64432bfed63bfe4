"""What a chapter lets its reader play with."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping

import numpy as np
import soundfile
from IPython.display import HTML

from .config import SAMPLE_RATE


def players(waveforms: Mapping[str, np.ndarray]) -> HTML:
    """One labelled audio player for each waveform, embedded in the page.

    All are brought down by one common factor where any of them would clip, so that their levels
    compare.

    Raises:
        ValueError: if a waveform is not finite.
    """
    peak = max(np.abs(waveform).max() for waveform in waveforms.values())
    if not np.isfinite(peak):
        raise ValueError("a waveform holds NaN or infinite samples and cannot be played")
    rows = (
        f'<figure class="player"><figcaption>{html.escape(label)}</figcaption>'
        f'<audio controls preload="metadata" src="{_data_url(waveform / max(1.0, peak))}">'
        "</audio></figure>"
        for label, waveform in waveforms.items()
    )
    return HTML("\n".join(rows))


def _data_url(waveform: np.ndarray) -> str:
    file = io.BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()


def table(rows: Mapping[str, Mapping[str, float]], columns: Mapping[str, str]) -> HTML:
    """A table with one labelled row for each mapping of values; absent values are dashes.

    Args:
        columns: key of the value to "heading | format", for instance
            ``{"si_sdr": "SI-SDR (dB) | .1f"}``.
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
