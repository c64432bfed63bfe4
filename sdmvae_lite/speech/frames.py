"""The frames of a corpus on disk: one matrix of power spectra a file, memory-mapped.

A file holds the float32 matrix, row by row, and a CRC-32 of it. Its name is a key of everything
that decides it, so other settings, other speech or another method are another file.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from itertools import accumulate, groupby
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from .. import store
from ..config import STFTConfig, to_dict
from .corpora import Corpus, CorpusError, Utterance
from .spectra import TRIM_DB, training_frames

# The modules and packages that decide what a frame is.
_MODULES = ("spectra", "frames", "corpora.audio", "corpora.espeak", "corpora.synthetic")
_PACKAGES = ("numpy", "scipy", "soundfile", "soxr")
_CHECKSUM_SIZE = 4  # bytes
_READ_SIZE = 1 << 24  # bytes
_ROUND_SECONDS = 300  # of speech computed before it is written: 39 MB of spectra


def load_frames(
    corpus: Corpus,
    part: str,
    stft: STFTConfig = STFTConfig(),
    folder: str | os.PathLike[str] | None = None,
    n_jobs: int = -1,
    progress: bool = True,
) -> np.ndarray:
    """Return float32 (n_frames, n_bins), memory-mapped: the power spectra of one part of a corpus.

    `spectra.training_frames` makes them once, in memory that does not grow with the corpus. Of
    several processes, one computes and the others wait. A file that is damaged or empty is made
    again. Writing to the array never changes the file. See :doc:`15_bring_your_own_speech`.

    Args:
        folder: where frames are kept; None is ``frames`` in `store.cache_folder`.
        n_jobs: threads, -1 being one a core, or workers of a ``joblib.parallel_config``.

    Raises:
        ValueError: for an unknown or empty part; naming an utterance that cannot be used, or has
            changed since the corpus was loaded.
        OSError: naming the file, when it cannot be written; nothing half-written is left.
    """
    if part not in corpus.parts:
        raise ValueError(f"unknown part {part!r}: choose one of {', '.join(corpus.parts)}")
    utterances = corpus.parts[part]
    if not utterances:
        raise ValueError(f"the {part} part of corpus {corpus.name!r} holds no utterances")
    name = store.key(
        "frames",
        corpus=corpus.fingerprint,
        part=part,
        stft=to_dict(stft),
        trim_db=TRIM_DB,
        method=store.method(*(f"speech.{module}" for module in _MODULES)),
        packages={package: version(package) for package in _PACKAGES},
    )

    def make() -> Iterator[bytes]:
        spectra = _spectra(corpus, utterances, stft, n_jobs)
        bar = tqdm(spectra, f"{part} frames", len(utterances), unit="utt", disable=not progress)
        return _with_checksum(bar)

    path = Path(folder or store.cache_folder() / "frames").expanduser() / f"{name}.f32"
    return store.load_or_make(path, partial(_open, n_bins=stft.n_bins), make)


def _spectra(
    corpus: Corpus, utterances: Sequence[Utterance], stft: STFTConfig, n_jobs: int
) -> Iterator[np.ndarray]:
    """Yield each utterance's power spectra, in order, computed a round of utterances at a time.

    Rounds bound memory: joblib does not wait until results are taken; Ray cannot yield them singly.
    """
    ends = accumulate(utterance.source.seconds for utterance in utterances)
    rounds = groupby(zip(utterances, ends, strict=True), key=lambda pair: pair[1] // _ROUND_SECONDS)
    with Parallel(n_jobs=n_jobs, prefer="threads") as parallel:
        for _, pairs in rounds:
            yield from parallel(
                delayed(_spectra_of)(utterance, corpus.digests[utterance.id], stft)
                for utterance, _ in pairs
            )


def _spectra_of(utterance: Utterance, digest: str, stft: STFTConfig) -> np.ndarray:
    try:
        frames = training_frames(utterance.waveform(), stft)
    except ValueError as error:
        raise ValueError(f"{utterance.id}: {error}") from error
    if utterance.source.fingerprint() != digest:
        raise CorpusError(f"{utterance.source} has changed since loading: load the corpus again")
    return frames


def _with_checksum(blocks: Iterable[np.ndarray]) -> Iterator[bytes]:
    checksum = 0
    for block in blocks:
        checksum = zlib.crc32(block.data, checksum)
        yield block.tobytes()
    yield checksum.to_bytes(_CHECKSUM_SIZE, "little")


def _open(path: Path, n_bins: int) -> np.ndarray | None:
    """Map the frames of a file; None where it is missing, damaged or empty."""
    try:
        n_frames, rest = divmod(path.stat().st_size - _CHECKSUM_SIZE, 4 * n_bins)
        if n_frames < 1 or rest or not _is_sound(path):
            return None
    except FileNotFoundError:
        return None
    return np.memmap(path, dtype=np.float32, mode="c", shape=(n_frames, n_bins))


def _is_sound(path: Path) -> bool:
    """Whether the checksum at the end of a file is that of what precedes it."""
    checksum, left = 0, path.stat().st_size - _CHECKSUM_SIZE
    with path.open("rb") as file:
        while block := file.read(min(left, _READ_SIZE)):
            checksum = zlib.crc32(block, checksum)
            left -= len(block)
        return file.read() == checksum.to_bytes(_CHECKSUM_SIZE, "little")
