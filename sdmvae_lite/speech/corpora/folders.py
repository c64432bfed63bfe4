"""Speech in folders: ``SPEAKER/…`` split by speaker, or ``PART/SPEAKER/…`` as given."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from .audio import SUFFIXES, AudioFile, corpus_of_files
from .corpus import PARTS, SHARES, Corpus, CorpusError, Faults, Utterance, raise_faults

_HIDDEN = (".", "__")  # how names begin that archives and systems leave among recordings
_SUFFIXES_LISTED = ", ".join(SUFFIXES[:-1]) + f" or {SUFFIXES[-1]}"


def folder_corpus(root: Path, minutes: float | None, seed: int, on_error: str) -> Corpus:
    """Return the corpus of ``SPEAKER/…/*.wav|flac|ogg``, or ``train|validation|test/SPEAKER/…``.

    Speakers are split by `split_speakers`, unless the three parts are there: then nothing beside
    them is looked at, as nothing is whose name begins with a dot or ``__``. Links are followed, but
    not back into the corpus. Raises `CorpusError`, naming the folder, file or speaker at fault.
    """
    faults: Faults = []
    if given := _given_parts(root):
        roots = list(given.values())
        parts = {part: _utterances_in(given[part], roots, faults) for part in PARTS}
    else:
        everyone = _utterances_in(root, [root], faults)
        raise_faults(faults, on_error)
        split = split_speakers((each.speaker for each in everyone), seed)
        parts = {part: [each for each in everyone if each.speaker in split[part]] for part in PARTS}
    name = root.resolve().name
    return corpus_of_files(parts, minutes, on_error, faults, name, f"speech from the folder {name}")


def _given_parts(root: Path) -> dict[str, Path]:
    """Return the folders of the three parts, whose names may be in capitals; or none at all."""
    given: dict[str, Path] = {}
    for folder in sorted(root.iterdir()):
        part = folder.name.lower()
        if part in PARTS and folder.is_dir():
            if part in given:
                raise CorpusError(f"{given[part]} and {folder} are both the {part} part: join them")
            given[part] = folder
    missing = ", ".join(part for part in PARTS if part not in given)
    if given and missing:
        first = next(iter(given.values())).name
        raise CorpusError(f"{root} has a folder {first!r} but none for: {missing}")
    return given


def _utterances_in(folder: Path, roots: Sequence[Path], faults: Faults) -> list[Utterance]:
    """Return the utterances of all speakers in one of ``roots``; ``faults`` gains the unusable."""
    found = []
    for path in visible(folder, roots, faults):
        if not path.is_dir():
            if path.suffix.lower() in SUFFIXES:
                faults.append((path.name, f"{path} is in no speaker's folder"))
        elif utterances := utterances_of(path.name, path, _audio(path, roots, faults), faults):
            found += utterances
        else:
            faults.append((path.name, f"{path} holds no {_SUFFIXES_LISTED} file"))
    if not found:
        needed = f"a folder for each speaker, with {_SUFFIXES_LISTED} files in it"
        raise CorpusError(f"{folder} holds no speech: it needs {needed}")
    return found


def utterances_of(who: str, folder: Path, files: Iterable[Path], faults: Faults) -> list[Utterance]:
    """Return a speaker's utterances, named by their path below ``folder`` without its suffix."""
    found: dict[str, Path] = {}
    for path in files:
        name = path.relative_to(folder).with_suffix("").as_posix()
        first = found.setdefault(name, path)
        if first != path:
            faults.append((f"{who}/{name}", f"{path} has the same name as {first.name}"))
    return [Utterance(who, name, AudioFile(path)) for name, path in found.items()]


def _audio(folder: Path, roots: Sequence[Path], faults: Faults) -> Iterator[Path]:
    for path in visible(folder, roots, faults):
        if path.is_dir():
            yield from _audio(path, roots, faults)
        elif path.suffix.lower() in SUFFIXES and path.is_file():
            yield path


def visible(folder: Path, roots: Sequence[Path], faults: Faults) -> Iterator[Path]:
    """Yield what a folder holds, in order, but for what is hidden or cannot be used."""

    def enter(path: Path, fault: str) -> None:
        root = next(root for root in roots if path.is_relative_to(root))
        faults.append((path.relative_to(root).as_posix(), f"{path} {fault}"))

    try:
        paths = sorted(folder.iterdir())
        os.stat(folder / "..")  # some folders can be listed, but not entered
    except OSError as error:
        enter(folder, f"cannot be read ({error.strerror})")
        return
    for path in paths:
        if path.name.startswith(_HIDDEN):
            continue
        if path.is_symlink() and not path.exists() and path.suffix.lower() in ("", *SUFFIXES):
            enter(path, "is a link to nothing: fetch what it stands for, or remove it")
        elif path.is_symlink() and path.is_dir() and _leads_back(path, roots):
            enter(path, "leads back into the corpus: remove this link")
        else:
            yield path


def _leads_back(link: Path, roots: Sequence[Path]) -> bool:
    """Whether a link's target lies in the corpus, or holds the corpus or the link itself."""
    target, parent = link.resolve(), link.parent.resolve()
    corpus = [root.resolve() for root in roots]
    holds = any(place.is_relative_to(target) for place in (*corpus, parent))
    return holds or any(target.is_relative_to(root) for root in corpus)


def split_speakers(speakers: Iterable[str], seed: int = 0) -> dict[str, list[str]]:
    """Divide speakers 39:8:9, as nearly as whole speakers allow, one at least in each part.

    Their order is that of a hash of seed and name: the same everywhere, and one speaker more does
    not shuffle the others. Raises `CorpusError` if they are fewer than parts.

    >>> {part: len(who) for part, who in split_speakers(map(str, range(56))).items()}
    {'train': 39, 'validation': 8, 'test': 9}
    """
    names = sorted(set(speakers))
    if len(names) < len(PARTS):
        few = f"{len(names)} speakers ({', '.join(names)}) cannot fill {len(PARTS)} parts"
        more = f"bring at least {len(PARTS) - len(names)} more, or give each speaker a folder"
        raise CorpusError(f"{few} that share no speaker: {more}")
    drawn = sorted(names, key=lambda who: hashlib.sha256(f"{seed}/{who}".encode()).digest())
    left, sizes = iter(drawn), _shares(len(drawn))
    split = {part: sorted(islice(left, sizes[part])) for part in ("validation", "test", "train")}
    return {part: split[part] for part in PARTS}


def _shares(n_speakers: int) -> dict[str, int]:
    """Return the speakers of each part: one each, and the rest by largest remainder."""
    exact = {part: n_speakers * share / sum(SHARES.values()) for part, share in SHARES.items()}
    sizes = dict.fromkeys(PARTS, 1)
    for _ in range(n_speakers - len(PARTS)):
        sizes[max(PARTS, key=lambda part: exact[part] - sizes[part])] += 1
    return sizes
