"""Speech in folders: ``SPEAKER/…`` split by speaker, or ``PART/SPEAKER/…`` as given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .audio import SUFFIXES, AudioFile, warn_of_conversion
from .corpus import (
    PARTS,
    SHARES,
    Corpus,
    CorpusError,
    Utterance,
    raise_or_list,
    require_disjoint,
    select,
)

Faults = list[tuple[str, str]]  # (what cannot be used, why)

_HIDDEN = (".", "__")  # how names begin that archives and systems leave among recordings
_SUFFIXES_LISTED = ", ".join(SUFFIXES[:-1]) + f" or {SUFFIXES[-1]}"


def folder_corpus(
    root: Path,
    minutes: float | None = None,
    seed: int = 0,
    on_error: str = "raise",
    name: str | None = None,
    credit: str | None = None,
) -> Corpus:
    """A folder of ``SPEAKER/…/*.wav|flac|ogg``, or of ``train|validation|test/SPEAKER/…``.

    Speakers are split 39:8:9 by ``split_speakers``, unless the three parts are there. What has a
    name that begins with a dot or ``__`` is not looked at, nor is anything beside three given
    parts.

    Raises:
        CorpusError: naming the folder, file or speaker that is at fault.
    """
    faults: Faults = []
    given = [part for part in PARTS if (root / part).is_dir()]
    if given and len(given) < len(PARTS):
        missing = ", ".join(part for part in PARTS if part not in given)
        raise CorpusError(f"{root} has a folder {given[0]!r} but none for: {missing}")
    if given:
        speakers = {part: find_speakers(root / part, faults) for part in PARTS}
        require_disjoint(speakers)
    else:
        everyone = find_speakers(root, faults)
        raise_or_list(faults, on_error)
        split = split_speakers(everyone, seed)
        speakers = {part: {who: everyone[who] for who in split[part]} for part in PARTS}
    return corpus_of_files(
        speakers,
        minutes=minutes,
        on_error=on_error,
        faults=faults,
        name=name or root.resolve().name,
        credit=credit or f"speech from the folder {root.resolve().name}",
    )


def find_speakers(root: Path, faults: Faults) -> dict[str, list[Utterance]]:
    """The utterances of every speaker folder in ``root``; ``faults`` gains what cannot be one.

    Raises:
        CorpusError: if there is no speaker folder.
    """
    speakers = {}
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(_HIDDEN):
            continue
        if not folder.is_dir():
            if folder.suffix.lower() in SUFFIXES:
                faults.append((folder.name, f"{folder} is in no speaker's folder"))
            continue
        if utterances := _utterances(folder, faults):
            speakers[folder.name] = utterances
        else:
            faults.append((folder.name, f"{folder} holds no {_SUFFIXES_LISTED} file"))
    if not speakers:
        raise CorpusError(
            f"{root} holds no speech: it needs a folder for each speaker, with {_SUFFIXES_LISTED} "
            "files in it"
        )
    return speakers


def _utterances(folder: Path, faults: Faults) -> list[Utterance]:
    """One speaker's utterances, named by their path below ``folder`` without its suffix."""
    utterances: dict[str, Utterance] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if any(part.startswith(_HIDDEN) for part in inside.parts):
            continue
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        name = inside.with_suffix("").as_posix()
        if name in utterances:
            first = utterances[name].source.path.name
            faults.append((f"{folder.name}/{name}", f"{path} has the same name as {first}"))
        else:
            utterances[name] = Utterance(folder.name, name, AudioFile(path))
    return list(utterances.values())


def split_speakers(speakers: Iterable[str], seed: int = 0) -> dict[str, list[str]]:
    """Speakers in three parts, as near to 39:8:9 as whole speakers allow, one at least in each.

    Their order is that of a hash of seed and name, so it is the same everywhere, and one speaker
    more does not shuffle the others.

    Raises:
        CorpusError: if there are fewer speakers than parts.

    >>> {part: len(who) for part, who in split_speakers(map(str, range(56))).items()}
    {'train': 39, 'validation': 8, 'test': 9}
    """
    names = sorted(set(speakers))
    if len(names) < len(PARTS):
        raise CorpusError(
            f"{len(names)} speakers ({', '.join(names)}) cannot fill {len(PARTS)} parts that share "
            f"no speaker: bring at least {len(PARTS) - len(names)} more, or give each speaker a "
            "folder"
        )
    drawn = sorted(names, key=lambda who: hashlib.sha256(f"{seed}/{who}".encode()).digest())
    sizes = _shares(len(drawn))
    n_held_out = sizes["validation"] + sizes["test"]
    return {
        "train": sorted(drawn[n_held_out:]),
        "validation": sorted(drawn[: sizes["validation"]]),
        "test": sorted(drawn[sizes["validation"] : n_held_out]),
    }


def _shares(n_speakers: int) -> dict[str, int]:
    """Speakers a part: one each, and the rest by largest remainder."""
    exact = {part: n_speakers * share / sum(SHARES.values()) for part, share in SHARES.items()}
    sizes = {part: max(1, int(share)) for part, share in exact.items()}
    while sum(sizes.values()) < n_speakers:
        sizes[max(PARTS, key=lambda part: exact[part] - sizes[part])] += 1
    while sum(sizes.values()) > n_speakers:
        sizes["train"] -= 1
    return sizes


def corpus_of_files(
    speakers: Mapping[str, Mapping[str, Sequence[Utterance]]],
    minutes: float | None,
    on_error: str,
    faults: Faults,
    name: str,
    credit: str,
) -> Corpus:
    """A corpus of the audio files of ``speakers`` by part: checked, and about ``minutes`` kept.

    Args:
        faults: what was already found to be unusable, and why.

    Raises:
        CorpusError: listing all faults, unless ``on_error`` is ``skip``.
    """
    raise_or_list(faults, on_error)
    utterances = {
        part: [utterance for whose in speakers[part].values() for utterance in whose]
        for part in PARTS
    }
    kept, unusable = select(utterances, minutes, on_error)
    warn_of_conversion(utterance.source for part in PARTS for utterance in kept[part])
    return Corpus(name, **kept, skipped=tuple(faults + unusable), credit=credit)
