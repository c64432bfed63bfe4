"""Noise to try enhancement with, made here or taken from files, and its mixing with speech."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.fft
from scipy.ndimage import uniform_filter1d

from ..config import SAMPLE_RATE
from ..speech.corpora import Utterance
from ..speech.corpora.audio import SUFFIXES, AudioFile

KINDS = ("speech-shaped", "pink", "hum", "babble")  # what is made here
VOICES = 8  # speakers in a babble: with fewer, single words stand out


def make_noise(
    kind: str | os.PathLike[str],
    seconds: float,
    rng: np.random.Generator,
    voices: Sequence[Utterance] = (),
) -> np.ndarray:
    """Return noise of unit power, float64 (n_samples,) at 16 kHz, drawn from ``rng``.

    - ``speech-shaped``: Gaussian, with the long-term power spectrum of the voices;
    - ``pink``: Gaussian, of a power spectrum 1 / f from 20 Hz up;
    - ``hum``: 45 to 65 Hz with ten harmonics of random levels, 20 dB above a white floor;
    - ``babble``: eight of the voices, each a speaker's sentences one after the other;
    - the path of a sound file, or of a folder of them, of which one is drawn: a part of it that
      begins anywhere, gone round where it ends.

    ``voices`` are utterances of training speakers. Raises ValueError for another kind, no length,
    too few speakers, or a silent part.
    """
    n_samples = round(seconds * SAMPLE_RATE)
    if n_samples < 1:
        raise ValueError(f"noise cannot last {seconds} s: name a positive number")
    if kind not in KINDS:
        noise = _from_files(Path(kind).expanduser(), n_samples, rng)
    elif kind in ("speech-shaped", "babble"):
        talkers = _talkers(voices, n_samples, rng)
        noise = talkers.sum(axis=0) if kind == "babble" else _shaped_as(talkers, rng)
    else:
        noise = _pink(n_samples, rng) if kind == "pink" else _hum(n_samples, rng)
    power = np.mean(noise**2)
    if not power > 0:
        raise ValueError(f"what was drawn of {kind} is silent: take another file, or more of it")
    return noise / np.sqrt(power)


def mix(speech: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    r"""Return speech + noise, the noise scaled to a signal-to-noise ratio of ``snr`` dB.

    .. math:: \mathrm{SNR} = 10 \log_{10} \frac{\sum_t s_t^2}{\sum_t b_t^2}

    over the whole utterance, its pauses too: plain power, not the level of active speech. Raises
    ValueError for waveforms of unequal length, or silent ones.

    >>> s, b = np.array([1.0, -1.0]), np.array([3.0, 3.0])
    >>> mix(s, b, 20.0) - s
    array([0.1, 0.1])
    """
    if speech.shape != noise.shape or speech.ndim != 1:
        raise ValueError(f"speech {speech.shape} and noise {noise.shape} must be of equal length")
    powers = [float(np.sum(np.square(each, dtype=np.float64))) for each in (speech, noise)]
    if min(powers) == 0:
        raise ValueError("speech and noise are not to be silent: their ratio would not be defined")
    return speech + noise * (powers[0] / powers[1]) ** 0.5 * 10 ** (-snr / 20)


def _from_files(path: Path, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    files = sorted(each for each in path.glob("*") if each.suffix.lower() in SUFFIXES)
    if path.is_dir() and not files:
        raise ValueError(f"{path} holds no sound: put {', '.join(SUFFIXES)} files there")
    if not path.exists():
        choices = ", ".join(KINDS)
        raise ValueError(f"unknown noise {str(path)!r}, and no such path: choose one of {choices}")
    noise = AudioFile(files[rng.integers(len(files))] if files else path).read()
    start = rng.integers(max(1, len(noise) - n_samples + 1))
    return np.resize(np.roll(noise, -start), n_samples).astype(np.float64)


def _talkers(voices: Sequence[Utterance], n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return (VOICES, n_samples): as many speakers, one sentence after the other, equally loud."""
    said: dict[str, list[Utterance]] = {}
    for each in voices:
        said.setdefault(each.speaker, []).append(each)
    if len(said) < VOICES:
        raise ValueError(f"{VOICES} voices need as many speakers, not {len(said)}: give more")
    chosen = rng.choice(sorted(said), VOICES, replace=False)
    return np.stack([_talker(said[speaker], n_samples, rng) for speaker in chosen])


def _talker(said: Sequence[Utterance], n_samples: int, rng: np.random.Generator) -> np.ndarray:
    speech = np.zeros(0)
    for number in rng.permutation(len(said)):
        if len(speech) < n_samples:
            speech = np.append(speech, said[number].waveform())
    part = np.roll(speech, -rng.integers(len(speech)))
    return np.resize(part, n_samples) / np.sqrt(np.mean(speech**2))


def _shaped_as(talkers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    power = (np.abs(scipy.fft.rfft(talkers)) ** 2).mean(axis=0)
    width = max(1, round(0.005 * len(power)))  # bins, of 40 Hz together
    return _coloured(uniform_filter1d(power, width), talkers.shape[1], rng)


def _coloured(power: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    spectrum = scipy.fft.rfft(rng.standard_normal(n_samples))
    return scipy.fft.irfft(spectrum * np.sqrt(power), n_samples)


def _pink(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    frequency = scipy.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE)
    return _coloured(1 / np.maximum(frequency, 20.0), n_samples, rng)


def _hum(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(n_samples) / SAMPLE_RATE
    harmonics = rng.uniform(45, 65) * np.arange(1, 12)
    levels, phases = rng.uniform(0.1, 1, 11), rng.uniform(0, 2 * np.pi, 11)
    tones = levels @ np.sin(2 * np.pi * np.outer(harmonics, time) + phases[:, None])
    floor = 0.1 * np.sqrt(np.mean(tones**2))
    return tones + floor * rng.standard_normal(n_samples)
