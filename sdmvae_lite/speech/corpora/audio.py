"""Audio files as utterances: WAV, FLAC and OGG at any rate, checked before they are used."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from ...config import SAMPLE_RATE, STFTConfig
from .corpus import Corpus, CorpusError, Faults, Parts, raise_faults, require_disjoint, select

SUFFIXES = (".wav", ".flac", ".ogg")
_WINDOW = STFTConfig().window_length  # samples; a shorter utterance has no frame
_LOWEST_RATE, _HIGHEST_RATE = 4_000, 384_000  # Hz; a wrong header would make gigabytes
_SILENCE = 1e-4  # -80 dB below full scale: nothing was recorded
_OVERSHOOT = 1.5  # lossy decoding passes full scale, 1, a little; more than this is another scale
_ENDLESS = 2**62  # samples; libsndfile's word for a length that is not said
_STREAMED = 0x7FFFF000  # RIFF sizes from here up are placeholders of programs that write to pipes


class Header(NamedTuple):
    """What a file says of itself."""

    n_samples: int  # a channel
    rate: int  # Hz
    n_channels: int


@dataclass(frozen=True)
class AudioFile:
    """The sound of an audio file, read anew each time; errors are `CorpusError`, naming it."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @cached_property
    def header(self) -> Header:
        """What the file says of itself, read once: `read` goes by what it says then."""
        try:
            with self.path.open("rb") as file, soundfile.SoundFile(file) as sound:
                return self._header(sound)
        except (soundfile.LibsndfileError, OSError) as error:
            raise self._fault(f"cannot be read as audio ({_reason(error)})") from error

    @property
    def seconds(self) -> float:
        """Length by the file's header."""
        return self.header.n_samples / self.header.rate

    def check(self) -> None:
        """Decode the file and raise `CorpusError` if it cannot be used."""
        self._mono()

    def read(self) -> np.ndarray:
        """Return float32 (n_samples,) at 16 kHz: channels averaged, resampled by soxr, clipped."""
        waveform, rate = self._mono()
        if rate != SAMPLE_RATE:
            waveform = soxr.resample(waveform, rate, SAMPLE_RATE)
        return np.clip(waveform, -1.0, 1.0)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file's bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _mono(self) -> tuple[np.ndarray, int]:
        """Return float32 (n_samples,), checked, and its rate in Hz."""
        if self.seconds * SAMPLE_RATE < _WINDOW:
            lasts = f"lasts {1000 * self.seconds:.0f} ms, less than one window"
            raise self._fault(f"{lasts} of {1000 * _WINDOW // SAMPLE_RATE} ms: leave it out")
        samples, rate = self._decode()
        if not np.isfinite(samples).all():
            raise self._fault("holds samples that are NaN or infinite: export it again")
        peak = np.abs(samples).max()
        if peak > _OVERSHOOT:
            scale = "where full scale is 1: divide it by its maximum"
            raise self._fault(f"holds samples up to {peak:.3g}, {scale}")
        if _is_silent(samples):
            raise self._fault("is silent: leave it out")
        waveform = samples.mean(axis=1)
        if _is_silent(waveform):
            raise self._fault("has channels that cancel each other: keep one of them")
        return waveform, rate

    def _decode(self) -> tuple[np.ndarray, int]:
        """Return float32 (n_samples, n_channels) and its rate in Hz, of the same bytes."""
        try:
            content = self.path.read_bytes()
            with soundfile.SoundFile(io.BytesIO(content)) as sound:
                header = self._header(sound)
                samples = sound.read(dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise self._fault(f"is damaged ({_reason(error)}): copy it again") from error
        if len(samples) < max(1, header.n_samples) or _is_cut_short(content):
            raise self._fault("is cut short: its end is missing, so copy it again")
        return samples, header.rate

    def _header(self, sound: soundfile.SoundFile) -> Header:
        if sound.frames >= _ENDLESS:
            raise self._fault("does not say how long it is: convert it once more, not to a pipe")
        if not _LOWEST_RATE <= sound.samplerate <= _HIGHEST_RATE:
            sensible = f"{_LOWEST_RATE:,} to {_HIGHEST_RATE:,} are sensible: mend or remove it"
            raise self._fault(f"says it has {sound.samplerate} samples a second, where {sensible}")
        return Header(sound.frames, sound.samplerate, sound.channels)

    def _fault(self, what: str) -> CorpusError:
        return CorpusError(f"{self} {what}")


def corpus_of_files(
    parts: Parts, minutes: float | None, on_error: str, faults: Faults, name: str, credit: str
) -> Corpus:
    """Return a corpus of what `select` keeps of audio files; ``faults`` were found before."""
    raise_faults(faults, on_error)
    require_disjoint({part: [each.speaker for each in parts[part]] for part in parts})
    kept, unusable = select(parts, minutes, on_error)
    warn_of_conversion(each.source for part in kept.values() for each in part)
    return Corpus(name, **kept, skipped=(*faults, *unusable), credit=credit)


def warn_of_conversion(sources: Iterable[object]) -> None:
    """Say once how many files are at another rate than 16 kHz or have several channels."""
    headers = [source.header for source in sources if isinstance(source, AudioFile)]
    rates = [header.rate for header in headers if header.rate != SAMPLE_RATE]
    mixed = sum(header.n_channels > 1 for header in headers)
    said = []
    if rates:
        listed = ", ".join(f"{rate} Hz" for rate in sorted(set(rates)))
        said.append(f"{len(rates)} of {len(headers)} files ({listed}) are resampled to 16 kHz")
    if mixed:
        said.append(f"the channels of {mixed} of {len(headers)} files are averaged")
    if said:
        warnings.warn("; ".join(said), stacklevel=2)


def _is_silent(samples: np.ndarray) -> bool:
    """Whether (n_samples, ...) stay within `_SILENCE` of their mean, channel by channel."""
    return bool(np.abs(samples - samples.mean(axis=0)).max() < _SILENCE)


def _is_cut_short(content: bytes) -> bool:
    """Whether a WAV or OGG promises more bytes than it has, of which libsndfile says nothing."""
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        promised = struct.unpack("<I", content[4:8])[0]
        return promised < _STREAMED and promised + 8 > len(content)
    if content[:4] != b"OggS":
        return False
    page = content[content.rfind(b"OggS") :]  # RFC 3533, Section 6: the last is marked so
    n_segments = page[26] if len(page) > 26 else 0
    length = 27 + n_segments + sum(page[27 : 27 + n_segments])
    return len(page) < length or not page[5] & 4


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error)
