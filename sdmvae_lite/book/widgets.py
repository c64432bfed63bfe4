"""Players, tables and sliders of the chapters. First used in :doc:`01_hear_it_first`."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import soundfile
from IPython.display import HTML, display

from ..config import SAMPLE_RATE


def players(waveforms: Mapping[str, np.ndarray]) -> HTML:
    """Return a labelled audio player for each waveform (n_samples,), embedded in the page.

    Where one would clip, all are attenuated by one factor, so that their levels compare.

    Raises ValueError if there is no waveform, or one is empty, has several channels or is not
    finite.
    """
    if not waveforms:
        raise ValueError("there are no waveforms to play")
    for label, waveform in waveforms.items():
        if np.ndim(waveform) != 1 or len(waveform) == 0:
            found = f"the waveform {label!r} has shape {np.shape(waveform)}"
            raise ValueError(f"{found}: a player takes the samples of one channel")
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
    """Display a figure with a slider for each of its settings, and small multiples of it.

    With a kernel (JupyterLab, Colab) the sliders redraw the figure. A page without one, such as
    the rendered book, shows the figure at each of ``shown``, one below the other.

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
    sliders = {name: _slider(name, values, shown) for name, values in controls.items()}
    picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})

    def redraw(_change: object = None) -> None:
        setting = {name: slider.value for name, slider in sliders.items()}
        picture.value = _png(draw, [setting], height)

    for slider in sliders.values():
        slider.observe(redraw, names="value")
    redraw()
    box = ipywidgets.VBox([*sliders.values(), picture])
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    bundle = {
        "application/vnd.jupyter.widget-view+json": view,
        "image/png": base64.b64encode(_png(draw, shown, height)).decode(),
        "text/plain": f"a figure with sliders for {', '.join(controls)}",
    }
    display(bundle, raw=True)


def _slider(
    name: str, values: Sequence, shown: Sequence[Mapping[str, object]]
) -> ipywidgets.SelectionSlider:
    for setting in shown:
        if setting[name] not in values:
            raise ValueError(f"{name} = {setting[name]} is not among its slider's values")
    options = [(_text(value), value) for value in values]
    return ipywidgets.SelectionSlider(options=options, value=shown[0][name], description=name)


def _png(draw: Callable[..., None], settings: Sequence[Mapping], height: float) -> bytes:
    """Return the figure at each of the settings, one below the other."""
    size = (plt.rcParams["figure.figsize"][0], height * len(settings))
    figure, axes = plt.subplots(len(settings), figsize=size, squeeze=False)
    for ax, setting in zip(axes.flat, settings, strict=True):
        draw(ax, **setting)
        if not ax.get_title():
            ax.set_title(", ".join(f"{name} = {_text(value)}" for name, value in setting.items()))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return file.getvalue()


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
