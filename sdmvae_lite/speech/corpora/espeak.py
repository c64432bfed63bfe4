"""espeak-ng, driven in memory through its shared library, which ``espeakng-loader`` brings.

espeak-ng is GPLv3: it is loaded at run time, never linked. Constants are its ``speak_lib.h``'s.
"""

from __future__ import annotations

import _ctypes
import atexit
import ctypes
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int
from functools import cache
from typing import NamedTuple

import numpy as np

_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: return when the synthesis is complete
_BUFFER_MS = 200  # of sound handed over at a time
_LONGEST_PATH = 160  # bytes, from here on espeak-ng takes none
_PHONEMES_IN_IPA = 0x1 | 0x2  # give phoneme events, and their symbols in IPA
_DONT_EXIT = 0x8000  # report missing data to the caller rather than end the process
_RATE, _VOLUME, _PITCH = 1, 2, 3  # espeak_PARAMETER
_LIST_END, _PHONEME = 0, 7  # espeak_EVENT_TYPE
_UTF8 = 1
_STRESS = "ˈˌ"
_VOLUME_VALUE = 35  # per cent; at espeak's 100 its gain control distorts the louder voices
_BREATH_SEED = 1  # of the noise in a breathy voice
_unload = getattr(_ctypes, "dlclose" if hasattr(_ctypes, "dlclose") else "FreeLibrary")
_lock = threading.Lock()  # the library is not thread-safe
_warn_once = cache(warnings.warn)


class EspeakError(RuntimeError):
    """espeak-ng cannot be loaded, or does not have what was asked of it."""


class Speech(NamedTuple):
    """What espeak-ng made of a text."""

    samples: np.ndarray  # int16 (n_samples,)
    rate: int  # samples a second
    phonemes: tuple[tuple[int, str], ...]  # (first sample, IPA symbol), "" being a pause


class _Event(ctypes.Structure):
    _fields_ = (
        *((name, c_int) for name in ("type", "message", "text_position", "length")),
        *((name, c_int) for name in ("audio_position", "sample")),
        ("user_data", ctypes.c_void_p),
        ("symbol", ctypes.c_char * 8),  # of a union, the member that phonemes have
    )


_SynthCallback = ctypes.CFUNCTYPE(c_int, POINTER(ctypes.c_short), c_int, POINTER(_Event))
_Voice = c_char_p * 3  # name, languages and identifier: its first fields, in the library's memory


def speak(text: str, accent: str, variant: str, pitch: int = 50, rate: int = 175) -> Speech:
    """Return ``text`` spoken: the same samples each time, whatever was spoken before.

    Raises `EspeakError` if library, data or voice cannot be loaded, or nothing is said.

    Args:
        accent: one of espeak-ng's English voices, such as ``en-us`` or ``en-gb-scotland``.
        variant: one of its voice variants (``!v/``), such as ``f2``.
        pitch: 0 to 100; 50 is the variant's own, and every 50 more are an octave up.
        rate: words a minute, 80 to 450.

    >>> speech = speak("Good morning!", "en-us", "m3")
    >>> speech.rate, [symbol for _, symbol in speech.phonemes][:3]
    (22050, ['ɡ', 'ʊ', 'd'])
    """
    with _lock, _fresh_library() as library:
        sample_rate = _initialise(library)
        _set_voice(library, accent, variant)
        for parameter, value in ((_RATE, rate), (_VOLUME, _VOLUME_VALUE), (_PITCH, pitch)):
            library.espeak_SetParameter(parameter, value, 0)
        library.espeak_ng_SetRandSeed(ctypes.c_long(_BREATH_SEED))
        return _synthesise(library, text, sample_rate)


@cache
def version() -> str:
    """Return the version of espeak-ng, such as ``1.52.0``; raises as `speak` does."""
    with _lock, _fresh_library() as library:
        library.espeak_Info.restype = c_char_p
        return library.espeak_Info(None).decode().split()[0]


def _initialise(library: ctypes.CDLL) -> int:
    """Let espeak-ng read its data, and return its sample rate in Hz."""
    data = _loader().get_data_path()
    options = _PHONEMES_IN_IPA | _DONT_EXIT
    sample_rate = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data.encode(), options)
    if sample_rate > 0:
        return sample_rate
    if len(data.encode()) < _LONGEST_PATH:
        raise EspeakError(f"espeak-ng cannot read its data in {data}: reinstall espeakng-loader")
    limit = f"espeak-ng takes no path of {_LONGEST_PATH} bytes or more, and its data is in {data}"
    raise EspeakError(f"{limit}: put the environment into a folder nearer to the root")


def _set_voice(library: ctypes.CDLL, accent: str, variant: str) -> None:
    """Choose the voice; an unknown variant is an error, where espeak-ng would leave it out."""
    status = library.espeak_SetVoiceByName(f"{accent}+{variant}".encode())
    library.espeak_GetCurrentVoice.restype = POINTER(_Voice)
    voice = library.espeak_GetCurrentVoice()
    identifier = voice[0][2] if status == 0 and voice else None
    if not identifier or not identifier.endswith(f"+{variant}".encode()):
        raise EspeakError(f"espeak-ng has no voice {accent!r} with a variant {variant!r}")


def _synthesise(library: ctypes.CDLL, text: str, sample_rate: int) -> Speech:
    blocks: list[np.ndarray] = []
    phonemes: list[tuple[int, str]] = []

    @_SynthCallback
    def receive(samples, n_samples, events):
        if samples and n_samples:
            blocks.append(np.ctypeslib.as_array(samples, (n_samples,)).copy())
        i = 0
        while events[i].type != _LIST_END:
            if events[i].type == _PHONEME:
                # Eight bytes at most: a longer symbol may be cut within a character.
                symbol = events[i].symbol.decode("utf-8", errors="ignore")
                phonemes.append((events[i].sample, symbol.strip(_STRESS).replace(":", "ː")))
            i += 1
        return 0  # go on

    library.espeak_SetSynthCallback(receive)
    encoded = text.encode()
    size = ctypes.c_size_t(len(encoded) + 1)
    status = library.espeak_Synth(encoded, size, 0, 0, 0, _UTF8, None, None)
    if status != 0 or not any(symbol for _, symbol in phonemes):
        raise EspeakError(f"espeak-ng made no speech of {text!r} (status {status})")
    return Speech(np.concatenate(blocks), sample_rate, tuple(phonemes))


@contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    """Load the library as it is before its first use, in about 3 ms, and unload it afterwards.

    From one utterance to the next it keeps the phase of its pitch flutter, its count of glottal
    cycles, and the state of its gain control and noise, and offers no way to set them.
    """
    library = _load(_loader().get_library_path())
    if not _is_fresh(library):  # someone else in this process uses it: take a copy of our own
        _unload(library._handle)
        library = _load(_private_copy())
    if not _is_fresh(library):
        what = "this system does not unload libraries: synthetic speech may differ in detail"
        _warn_once(what, RuntimeWarning)
    try:
        yield library
    finally:
        library.espeak_Terminate()
        _unload(library._handle)


def _is_fresh(library: ctypes.CDLL) -> bool:
    """Whether it was never initialised: its speaking rate, 80 or more later, is still 0."""
    return library.espeak_GetParameter(_RATE, 1) == 0


def _load(path: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        remedy = "reinstall the package espeakng-loader, or name another corpus than 'synthetic'"
        raise EspeakError(f"espeak-ng cannot be loaded ({error}): {remedy}") from error


def _loader():
    try:
        import espeakng_loader
    except ImportError as error:
        raise EspeakError(
            "synthetic speech needs espeak-ng: pip install espeakng-loader"
        ) from error
    return espeakng_loader


@cache
def _private_copy() -> str:
    """Copy the library, for this process alone and removed when it ends; return its path."""
    folder = tempfile.TemporaryDirectory(prefix="sdmvae-espeak-")
    atexit.register(folder.cleanup)
    return shutil.copy(_loader().get_library_path(), folder.name)
