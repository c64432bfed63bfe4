"""TCD-TIMIT, the corpus of the paper, and NTCD-TIMIT, with the same clean speech: 59 volunteers.

TCD-TIMIT (Harte and Gillen, IEEE Transactions on Multimedia, 2015) needs a licence. NTCD-TIMIT
(Abdelaziz, Interspeech 2017; Zenodo record 260228) is free for non-commercial use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .audio import corpus_of_files
from .corpus import PARTS, Corpus, CorpusError, Faults, Utterance
from .folders import utterances_of, visible


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# Divisions into 39, 8 and 9 of 56 speakers: ``ntcd`` was published with NTCD-TIMIT; ``authors`` is
# that of the paper's authors in related work, and almost surely the paper's. Which three of its 42
# other speakers the paper left out of training is not known: all 42 are kept.
SPLITS: dict[str, dict[str, frozenset[str]]] = {
    "authors": {
        "validation": _names("06M 17F 20M 35M 38F 42M 52M 59F"),
        "test": _names("09F 24M 26M 27M 33F 40F 47M 49F 56M"),
    },
    "ntcd": {
        "train": _names(
            "01M 02M 03F 04M 05F 06M 07F 10M 11F 12M 13F 14M 16M 17F 19M 20M 21M 22M 23M 24M 26M "
            "29M 30F 31F 32F 37F 38F 39M 40F 42M 43F 46F 47M 48M 50F 51F 52M 57M 59F"
        ),
        "validation": _names("08F 09F 15F 18M 25M 28M 33F 36F"),
        "test": _names("34M 41M 44F 45F 49F 54M 55F 56M 58F"),
    },
}

_CREDITS = {
    "TCD-TIMIT": "TCD-TIMIT (Harte and Gillen, 2015), used under its licence",
    "NTCD-TIMIT": "NTCD-TIMIT clean speech (Abdelaziz, 2017), CC BY-NC 4.0",
}
# Where a speaker's sentences are, below the speaker's folder.
_LAYOUTS = {"TCD-TIMIT": Path("Clips", "straightcam"), "NTCD-TIMIT": Path("straightcam")}
_EXTRACT_SOUND = """-exec sh -c 'ffmpeg -i "$1" -ac 1 -ar 16000 "${1%.mp4}.wav"' sh {} \\;"""
_MAX_DEPTH = 4  # folders between the one given and ``volunteers``


def tcd_timit_corpus(root: Path, minutes: float | None, split: str, on_error: str) -> Corpus:
    """Return TCD-TIMIT or NTCD-TIMIT below ``root``, in one of its two published divisions.

    Sentences are ``volunteers/SPEAKER/Clips/straightcam/*.wav`` (TCD-TIMIT) or
    ``Clean/volunteers/SPEAKER/straightcam/*.wav`` (NTCD-TIMIT). Raises ValueError for an unknown
    ``split``; `CorpusError`, naming the folder, file or speaker that is at fault or absent.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r} of TCD-TIMIT: choose one of {', '.join(SPLITS)}")
    faults: Faults = []
    volunteers = find_volunteers(root)
    layout, folders = _speaker_folders(volunteers, faults)
    split_in = _divide(folders, split, faults)
    everyone = [who for names in split_in.values() for who in names]
    files = {who: list(visible(folders[who], [volunteers], faults)) for who in everyone}
    suffixes = [path.suffix.lower() for whose in files.values() for path in whose]
    if ".mp4" in suffixes and ".wav" not in suffixes:
        raise CorpusError(
            f"{volunteers} holds {suffixes.count('.mp4')} video clips and no .wav file; extract "
            f"their sound:\n  find '{volunteers}' -path '*/straightcam/*.mp4' {_EXTRACT_SOUND}"
        )
    parts = {
        part: [each for who in names for each in _utterances(who, folders[who], files[who], faults)]
        for part, names in split_in.items()
    }
    corpus = corpus_of_files(parts, minutes, on_error, faults, layout, _CREDITS[layout])
    outside = f"in no part of the split {split!r}"
    left_out = [(who, outside) for who in sorted(folders.keys() - set(everyone))]
    return replace(corpus, skipped=(*left_out, *corpus.skipped))


def find_volunteers(root: Path) -> Path:
    """Return the one folder ``volunteers`` of clean speech: ``root``, or a few folders below."""
    if root.name == "volunteers":
        return root
    for depth in range(_MAX_DEPTH + 1):
        found = sorted(root.glob("*/" * depth + "volunteers"))
        clean = [folder for folder in found if folder.parent.name == "Clean"] or found
        if len(clean) > 1:
            listed = ", ".join(map(str, clean))
            raise CorpusError(f"{root} holds several folders of volunteers: name one of {listed}")
        if clean:
            return clean[0]
    raise CorpusError(f"{root} holds no folder 'volunteers' of TCD-TIMIT or NTCD-TIMIT")


def _speaker_folders(volunteers: Path, faults: Faults) -> tuple[str, dict[str, Path]]:
    """Return which of the two corpora this is, and the folder of each speaker's sentences."""
    found = list(visible(volunteers, [volunteers], faults))
    for layout, below in _LAYOUTS.items():
        folders = {each.name: each / below for each in found if (each / below).is_dir()}
        if folders:
            return layout, folders
    expected = " nor ".join(f"SPEAKER/{below.as_posix()}" for below in _LAYOUTS.values())
    raise CorpusError(f"{volunteers} holds neither {expected}")


def _divide(folders: Mapping[str, Path], split: str, faults: Faults) -> dict[str, list[str]]:
    """Return who is in which part; ``faults`` gains who is absent."""
    chosen = dict(SPLITS[split])
    chosen.setdefault("train", frozenset(folders) - chosen["validation"] - chosen["test"])
    for part in PARTS:
        for who in sorted(chosen[part] - folders.keys()):
            faults.append((who, f"speaker {who} of the {part} part of split {split!r} is absent"))
    return {part: sorted(chosen[part] & folders.keys()) for part in PARTS}


def _utterances(who: str, folder: Path, files: Sequence[Path], faults: Faults) -> list[Utterance]:
    sounds = [path for path in files if path.suffix.lower() == ".wav"]
    names = {path.stem for path in sounds}
    for clip in files:
        if clip.suffix.lower() == ".mp4" and clip.stem not in names:
            faults.append((f"{who}/{clip.stem}", f"{clip} has no .wav file beside it"))
    if not sounds:
        faults.append((who, f"{folder} holds no .wav file"))
    return utterances_of(who, folder, sounds, faults)
