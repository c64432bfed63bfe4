"""The corpus that needs no download: 56 voices of espeak-ng, spoken on demand and never stored.

It is not recorded speech, and a page that shows a number from it has to say so.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soxr

from ...config import SAMPLE_RATE
from . import espeak
from .corpus import PARTS, Corpus, Utterance, select
from .sentences import sentence
from .voices import VOICES, Voice

GENERATOR = 1  # raised whenever the same voice and sentence begin to give other speech
N_SENTENCES = 98  # a voice, as in the paper's corpus
MEAN_SECONDS = 5.3  # a sentence, measured over the 5,488 of seed 0
NOISE_DB = -50.0  # root mean square of the noise floor, relative to the loudest sample
PAUSE_SECONDS = 0.15  # before and after a sentence
SILENCE = "sil"  # the phoneme label of pauses

Phonemes = tuple[tuple[float, float, str], ...]  # (start, end, symbol), in seconds


@dataclass(frozen=True)
class SyntheticSource:
    """A sentence in a voice."""

    voice: Voice
    number: int  # of the sentence in the grammar
    seed: int

    @property
    def text(self) -> str:
        """What is said."""
        return sentence(self.number, self.seed)

    @property
    def seconds(self) -> float:
        """The mean length of a sentence: its own is known once it is spoken."""
        return MEAN_SECONDS

    def check(self) -> None:
        """Do nothing: every voice was checked when it was chosen."""

    def read(self) -> np.ndarray:
        """Return float32 (n_samples,) at 16 kHz: bit for bit the same in every process."""
        return self.render()[0]

    def phonemes(self) -> Phonemes:
        """Return each phoneme, in IPA without stress, and each pause, `SILENCE`, without gaps."""
        return self.render()[1]

    def render(self) -> tuple[np.ndarray, Phonemes]:
        """Return waveform and phonemes: speech between two pauses, over white Gaussian noise.

        The noise, some 32 dB below the speech on average, stands in for a quiet room: the digital
        zeros it replaces would dominate the Itakura–Saito divergence, a function of power ratios.
        """
        voice = self.voice
        speech = espeak.speak(self.text, voice.accent, voice.variant, voice.pitch, voice.rate)
        spoken = soxr.resample(speech.samples.astype(np.float32) / 2**15, speech.rate, SAMPLE_RATE)
        waveform = np.pad(spoken, round(PAUSE_SECONDS * SAMPLE_RATE))
        level = 10 ** (NOISE_DB / 20) * np.abs(spoken).max()
        seed = hashlib.sha256(f"{self.seed}/{voice.speaker}/{self.number}".encode()).digest()[:8]
        generator = np.random.default_rng(int.from_bytes(seed))
        waveform += level * generator.standard_normal(len(waveform), dtype=np.float32)
        starts = [(PAUSE_SECONDS + sample / speech.rate, name) for sample, name in speech.phonemes]
        return waveform, _intervals(starts, len(waveform) / SAMPLE_RATE)

    def fingerprint(self) -> str:
        """Return the SHA-256 of all that determines the speech."""
        made_from = (GENERATOR, espeak.version(), NOISE_DB, *self.voice, self.text, self.seed)
        return hashlib.sha256(repr(made_from).encode()).hexdigest()


def synthetic_corpus(minutes: float | None = None, seed: int = 0) -> Corpus:
    """Return the synthetic corpus: 39, 8 and 9 voices, of 98 sentences each or of ``minutes``.

    The voices are always the same; ``seed`` draws other sentences, none said twice, and noise.
    Raises `EspeakError` if espeak-ng cannot be loaded.
    """
    parts: dict[str, list[Utterance]] = {part: [] for part in PARTS}
    for v, voice in enumerate(VOICES):
        for i in range(N_SENTENCES):
            source = SyntheticSource(voice, v * N_SENTENCES + i, seed)
            parts[voice.part].append(Utterance(voice.speaker, f"s{i + 1:02d}", source))
    kept, _ = select(parts, minutes, on_error="raise")
    credit = f"synthetic speech by espeak-ng {espeak.version()}, not recordings of people"
    return Corpus("synthetic", **kept, skipped=(), credit=credit)


def phoneme_frames(utterance: Utterance, hop_length: int = 256) -> list[str]:
    """Return one phoneme label for each frame of a centred STFT, 1 + n_samples // hop of them.

    Frame i takes the phoneme at its centre, sample i · hop. Raises ValueError, naming an utterance
    that is not synthetic: recordings carry no labels. See :doc:`06_measure_sparsity`.

    >>> utterance = synthetic_corpus(minutes=0.1).test[0]
    >>> labels = phoneme_frames(utterance)
    >>> len(labels) == 1 + len(utterance.waveform()) // 256, labels[0]
    (True, 'sil')
    """
    if not isinstance(utterance.source, SyntheticSource):
        raise ValueError(f"{utterance.id} is not synthetic: it has no phoneme labels")
    waveform, phonemes = utterance.source.render()
    starts = [start for start, _, _ in phonemes]
    centres = np.arange(1 + len(waveform) // hop_length) * hop_length / SAMPLE_RATE
    return [phonemes[bisect_right(starts, centre) - 1][2] for centre in centres]


def _intervals(starts: list[tuple[float, str]], end: float) -> Phonemes:
    """Return intervals without gaps from 0 to ``end``, pauses one after another made one."""
    merged = [(0.0, SILENCE)]
    for start, name in starts:
        if name or merged[-1][1] != SILENCE:
            merged.append((start, name or SILENCE))
    spans = pairwise([*merged, (end, SILENCE)])
    return tuple((start, stop, symbol) for (start, symbol), (stop, _) in spans if stop > start)
