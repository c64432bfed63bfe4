"""Figures of the chapters, first used in :doc:`01_hear_it_first`.

Every function draws on ``ax`` (None: the current axes), labels it with units and returns it.
Figures are narrow, with large type, for a phone. They are transparent: a page lays them on white
or, in dark mode, on black, and every colour here stands out from both.
"""

from __future__ import annotations

import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.rcsetup import cycler

from ..config import FAMILIES, SAMPLE_RATE, STFTConfig
from ..training.fit import History

DYNAMIC_RANGE_DB = 70.0

# One colour a model in every chapter, told apart by colour-blind eyes too. Their contrast with
# white and with black is 3 : 1 or more; that of the grey of text and axes, alike with both, 4.5.
COLOURS = {
    "original": "#686868",
    "VAE": "#0072b2",
    "VSC": "#00a862",
    "SDM-VAE": "#d55e00",
    "Student-t VAE": "#a748f2",
    "Log-linear VAE": "#bf1327",
}
GREY = "#757575"


def family(row: str) -> str:
    """Return the model of a row of the table, as `COLOURS` calls it.

    >>> family("sdm-dct64-32")
    'SDM-VAE'
    """
    return FAMILIES[row.partition("-")[0]]


def use_style() -> None:
    """Set matplotlib's defaults for a chapter."""
    # Colab, whose dark page is no black, gets a white ground; JupyterLab gives one by itself
    ground = "white" if "google.colab" in sys.modules else "none"
    lines = [COLOURS["VAE"], COLOURS["SDM-VAE"], COLOURS["VSC"], "#a4508b"]
    plt.rcParams.update(
        {
            "figure.figsize": (5.2, 3.2),
            "figure.dpi": 160,
            "figure.facecolor": ground,
            "figure.constrained_layout.use": True,
            "font.size": 12,
            "axes.facecolor": "none",
            "axes.prop_cycle": cycler(color=lines),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "text.color": GREY,
            "axes.labelcolor": GREY,
            "axes.edgecolor": GREY,
            "xtick.color": GREY,
            "ytick.color": GREY,
            "grid.color": GREY,
        }
    )


def plot_waveform(waveform: np.ndarray, ax: Axes | None = None, **line: Any) -> Axes:
    """Draw a waveform (n_samples,) against time."""
    ax = ax or plt.gca()
    seconds = np.arange(len(waveform)) / SAMPLE_RATE
    defaults: dict[str, Any] = {"linewidth": 0.5, "color": COLOURS["original"]}
    ax.plot(seconds, waveform, **defaults | line)
    ax.set(xlabel="time (s)", ylabel="amplitude", xlim=(0, seconds[-1]))
    return ax


def plot_spectrogram(
    power: np.ndarray,
    ax: Axes | None = None,
    stft: STFTConfig = STFTConfig(),
    peak_db: float | None = None,
) -> Axes:
    """Draw power spectra (n_frames, n_bins) in dB relative to ``peak_db`` (None: their peak)."""
    ax = ax or plt.gca()
    decibels = 10 * np.log10(np.maximum(power, 1e-12))
    decibels -= decibels.max() if peak_db is None else peak_db
    look = {"cmap": "magma", "vmin": -DYNAMIC_RANGE_DB, "vmax": 0}
    _over_time(decibels, "power (dB)", ax, stft, (0, SAMPLE_RATE / 2000), **look)
    ax.set(ylabel="frequency (kHz)")
    return ax


def plot_code(code: np.ndarray, ax: Axes | None = None, stft: STFTConfig = STFTConfig()) -> Axes:
    """Draw the magnitudes of codes (n_frames, code_size) relative to the largest of all."""
    ax = ax or plt.gca()
    relative = np.abs(code) / np.abs(code).max()
    look = {"cmap": "viridis", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
    _over_time(relative, "magnitude / largest", ax, stft, (-0.5, code.shape[1] - 0.5), **look)
    ax.set(ylabel="coefficient")
    return ax


def _over_time(
    values: np.ndarray, label: str, ax: Axes, stft: STFTConfig, ends: tuple[float, float], **look
) -> None:
    """Draw values (n_frames, n) as colours, over a vertical axis with these ends."""
    extent = (0, len(values) * stft.hop_length / SAMPLE_RATE, *ends)
    image = ax.imshow(values.T, origin="lower", aspect="auto", extent=extent, **look)
    ax.set(xlabel="time (s)")
    ax.figure.colorbar(image, ax=ax, label=label)


def plot_sorted_magnitudes(code: np.ndarray, ax: Axes | None = None, **line: Any) -> Axes:
    """Draw mean sorted magnitudes of codes (n_frames, code_size), relative to each frame's peak."""
    ax = ax or plt.gca()
    magnitude = -np.sort(-np.abs(code), axis=1)
    profile = (magnitude / np.maximum(magnitude[:, :1], 1e-12)).mean(axis=0)
    ax.plot(np.arange(1, len(profile) + 1), profile, **line)
    ax.set(xlabel="rank of the coefficient in its frame", ylabel="magnitude / largest", ylim=(0, 1))
    return ax


def plot_history(history: History, ax: Axes | None = None, **line: Any) -> Axes:
    """Draw training (dashed) and validation losses per frame, and mark the best epoch."""
    ax = ax or plt.gca()
    epochs = np.arange(1, history.epochs + 1)
    (drawn,) = ax.plot(epochs, history.validation_loss, **line)
    colour = drawn.get_color()
    ax.plot(epochs, history.train_loss, linestyle="--", color=colour, linewidth=1)
    ax.plot(history.best_epoch, min(history.validation_loss), "o", color=colour, markersize=6)
    ax.set(xlabel="epoch", ylabel="negative ELBO (nats per frame)")
    return ax
