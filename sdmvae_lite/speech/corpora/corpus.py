"""What a corpus is: utterances in three parts that share no speaker, and how much of it to keep."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from typing import Protocol

import numpy as np
from tqdm import tqdm

Faults = list[tuple[str, str]]  # (what cannot be used, why)
PARTS = ("train", "validation", "test")
SHARES = {"train": 39, "validation": 8, "test": 9}  # the paper's speakers (Section 4.1)
_MAX_LISTED = 10  # faults spelt out in one error
_DELAY = 2  # seconds; a shorter check shows no progress bar


class CorpusError(ValueError):
    """A corpus that cannot be used as it is; the message names the file or folder."""


class Source(Protocol):
    """Where the sound of an utterance comes from. Picklable, and light until it is read."""

    @property
    def seconds(self) -> float:
        """Its length, or an estimate where that would need its sound."""

    def check(self) -> None:
        """Raise `CorpusError`, naming the source, if it cannot be used."""

    def read(self) -> np.ndarray:
        """Return float32 (n_samples,) at 16 kHz in [-1, 1]."""

    def fingerprint(self) -> str:
        """Return a digest of what the sound is made from."""


@dataclass(frozen=True)
class Utterance:
    """One sentence of one speaker."""

    speaker: str
    name: str
    source: Source

    @property
    def id(self) -> str:
        """``speaker/name``, unique in a corpus."""
        return f"{self.speaker}/{self.name}"

    def waveform(self) -> np.ndarray:
        """Return float32 (n_samples,): mono, 16 kHz, in [-1, 1], at the level it came with.

        Raises `CorpusError`, naming a file that has become unusable since the corpus was loaded.
        """
        return self.source.read()


@dataclass(frozen=True, repr=False)
class Corpus:
    """Utterances of speakers of whom none is in two parts, or `CorpusError` is raised.

    Each part goes round its speakers: the first utterance of every one, then the second. A
    smaller corpus (``minutes``) is the beginning of a larger one.
    """

    name: str
    train: tuple[Utterance, ...]
    validation: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
    skipped: tuple[tuple[str, str], ...] = ()  # (what was left out, why)
    credit: str = ""  # who speaks, and under which licence: one line for a page

    def __post_init__(self) -> None:
        require_disjoint({part: self.speakers(part) for part in PARTS})

    @property
    def parts(self) -> dict[str, tuple[Utterance, ...]]:
        """The three parts by name."""
        return {part: getattr(self, part) for part in PARTS}

    def speakers(self, part: str) -> tuple[str, ...]:
        """Return the speakers of a part, in the order of their first utterance."""
        return tuple(dict.fromkeys(each.speaker for each in self.parts[part]))

    def minutes(self, part: str) -> float:
        """Return the length of a part; an estimate where speech is synthesised on demand."""
        return sum(each.source.seconds for each in self.parts[part]) / 60

    @cached_property
    def digests(self) -> dict[str, str]:
        """The fingerprint of every utterance's source, by the utterance's id, taken once."""
        return {each.id: each.source.fingerprint() for each in chain(*self.parts.values())}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of who says what in which part, wherever it is kept."""
        lines = (
            f"{part}\t{each.id}\t{self.digests[each.id]}\n"
            for part, utterances in self.parts.items()
            for each in utterances
        )
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()

    def __repr__(self) -> str:
        speakers = " + ".join(str(len(self.speakers(part))) for part in PARTS)
        utterances = " + ".join(str(len(utterances)) for utterances in self.parts.values())
        return f"<Corpus {self.name!r}: {speakers} speakers, {utterances} utterances>"

    def __str__(self) -> str:
        rows = [
            f"  {part:<10} {len(self.speakers(part)):>3} speakers, {len(utterances):>5} "
            f"utterances, {self.minutes(part):6.1f} minutes"
            for part, utterances in self.parts.items()
        ]
        left_out = [f"  left out: {len(self.skipped)}, see skipped"] if self.skipped else []
        return "\n".join([f"{self.name}: {self.credit}", *rows, *left_out])


Parts = Mapping[str, Sequence[Utterance]]
Chosen = dict[str, tuple[Utterance, ...]]


def select(parts: Parts, minutes: float | None, on_error: str) -> tuple[Chosen, Faults]:
    """Return about ``minutes`` of usable utterances, shared 39:8:9 between parts, and the faults.

    A part is gone through round its speakers until its share is full. Only what is reached is
    checked, and of a recording that two parts reach the first part's is kept. Raises `CorpusError`,
    listing the faults unless ``on_error`` is ``skip``; naming an empty part.
    """
    faults: Faults = []
    heard: dict[str, tuple[str, Source]] = {}  # by fingerprint

    def take(part: str) -> Iterator[Utterance]:
        share = math.inf if minutes is None else 60 * minutes * SHARES[part] / 56
        taken = 0.0
        for utterance in round_speakers(parts[part]):
            if taken >= share:
                break
            bar.update()
            source = utterance.source
            try:
                source.check()
                where, first = heard.setdefault(source.fingerprint(), (part, source))
                if where != part:
                    same = f"{source} is the same recording as {first} in {where}"
                    raise CorpusError(f"{same}: keep it in one part")
            except CorpusError as error:
                faults.append((utterance.id, str(error)))
            else:
                taken += source.seconds
                yield utterance

    n_utterances = sum(map(len, parts.values()))
    with tqdm(total=n_utterances, desc="checking the corpus", leave=False, delay=_DELAY) as bar:
        kept = {part: tuple(take(part)) for part in parts}
    raise_faults(faults, on_error)
    for part, utterances in kept.items():
        if not utterances:
            raise CorpusError(f"no usable utterance is left in the {part} part: {_listed(faults)}")
    return kept, faults


def round_speakers(utterances: Iterable[Utterance]) -> Iterator[Utterance]:
    """Yield the first utterance of every speaker, then the second, and so on."""
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    return (each for each in chain(*zip_longest(*by_speaker.values())) if each is not None)


def require_disjoint(speakers: Mapping[str, Iterable[str]]) -> None:
    """Raise `CorpusError`, naming speaker and parts, if anybody is in two.

    >>> require_disjoint({"train": ["01M", "02M"], "test": ["02M"]})
    Traceback (most recent call last):
        ...
    sdmvae_lite.speech.corpora.corpus.CorpusError: speaker '02M' is in train and in test: ...
    """
    part_of: dict[str, str] = {}
    for part, names in speakers.items():
        for name in names:
            if part_of.setdefault(name, part) != part:
                reason = "a model tested on a voice it was trained on scores too well"
                where = f"speaker {name!r} is in {part_of[name]} and in {part}"
                raise CorpusError(f"{where}: {reason}, so keep each in one part")


def raise_faults(faults: Faults, on_error: str) -> None:
    """Raise `CorpusError`, listing the faults, unless there are none or they may be skipped."""
    if faults and on_error != "skip":
        raise CorpusError(
            f"the corpus has {len(faults)} fault(s): {_listed(faults)}\n"
            'Mend or remove them, or load it with on_error="skip" to go on without them.'
        )


def _listed(faults: Faults) -> str:
    more = len(faults) - _MAX_LISTED
    lines = [f"\n  {reason}" for _, reason in faults[:_MAX_LISTED]]
    return "".join(lines) + (f"\n  and {more} more" if more > 0 else "")
