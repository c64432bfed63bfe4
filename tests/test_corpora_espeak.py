"""espeak-ng through its shared library: the same words always sound the same."""

import builtins
import ctypes
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sdmvae_lite.speech.corpora import espeak
from sdmvae_lite.speech.corpora.espeak import EspeakError, speak

HELLO = ("Good morning, and where is the copper kettle?", "en-gb-scotland", "f2")


@pytest.fixture
def hello():
    return speak(*HELLO)


def same(one, other):
    return np.array_equal(one.samples, other.samples) and one[1:] == other[1:]


def test_what_is_spoken(hello):
    assert hello.rate == 22_050
    assert hello.samples.dtype == np.int16
    assert 1.5 < len(hello.samples) / hello.rate < 4
    assert 1000 < np.abs(hello.samples.astype(int)).max() < 32_000


def test_phonemes_are_in_order_and_in_ipa(hello):
    positions = [position for position, _ in hello.phonemes]
    assert positions == sorted(positions)
    assert 0 <= positions[0] <= positions[-1] <= len(hello.samples)
    assert "".join(symbol for _, symbol in hello.phonemes).startswith("ɡʉdmɔrnɪŋand")
    assert not any(set(symbol) & set("ˈˌ:") for _, symbol in hello.phonemes)


def test_pitch_and_rate_are_obeyed(hello):
    assert len(speak(*HELLO, rate=120).samples) > 1.2 * len(hello.samples)
    assert not np.array_equal(speak(*HELLO, pitch=70).samples[:5000], hello.samples[:5000])


def test_nothing_that_was_spoken_before_is_heard(hello):
    for variant in ("m1", "Alicia", "f5", "m7"):
        speak("Something else, rather longer, to leave a trace behind.", "en-us", variant, 30, 140)
        assert same(speak(*HELLO), hello)


def test_another_user_of_the_library_is_not_heard(hello):
    import espeakng_loader

    data = espeakng_loader.get_data_path().encode()
    other = ctypes.CDLL(espeakng_loader.get_library_path())
    other.espeak_Initialize(2, 0, data, 0)
    try:
        assert same(speak(*HELLO), hello)
    finally:
        other.espeak_Terminate()
        espeak._unload(other._handle)


def test_threads_do_not_disturb_each_other(hello):
    with ThreadPoolExecutor(4) as pool:
        for speech in pool.map(lambda _: speak(*HELLO), range(12)):
            assert same(speech, hello)


def test_a_system_that_keeps_libraries_loaded_is_warned_of_once(monkeypatch):
    espeak._warn_once.cache_clear()
    monkeypatch.setattr(espeak, "_is_fresh", lambda library: False)
    with pytest.warns(RuntimeWarning, match="does not unload libraries"):
        speak(*HELLO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        speak(*HELLO)


@pytest.mark.parametrize(("accent", "variant"), [("en-xx", "f2"), ("en-us", "nobody")])
def test_an_unknown_voice_is_named(accent, variant):
    with pytest.raises(EspeakError, match=f"'{accent}' with a variant '{variant}'"):
        speak("Hello.", accent, variant)


@pytest.mark.parametrize("text", ["", "   ", "…"])
def test_nothing_to_say_is_an_error(text):
    with pytest.raises(EspeakError, match=f"made no speech of '{text}'"):
        speak(text, "en-us", "f2")


def test_a_library_that_cannot_be_loaded_names_its_package(monkeypatch, tmp_path):
    import espeakng_loader

    broken = tmp_path / "libespeak-ng.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(broken))
    with pytest.raises(EspeakError, match=r"cannot be loaded .*espeakng-loader"):
        speak(*HELLO)


def test_data_that_cannot_be_read_are_named(monkeypatch, tmp_path):
    import espeakng_loader

    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(EspeakError, match=rf"its data in {tmp_path}.*espeakng-loader"):
        speak(*HELLO)


def test_data_that_lie_too_deep_are_said_to(monkeypatch, tmp_path):
    import espeakng_loader

    link = tmp_path.joinpath(*["folder" * 4] * 8, "espeak-ng-data")
    link.parent.mkdir(parents=True)
    link.symlink_to(espeakng_loader.get_data_path())
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(link))
    with pytest.raises(EspeakError, match="takes no path of 160 bytes or more"):
        speak(*HELLO)


def test_an_absent_package_is_named(monkeypatch):
    def without(name, *arguments, **options):
        if name == "espeakng_loader":
            raise ImportError(name)
        return imported(name, *arguments, **options)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EspeakError, match="pip install espeakng-loader"):
        speak(*HELLO)
