"""The balanced draw of the enhancement benchmark, its scores and the methods it compares with."""

import json
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toc import ROOT

from sdmvae_lite.scoring.metrics import si_sdr

sys.path.insert(0, str(ROOT))
from benchmarks import baselines, enhancement


@pytest.fixture(scope="module")
def powers():
    """A tone that comes and goes, and steady noise: powers of both and of their mixture."""
    rng = np.random.default_rng(0)
    shape = (300, 20)
    noise = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    speech = np.zeros(shape, complex)
    speech[100:130, 4:7] = speech[200:230, 9:12] = 20 * np.exp(2j * np.pi * rng.random((30, 3)))
    return speech, noise, np.abs(speech + noise) ** 2


def improvement(speech, noise, gain):
    """How much nearer to the speech a gain brings the mixture, in dB."""
    error = np.sum(np.abs(gain * (speech + noise) - speech) ** 2)
    return 10 * np.log10(np.sum(np.abs(noise) ** 2) / error)


def test_tracked_noise_is_the_noise_before_and_after_speech(powers):
    _, noise, mixture = powers
    tracked = np.stack(list(baselines.tracked_noise(mixture)))
    for frames in (slice(40, 100), slice(150, 200), slice(250, 300)):
        ratio = tracked[frames].mean() / np.mean(np.abs(noise) ** 2)
        assert abs(10 * np.log10(ratio)) < 2  # the method's own bias is one decibel down


def test_baselines_bring_a_mixture_nearer_to_its_speech_and_no_gain_is_above_one(powers):
    speech, noise, mixture = powers
    s, b = np.abs(speech) ** 2, np.abs(noise) ** 2
    patterns = baselines.speech_patterns(torch.from_numpy(s + 1e-4).float(), rank=3, iterations=60)
    gains = {
        "log-MMSE": baselines.log_mmse(mixture),
        "NMF": baselines.supervised_nmf(mixture, patterns, rank=1),
        "known speech": baselines.known_speech(s, b, rank=2),
        "known powers": baselines.known_powers(s, b),
    }
    found = {name: improvement(speech, noise, gain) for name, gain in gains.items()}
    assert all((gain >= 0).all() and (gain <= 1).all() for gain in gains.values())
    assert min(found.values()) > 6, found


def test_the_spectral_gate_lowers_steady_noise_and_keeps_what_is_short():
    pytest.importorskip("noisereduce")
    rng, time = np.random.default_rng(0), np.arange(8 * 16000) / 16000
    noise = 0.1 * rng.standard_normal(len(time))
    speech = 0.3 * np.sin(2 * np.pi * 440 * time) * (time % 1.5 > 1.2)
    cleaned = baselines.spectral_gate(speech + noise)
    assert cleaned.shape == speech.shape
    quiet = time % 1.5 < 1.1
    assert 0.2 < np.std(cleaned[quiet]) / np.std(noise[quiet]) < 0.4
    assert si_sdr(speech, cleaned) > si_sdr(speech, speech + noise) + 3


def test_interference_and_artefacts_make_up_the_distortion():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((1000, 3)))[0].T
    speech, noise, other = 10 * basis
    parts = enhancement.si_parts(speech, noise, 2 * speech + 0.2 * noise + 0.02 * other)
    assert parts["si_sir"] == pytest.approx(20)
    assert parts["si_sar"] == pytest.approx(40)
    total = -10 * np.log10(10**-2 + 10**-4)
    assert si_sdr(speech, 2 * speech + 0.2 * noise + 0.02 * other) == pytest.approx(total)


def drawn(n_speakers, n_sentences, noises, snrs, monkeypatch, half=False):
    """Mixtures of made-up speakers, whose noise is named and nothing else."""
    monkeypatch.setattr(
        enhancement, "make_noise", lambda kind, seconds, rng, voices: rng.standard_normal(1600)
    )
    waveform = np.random.default_rng(0).standard_normal(1600)
    utterances = [
        SimpleNamespace(speaker=f"s{who}", id=f"s{who}/{number}", waveform=waveform.copy)
        for who in range(n_speakers)
        for number in range(n_sentences + 1)
    ]
    return list(enhancement.mixtures(utterances, n_sentences, noises, snrs, (), half))


@pytest.mark.parametrize("sentences", [2, 4, 8])
def test_every_speaker_meets_every_noise_equally_often(sentences, monkeypatch):
    found = drawn(8, sentences, list("abcdefgh"), (-5.0, 0.0, 5.0, 10.0), monkeypatch)
    assert len(found) == 8 * sentences * 4
    keys = [(key["utterance"].split("/")[0], key["noise"], key["snr"]) for key, *_ in found]
    meetings = {(0, 1): 64, (0, 2): 32, (1, 2): 32} | ({(0, 1, 2): 256} if sentences == 8 else {})
    for places, number in meetings.items():
        counts = Counter(tuple(key[place] for place in places) for key in keys)
        assert len(counts) == number
        assert set(counts.values()) == {len(keys) // number}


def test_a_half_meets_every_noise_and_ratio_equally_often(monkeypatch):
    whole, half = (
        [key for key, *_ in drawn(8, 1, list("abcdefgh"), (-5, 0, 5, 10), monkeypatch, each)]
        for each in (False, True)
    )
    assert all(key in whole for key in half)
    for name, number in (("utterance", 8), ("noise", 8), ("snr", 4)):
        counts = Counter(key[name] for key in half)
        assert len(counts) == number
        assert set(counts.values()) == {16 // number}


def test_a_mixture_has_its_ratio_and_clean_input_has_no_noise(monkeypatch):
    (key, speech, noise, mixture), (of_clean, s, nothing, x) = drawn(
        1, 1, ["a", "b"], (5.0, np.inf), monkeypatch
    )
    np.testing.assert_allclose(speech + noise, mixture)
    ratio = 10 * np.log10(np.sum(speech**2) / np.sum(noise**2))
    assert ratio == pytest.approx(key["snr"], abs=1e-6)
    assert of_clean == {"utterance": "s0/0", "noise": "none", "snr": "clean"}
    np.testing.assert_array_equal(x, s)
    assert not nothing.any()


def made_up(rng, gain=0.0):
    """Scores of two systems, trained three times each, on nine speakers in eight noises."""
    mixtures = {
        "utterance": [f"s{who}/{noise}" for who in range(9) for noise in range(8)],
        "noise": 9 * list("abcdefgh"),
    }
    suits = gain + 0.3 * rng.standard_normal((9, 1)) + 0.5 * rng.standard_normal(8)
    shared, systems = 3 * rng.standard_normal((9, 8)), {}
    for name, of_system in (("one", suits), ("other", 0.0)):
        for seed in range(3):
            trained = 0.2 * rng.standard_normal() + 0.3 * rng.standard_normal((9, 8))
            systems[f"{name}{seed}"] = {"si_sdr": (shared + of_system + trained).ravel().tolist()}
    return {"mixtures": mixtures, "systems": systems}


def test_the_interval_of_a_gain_holds_the_truth_as_often_as_it_says():
    rng, held = np.random.default_rng(0), []
    sides = ["one0", "one1", "one2"], ["other0", "other1", "other2"]
    for _ in range(400):
        found = enhancement.gained(made_up(rng, 0.7), *sides, "si_sdr").interval()
        held.append(found.low <= 0.7 <= found.high)
    assert 0.93 <= np.mean(held) <= 0.99


def test_a_mixture_without_a_score_is_left_out_for_both():
    found = made_up(np.random.default_rng(1))
    one, other = (found["systems"][name]["si_sdr"] for name in ("one0", "other0"))
    one[3] = other[10] = None
    expected = np.mean(
        [a - b for i, (a, b) in enumerate(zip(one, other, strict=True)) if i not in (3, 10)]
    )
    assert enhancement.gained(found, ["one0"], ["other0"], "si_sdr").value == pytest.approx(
        expected
    )


def test_a_record_has_every_result_at_its_mixture():
    def row(system, utterance, value):
        return {"system": system, "utterance": utterance, "noise": "n", "snr": 0.0, "si_sdr": value}

    found = enhancement.record([row("a", "s/1", 1.0), row("a", "s/2", 2.0), row("b", "s/2", 3.0)])
    assert found["mixtures"]["utterance"] == ["s/1", "s/2"]
    assert found["systems"]["a"]["si_sdr"] == [1.0, 2.0]
    assert found["systems"]["b"]["si_sdr"] == [None, 3.0]
    assert found["systems"]["b"]["estoi"] == [None, None]


RECORD = json.loads((ROOT / "results" / "speechocean762-enhancement.json").read_text("utf-8"))


def test_the_published_mixtures_are_those_of_the_draw_and_have_their_ratio():
    mixtures = RECORD["mixtures"]
    spoilt = [place for place, noise in enumerate(mixtures["noise"]) if noise != "none"]
    for place in spoilt:
        reached = RECORD["systems"]["mixture"]["si_sdr"][place]
        assert reached == pytest.approx(mixtures["snr"][place], abs=1)
    speakers = [mixtures["utterance"][place].split("/")[0] for place in spoilt]
    cells = Counter(zip(speakers, (mixtures["noise"][place] for place in spoilt), strict=True))
    assert len(cells) == 72
    assert len(set(cells.values())) == 1


def test_published_results_are_whole():
    number = len(RECORD["mixtures"]["utterance"])
    for system, held in RECORD["systems"].items():
        assert held.keys() == set(enhancement.MEASURES), system
        assert {len(values) for values in held.values()} == {number}, system
        ran = [place for place, value in enumerate(held["rtf"]) if value is not None]
        assert ran, system
        assert all(held["estoi"][place] is not None for place in ran), system
