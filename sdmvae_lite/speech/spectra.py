"""From waveforms to the power spectra ``|x|²`` that the models see, and back, one row a frame."""

from __future__ import annotations

import librosa
import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from ..config import STFTConfig

TRIM_DB = 30.0  # training frames this far below the loudest are cut from both ends
_LEVEL_LENGTH, _LEVEL_HOP = 2048, 512  # samples; the level is measured 31 times a second


def sine_window(length: int) -> np.ndarray:
    """Return sin(π (n + ½) / length), float64 (length,) (paper, Section 4.1.1).

    Its square and the square's half-shift add up to one, so analysis and synthesis can share it.
    See :doc:`02_speech_to_spectra`.

    >>> w = sine_window(1024)
    >>> bool(np.allclose(w[:512] ** 2 + w[512:] ** 2, 1))
    True
    """
    return np.sin(np.pi * (np.arange(length) + 0.5) / length)


def stft(waveform: ArrayLike, stft: STFTConfig = STFTConfig()) -> np.ndarray:
    """Return the short-time Fourier transform, complex (1 + n_samples // hop, n_bins).

    Frame i is centred on sample i · hop; the ends are padded with zeros. The precision is that of
    the waveform. Raises ValueError if it is not one-dimensional, too short, or of unsigned
    integers. See :doc:`02_speech_to_spectra`.
    """
    n_fft, hop = stft.window_length, stft.hop_length
    waveform = _long_enough(waveform, stft)
    return librosa.stft(waveform, n_fft=n_fft, hop_length=hop, window=sine_window(n_fft)).T


def istft(spectrum: np.ndarray, length: int, stft: STFTConfig = STFTConfig()) -> np.ndarray:
    """Return the waveform (length,) whose `stft` is ``spectrum`` (n_frames, n_bins), exactly.

    See :doc:`02_speech_to_spectra`.
    """
    n_fft, hop = stft.window_length, stft.hop_length
    window = sine_window(n_fft)
    return librosa.istft(spectrum.T, n_fft=n_fft, hop_length=hop, window=window, length=length)


def power_and_phase(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``|x|²`` and the unit phasors ``x / |x|`` (1 where x is 0), shaped as the spectrum.

    See :doc:`02_speech_to_spectra`.
    """
    magnitude = np.abs(spectrum)
    phase = np.where(magnitude > 0, spectrum / np.where(magnitude > 0, magnitude, 1), 1)
    return magnitude**2, phase.astype(spectrum.dtype)


def normalise(waveform: ArrayLike) -> np.ndarray:
    """Return the waveform divided by its largest absolute sample.

    Raises ValueError if silent, infinite, NaN or unsigned. See :doc:`02_speech_to_spectra`.
    """
    waveform = as_float(waveform)
    peak = np.abs(waveform).max(initial=0.0)
    if not np.isfinite(peak):
        raise ValueError("the waveform holds samples that are NaN or infinite")
    if peak == 0:
        raise ValueError("the waveform is silent: it has no maximum to be divided by")
    return waveform / peak


def trim(waveform: np.ndarray) -> np.ndarray:
    """Return the waveform without the quiet at its ends, `TRIM_DB` below its loudest frame.

    Cuts a normalised waveform where ``librosa.effects.trim``, which takes seconds to start, does.
    See :doc:`18_paper_code_and_book`.
    """
    frames = _centred_frames(waveform, _LEVEL_LENGTH, _LEVEL_HOP)
    power = np.square(frames, dtype=np.float32).mean(axis=1)
    (loud,) = np.nonzero(power >= power.max() * 10 ** (-TRIM_DB / 10))
    return waveform[loud[0] * _LEVEL_HOP : (loud[-1] + 1) * _LEVEL_HOP]


def training_frames(waveform: ArrayLike, stft: STFTConfig = STFTConfig()) -> np.ndarray:
    """Return the power spectra of a training utterance, float32 (n_frames, n_bins).

    The utterance is normalised and trimmed, or kept whole where less than a window would be left.
    The spectra are ``|stft|²`` within 1e-5 of its largest power, several times faster. Raises
    ValueError where `stft` or `normalise` does. See :doc:`15_bring_your_own_speech`.
    """
    waveform = normalise(_long_enough(waveform, stft))
    trimmed = trim(waveform)
    kept = trimmed if len(trimmed) >= stft.window_length else waveform
    window = sine_window(stft.window_length).astype(kept.dtype)
    frames = _centred_frames(kept, stft.window_length, stft.hop_length)
    power = np.abs(scipy.fft.rfft(frames * window)) ** 2
    return power.astype(np.float32, copy=False)


def _centred_frames(waveform: np.ndarray, length: int, hop: int) -> np.ndarray:
    """(1 + n_samples // hop, length): row i is centred on sample i · hop, zeros beyond the ends."""
    return sliding_window_view(np.pad(waveform, length // 2), length)[::hop]


def as_float(waveform: ArrayLike) -> np.ndarray:
    """Return a waveform as an array of floats; ValueError if it holds unsigned integers."""
    samples = np.asarray(waveform)
    if samples.dtype.kind == "i":  # whose most negative value has no absolute value
        return samples.astype(np.float32)
    if samples.dtype.kind != "f":  # unsigned samples are not centred on zero
        what = "a waveform holds floats or signed integers"
        raise ValueError(f"{what}, not {samples.dtype}: read the file as float32")
    return samples


def _long_enough(waveform: ArrayLike, stft: STFTConfig) -> np.ndarray:
    samples = as_float(waveform)
    if samples.ndim != 1:
        raise ValueError(f"a waveform has one dimension, not {samples.ndim}: average its channels")
    if len(samples) < stft.window_length:
        what = f"the waveform has {len(samples)} samples, less than a window of"
        raise ValueError(f"{what} {stft.window_length}: leave such utterances out")
    return samples
