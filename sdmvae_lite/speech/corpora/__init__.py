"""Where utterances come from: `load_corpus` turns a name or a folder into a checked `Corpus`."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real
from pathlib import Path

from .corpus import PARTS, Corpus, CorpusError, Utterance
from .espeak import EspeakError
from .folders import folder_corpus
from .librispeech import librispeech_corpus
from .synthetic import SILENCE, SyntheticSource, phoneme_frames, synthetic_corpus
from .tcd_timit import tcd_timit_corpus

__all__ = [
    "PARTS",
    "SILENCE",
    "Corpus",
    "CorpusError",
    "EspeakError",
    "SyntheticSource",
    "Utterance",
    "load_corpus",
    "phoneme_frames",
]


def load_corpus(
    name_or_folder: str | os.PathLike[str] | None = None,
    minutes: float | None = None,
    *,
    split: str | None = None,
    seed: int = 0,
    on_error: str = "raise",
    cache: str | os.PathLike[str] | None = None,
) -> Corpus:
    """Load a corpus, three parts that share no speaker, and check each utterance before any work.

    See :doc:`15_bring_your_own_speech`.

    Args:
        name_or_folder: ``synthetic``; ``librispeech``; ``tcd-timit:FOLDER``, for TCD-TIMIT or
            NTCD-TIMIT; or a folder of ``SPEAKER/…/*.wav|flac|ogg``, or of
            ``train|validation|test/SPEAKER/…``. None is ``SDMVAE_CORPUS``, else ``synthetic``.
        minutes: about how much speech to keep in all, shared 39:8:9 as the paper's speakers are,
            one utterance at least in each part; None keeps everything.
        split: which division of TCD-TIMIT: ``authors`` (the default) or ``ntcd``.
        seed: draws the speakers of each part where they are not given, and synthetic sentences.
        on_error: ``raise`` lists what cannot be used; ``skip`` leaves it out and lists it in
            ``corpus.skipped``. Of one recording in two parts, ``skip`` keeps the first part's.
        cache: where downloads are kept; None is `store.cache_folder`.

    Raises:
        ValueError: for an argument that is none of these. CorpusError, a ValueError too: for
            speech that cannot be used, naming the file, folder or speaker.
        EspeakError: for the synthetic corpus, if espeak-ng cannot be loaded.

    >>> [len(part) for part in load_corpus("synthetic", minutes=1).parts.values()]
    [8, 2, 2]
    >>> load_corpus("synthetik")
    Traceback (most recent call last):
        ...
    ValueError: unknown corpus 'synthetik', and no such folder: choose 'synthetic', ...
    """
    name = os.fspath(name_or_folder or os.environ.get("SDMVAE_CORPUS") or "synthetic")
    _require_valid(minutes, seed, on_error)
    seed = int(seed)  # another kind of integer would be another seed
    kind, _, below = name.partition(":")
    if split is not None and kind != "tcd-timit":
        raise ValueError(f"split={split!r} is for tcd-timit alone, not for corpus {name!r}")
    if name == "synthetic":
        return synthetic_corpus(minutes, seed)
    if name == "librispeech":
        kept_in = Path(os.path.expanduser(cache)) if cache else None
        return librispeech_corpus(minutes, seed, on_error, kept_in)
    # Path.expanduser would raise where nobody knows that home.
    folder = Path(os.path.expanduser(below if kind == "tcd-timit" else name))
    if kind == "tcd-timit":
        if not below:
            raise ValueError("tcd-timit needs the folder that holds it: 'tcd-timit:FOLDER'")
        if not folder.is_dir():
            raise CorpusError(f"there is no folder {below!r}")
        return tcd_timit_corpus(folder, minutes, split or "authors", on_error)
    if not folder.is_dir():
        choices = "'synthetic', 'librispeech', 'tcd-timit:FOLDER' or the path of a folder of speech"
        raise ValueError(f"unknown corpus {name!r}, and no such folder: choose {choices}")
    return folder_corpus(folder, minutes, seed, on_error)


def _require_valid(minutes: float | None, seed: int, on_error: str) -> None:
    is_number = isinstance(minutes, Real) and not isinstance(minutes, bool)
    if minutes is not None and not (is_number and 0 < minutes < math.inf):
        raise ValueError(f"minutes must be a positive number, or None for all, not {minutes!r}")
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise ValueError(f"seed must be a whole number, not {seed!r}")
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', not {on_error!r}")
