"""The frames of a corpus on disk: one matrix of power spectra, memory-mapped.

A store is a folder of two files: ``frames.f32``, the raw float32 matrix row by row, and
``index.json``, which says what it holds and carries its checksum. Its name is a hash of the
corpus fingerprint, the part and the STFT, so other settings are another store. See
:doc:`12_bring_your_own_speech`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from pathlib import Path

import numpy as np
from filelock import FileLock
from joblib import Parallel, delayed
from tqdm import tqdm

from ..config import STFTConfig, to_dict
from ..store import cache_folder
from .corpora import Corpus, Utterance
from .spectra import TRIM_DB, training_frames

_METHOD = 1  # part of a store's name: raise it when `spectra.training_frames` changes
_READ_SIZE = 1 << 24  # bytes
_ROUND_SECONDS = 300  # of speech computed before it is written: 39 MB of spectra


def load_frames(
    corpus: Corpus,
    part: str,
    config: STFTConfig = STFTConfig(),
    folder: Path | None = None,
    n_jobs: int = -1,
    progress: bool = True,
) -> np.ndarray:
    """Power spectra of one part of a corpus, computed once and memory-mapped from then on.

    Utterances are normalised and trimmed as `spectra.training_frames` does, in memory that does
    not grow with the corpus. Several processes may ask at once: one computes, the others wait.
    A store that is cut short or damaged is rebuilt.

    Args:
        part: ``train``, ``validation`` or ``test``.
        folder: where stores are kept; None is ``frames`` in `config.cache_folder`.
        n_jobs: threads; -1 is one a core. Within a ``joblib.parallel_config`` the work goes to
            that backend.

    Returns:
        float32 (n_frames, n_bins); writing to it changes this copy in memory, never the file.

    Raises:
        ValueError: for an unknown part, one without utterances, or an utterance that cannot be
            used, which it names.
        OSError: naming the folder, when it cannot be written, as on a full disk; nothing
            half-written is left.
    """
    if part not in corpus.parts:
        raise ValueError(f"unknown part {part!r}: choose one of {', '.join(corpus.parts)}")
    utterances = corpus.parts[part]
    if not utterances:
        raise ValueError(f"the {part} part of corpus {corpus.name!r} holds no utterances")
    contents = {
        "corpus": corpus.fingerprint,
        "part": part,
        "stft": to_dict(config),
        "trim_db": TRIM_DB,
        "method": _METHOD,
    }
    key = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:24]
    store = (folder or cache_folder() / "frames") / key
    try:
        store.mkdir(parents=True, exist_ok=True)
        with FileLock(store.with_suffix(".lock")):
            frames = _open(store, config.n_bins)
            if frames is None:
                bar = tqdm(
                    _spectra(utterances, config, n_jobs),
                    total=len(utterances),
                    desc=f"{part} frames",
                    unit="utt",
                    disable=not progress,
                )
                _write(store, contents, bar)
                frames = _open(store, config.n_bins)
    except OSError as error:
        raise _explained(error, store.parent) from None
    if frames is None:
        raise OSError(f"the frame store {store} cannot be read back: is its disk failing?")
    return frames


def _spectra(
    utterances: Sequence[Utterance], config: STFTConfig, n_jobs: int
) -> Iterator[np.ndarray]:
    """Each utterance's power spectra, in order, computed a round of utterances at a time.

    joblib does not wait for whoever takes its results, and Ray's backend cannot give them one
    by one: rounds bound what is held in memory, whatever the backend and however slow the disk.
    """
    ends = accumulate(utterance.source.seconds for utterance in utterances)
    rounds = groupby(zip(utterances, ends, strict=True), key=lambda pair: pair[1] // _ROUND_SECONDS)
    with Parallel(n_jobs=n_jobs, prefer="threads") as parallel:
        for _, pairs in rounds:
            jobs = [delayed(_spectra_of)(utterance, config) for utterance, _ in pairs]
            yield from parallel(jobs)


def _spectra_of(utterance: Utterance, config: STFTConfig) -> np.ndarray:
    try:
        return training_frames(utterance.waveform(), config)
    except ValueError as error:
        raise ValueError(f"{utterance.id}: {error}") from error


def _write(store: Path, contents: dict, blocks: Iterator[np.ndarray]) -> None:
    """Write a store's two files, each moved into place whole, the index last."""
    data, index = store / "frames.f32.part", store / "index.json.part"
    n_frames, checksum = 0, 0
    try:
        with data.open("wb") as file:
            for block in blocks:
                file.write(block.data)
                checksum = zlib.crc32(block.data, checksum)
                n_frames += len(block)
        index.write_text(json.dumps({**contents, "n_frames": n_frames, "crc32": checksum}))
        (store / "index.json").unlink(missing_ok=True)
        os.replace(data, store / "frames.f32")
        os.replace(index, store / "index.json")
    finally:
        data.unlink(missing_ok=True)
        index.unlink(missing_ok=True)


def _open(store: Path, n_bins: int) -> np.ndarray | None:
    """The store's frames, or None where there is no sound store."""
    try:
        index = json.loads((store / "index.json").read_text())
        shape = (index["n_frames"], n_bins)
        data = store / "frames.f32"
        if data.stat().st_size != 4 * n_bins * shape[0] or _checksum(data) != index["crc32"]:
            return None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return np.memmap(data, dtype=np.float32, mode="c", shape=shape)


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(_READ_SIZE):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _explained(error: OSError, folder: Path) -> OSError:
    """The same error, saying which folder and what to do where that is known."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        advice = "no room is left there: free some, or point SDMVAE_CACHE to a larger disk"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "point SDMVAE_CACHE to a folder that can be written"
    else:
        return error
    return OSError(error.errno, f"frames cannot be stored in {folder} ({error}); {advice}")
