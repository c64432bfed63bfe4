"""The balanced draw of the enhancement benchmark, its scores and the methods it compares with."""

import sys
from collections import Counter

import numpy as np
import pytest
import torch
from toc import ROOT

from sdmvae_lite import load_corpus
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


def test_interference_and_artefacts_make_up_the_distortion():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((1000, 3)))[0].T
    speech, noise, other = 10 * basis
    parts = enhancement.si_parts(speech, noise, 2 * speech + 0.2 * noise + 0.02 * other)
    assert parts["si_sir"] == pytest.approx(20)
    assert parts["si_sar"] == pytest.approx(40)
    total = -10 * np.log10(10**-2 + 10**-4)
    assert si_sdr(speech, 2 * speech + 0.2 * noise + 0.02 * other) == pytest.approx(total)


def test_every_speaker_meets_every_noise_and_ratio_equally_often():
    corpus = load_corpus("synthetic", minutes=6)
    speakers = corpus.speakers("test")[:2]
    utterances = [each for each in corpus.test if each.speaker in speakers]
    each = [[u for u in utterances if u.speaker == speaker][:2] for speaker in speakers]
    chosen = [u for pair in zip(*each, strict=True) for u in pair]
    drawn = list(enhancement.mixtures(chosen, ["pink", "hum"], (0.0, 5.0), corpus.train))
    assert len(drawn) == 8
    counts = Counter((key["noise"], key["snr"]) for key, *_ in drawn)
    assert set(counts.values()) == {2}
    by_speaker = Counter((key["utterance"].split("/")[0], key["noise"]) for key, *_ in drawn)
    assert set(by_speaker.values()) == {2}
    key, speech, noise, mixture = drawn[0]
    np.testing.assert_allclose(speech + noise, mixture)
    ratio = 10 * np.log10(np.sum(speech**2) / np.sum(noise**2))
    assert ratio == pytest.approx(key["snr"], abs=1e-6)
