"""What PESQ can take: its C code has room for 50 bursts of speech, and does not check.

From 51 on it writes over its own results, which makes the score wrong, then ends the process. A
burst is at least 0.18 s above some level and a pause at least 0.2 s below it, so up to 19.4 s
there is room. In longer recordings bursts are counted as the standard does, through its filters,
but at every level, not at the one it finds. It has room for a thousand bad passages, too: 96 s.
"""

from __future__ import annotations

import numpy as np

from ..config import SAMPLE_RATE

MOST_SECONDS, MOST_BURSTS = 90, 40  # 96 and 50, less a margin

_WINDOW = 64  # samples, 4 ms; what follows is in such windows
_CLICK, _PAUSE, _BURST = 4, 50, 46  # at most, at most (shorter ones do not part), at least
_SURELY_FEW = 50 * (_PAUSE + 1 + _BURST)
# Gain in dB of input filter and activity detector together.
_FREQUENCY = (0, 50, 100, 200, 300, 400, 500, 700, 1000, 1500, 2000, 2500, 3250, 4000, 8000)
_GAIN = {
    "nb": (-300, -108, -61, -13, 8, 18, 21, 23, 22, 19, 13, 8, 8, -218, -245),
    "wb": (-300, -71, -35, -5, 10, 17, 19, 20, 19, 16, 10, 5, 5, -9, -36),
}


def count_bursts(reference: np.ndarray, band: str = "nb") -> int:
    """Return the number of bursts of speech, at the level within 40 dB that shows most of them.

    A recording (n_samples,) too short for 51 counts as none. ``band`` is that of PESQ.
    """
    n_windows = len(reference) // _WINDOW
    if n_windows <= _SURELY_FEW:
        return 0
    spectrum = np.fft.rfft(reference - reference.mean())
    frequency = np.fft.rfftfreq(len(reference), 1 / SAMPLE_RATE)
    heard = np.fft.irfft(spectrum * 10 ** (np.interp(frequency, _FREQUENCY, _GAIN[band]) / 20))
    power = np.square(heard[: n_windows * _WINDOW]).reshape(n_windows, _WINDOW).mean(axis=1)
    levels = power.max() * 10 ** -np.arange(0.0, 4.05, 0.1)
    return max(_bursts_above(level, power) for level in levels)


def _bursts_above(level: float, power: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(power > level, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    speech = ends - starts > _CLICK
    starts, ends = starts[speech], ends[speech]
    if not len(starts):
        return 0
    apart = starts[1:] - ends[:-1] > _PAUSE
    lengths = ends[np.append(apart, True)] - starts[np.append(True, apart)]
    return int(np.sum(lengths >= _BURST))
