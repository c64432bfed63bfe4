"""Which phone is spoken in each frame: as espeak-ng says, or by forced alignment of a transcript.

Alignment needs `pip install sdmvae-lite[bench]`, which brings PocketSphinx and its English model.
Only broad classes of phones are labelled; affricates, taps and vowels that end in a liquid belong
to two, and have no label.
"""

import csv
import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from sdmvae_lite import SAMPLE_RATE, STFTConfig
from sdmvae_lite.speech.corpora import SILENCE, SyntheticSource
from sdmvae_lite.speech.spectra import normalise

CLASSES = ("vowel", "approximant", "nasal", "fricative", "stop")
NO_CLASS = -1
TRIM_SECONDS = 0.02  # a frame sees 64 ms: near the edge of a phone it is half its neighbour's
HOP = STFTConfig().hop_length
ALIGNED_RATE = 100  # frames a second, of PocketSphinx
_IPA = {  # by their first letter
    "vowel": "aɐɑæeəɚɛɜiɪᵻoɒɔuʉʊʌ",
    "approximant": "jlɹrw",
    "nasal": "mnŋ",
    "fricative": "fhsvzðʃʒθ",
    "stop": "bdɡkpt",
}
_ARPABET = {
    "vowel": "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW",
    "approximant": "L R W Y",
    "nasal": "M N NG",
    "fricative": "DH F HH S SH TH V Z ZH",
    "stop": "B D G K P T",
}
_BY_PHONE = {
    phone: number
    for number, name in enumerate(CLASSES)
    for phone in (*_IPA[name], *_ARPABET[name].split())
}
# The default beams lose the path in a third of sentences with an accent.
_BEAMS = {"lm": None, "bestpath": False, "beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80}


def broad_class(phone):
    """The number of a phone's class, in IPA or in the letters of a pronouncing dictionary.

    >>> [broad_class(phone) for phone in ("iː", "ŋ", "tʃ", "əl", "sil", "NG", "SIL")]
    [0, 2, -1, -1, -1, 2, -1]
    """
    if phone in _BY_PHONE or phone == SILENCE or not phone.islower():
        return _BY_PHONE.get(phone, NO_CLASS)
    two = phone[1:] in ("ʃ", "ʒ") or (len(phone) > 1 and phone[-1] in "lɹ")
    return NO_CLASS if two else _BY_PHONE.get(phone[0], NO_CLASS)


def labels(intervals, n_frames, trim=TRIM_SECONDS):
    """The class of each centred frame, (n_frames,), by phones (start, end, name) in seconds."""
    found = np.full(n_frames, NO_CLASS)
    centres = np.arange(n_frames) * HOP / SAMPLE_RATE
    for start, end, phone in intervals:
        found[(centres >= start + trim) & (centres < end - trim)] = broad_class(phone)
    return found


def transcripts(folder):
    """What is said in each utterance, by its id, from the ``utterances.csv`` of a folder."""
    with Path(folder, "utterances.csv").open(encoding="utf-8", newline="") as file:
        return {f"{row['speaker']}/{row['utterance']}": row["text"] for row in csv.DictReader(file)}


def aligner():
    """What takes a waveform and its words to phones (start, end, name) in seconds.

    It returns None where a word is not in the dictionary, or no path through the words is found.
    """
    import pocketsphinx

    pocketsphinx.set_loglevel("FATAL")
    decoder = pocketsphinx.Decoder(samprate=SAMPLE_RATE, frate=ALIGNED_RATE, **_BEAMS)

    def aligned(waveform, text):
        words = re.findall(r"[a-z']+", text.lower())
        if not all(decoder.lookup_word(word) for word in words):
            return None
        samples = (normalise(waveform) * 0.9 * 2**15).astype(np.int16).tobytes()
        decoder.set_align_text(" ".join(words))
        if not (_decoded(decoder, samples) and decoder.hyp()):
            return None
        decoder.set_alignment()
        if not _decoded(decoder, samples):
            return None
        phones = [(one.start, one.name) for one in decoder.get_alignment().phones()]
        ends = pairwise([*phones, (len(waveform) / SAMPLE_RATE * ALIGNED_RATE, "")])
        return [(a / ALIGNED_RATE, b / ALIGNED_RATE, name) for (a, name), (b, _) in ends]

    return aligned


def _decoded(decoder, samples):
    try:
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
    except RuntimeError:
        return False
    return True


def labelled(utterances, folder=None):
    """The class of each frame of each utterance, by id; those that cannot be aligned are left out.

    Labels of synthetic speech are espeak-ng's; of recordings, from the transcripts in ``folder``.
    """
    if isinstance(utterances[0].source, SyntheticSource):
        return {
            each.id: labels(each.source.phonemes(), 1 + len(each.waveform()) // HOP)
            for each in utterances
        }
    said, align = transcripts(folder), aligner()
    found = {}
    for each in utterances:
        waveform = each.waveform()
        if phones := align(waveform, said[each.id]):
            found[each.id] = labels(phones, 1 + len(waveform) // HOP)
    return found


def agreement(utterances):
    """How far alignment agrees with espeak-ng, over the frames of synthetic speech with two labels.

    The share that agrees, before edges are trimmed and after; the share of the largest class; and
    how many frames and utterances there are.
    """
    align, pairs = aligner(), {0.0: [], TRIM_SECONDS: []}
    aligned = 0
    for each in utterances:
        waveform = each.waveform()
        if phones := align(waveform, each.source.text):
            aligned += 1
            for trim, found in pairs.items():
                sides = (each.source.phonemes(), phones)
                two = np.stack([labels(one, 1 + len(waveform) // HOP, trim) for one in sides])
                found.append(two[:, (two != NO_CLASS).all(axis=0)])
    whole, trimmed = (np.concatenate(found, axis=1) for found in pairs.values())
    return {
        "utterances": len(utterances),
        "aligned": aligned,
        "frames": trimmed.shape[1],
        "agree": round(float((trimmed[0] == trimmed[1]).mean()), 4),
        "agree, edges included": round(float((whole[0] == whole[1]).mean()), 4),
        "largest class": round(float(np.bincount(trimmed[0]).max() / trimmed.shape[1]), 4),
    }
