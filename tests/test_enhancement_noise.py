import numpy as np
import pytest
from recordings import recording, write
from scipy.signal import welch

from sdmvae_lite import load_corpus
from sdmvae_lite.enhancement.noise import KINDS, make_noise, mix
from sdmvae_lite.speech.corpora import Utterance
from sdmvae_lite.speech.corpora.audio import AudioFile


@pytest.fixture(scope="module")
def voices():
    return load_corpus("synthetic", minutes=2).train


def rng(seed=0):
    return np.random.default_rng(seed)


def spectrum(waveform):
    """Long-term power (Hz, power), by another estimator than the package's."""
    return welch(waveform, 16_000, nperseg=1024)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_as_long_and_strong_as_asked_and_drawn_anew(voices, kind):
    noise = make_noise(kind, 2.5, rng(), voices)
    assert noise.shape == (40_000,)
    assert np.mean(noise**2) == pytest.approx(1)
    np.testing.assert_array_equal(make_noise(kind, 2.5, rng(), voices), noise)
    assert np.abs(make_noise(kind, 2.5, rng(1), voices) - noise).max() > 0.1


def test_pink_noise_falls_by_three_decibels_an_octave():
    frequency, power = spectrum(make_noise("pink", 60, rng()))
    octaves = [power[(frequency >= f) & (frequency < 2 * f)].mean() for f in (250, 500, 1000, 2000)]
    np.testing.assert_allclose(-10 * np.diff(np.log10(octaves)), 3.01, atol=0.4)


def test_a_hum_stands_in_a_few_lines():
    noise = make_noise("hum", 4, rng())
    power = np.sort(np.abs(np.fft.rfft(noise * np.hanning(len(noise)))) ** 2)[::-1]
    assert power[:60].sum() > 0.97 * power.sum()


def test_speech_shaped_noise_has_the_spectrum_of_the_voices_and_no_syllables(voices):
    noise, babble = (make_noise(kind, 20, rng(), voices) for kind in ("speech-shaped", "babble"))
    levels = [10 * np.log10(spectrum(each)[1][4:400]) for each in (noise, babble)]
    assert np.corrcoef(*levels)[0, 1] > 0.95
    assert np.abs(levels[0] - levels[1]).mean() < 3
    swing = [np.std((each.reshape(-1, 1600) ** 2).mean(axis=1)) for each in (noise, babble)]
    assert swing[1] > 1.5 * swing[0]


def test_a_babble_is_of_eight_speakers(voices):
    few = [each for each in voices if each.speaker in {v.speaker for v in voices[:7]}]
    with pytest.raises(ValueError, match="8 voices need as many speakers, not 7"):
        make_noise("babble", 1, rng(), few)


def test_a_file_or_a_folder_is_noise_too(tmp_path):
    path = write(tmp_path / "a" / "one.wav", recording(1.0, seed=1), subtype="FLOAT")
    sound = AudioFile(path).read()
    noise = make_noise(path, 0.5, rng())
    scaled = noise * np.sqrt(np.mean(sound**2))
    lags = [np.abs(sound[i : i + 8000] / noise - sound[i] / noise[0]).max() for i in range(8001)]
    assert min(lags) < 1e-3 * np.abs(scaled).max()
    long = make_noise(path, 2.5, rng())
    np.testing.assert_allclose(long[16_000:], long[:-16_000])  # gone round
    write(tmp_path / "a" / "two.flac", recording(1.0, seed=2))
    drawn = {make_noise(tmp_path / "a", 0.5, rng(seed))[0] > 0 for seed in range(9)}
    assert drawn == {True, False}


def test_noise_that_cannot_be_made_is_refused(tmp_path, voices):
    with pytest.raises(ValueError, match="unknown noise 'rain', and no such path: choose one of"):
        make_noise("rain", 1, rng())
    with pytest.raises(ValueError, match="holds no sound"):
        make_noise(tmp_path, 1, rng())
    with pytest.raises(ValueError, match="cannot last 0 s"):
        make_noise("pink", 0, rng())
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"broken\.wav"):
        make_noise(tmp_path, 1, rng())
    late = np.zeros(16_000)
    late[-1] = 0.5
    with pytest.raises(ValueError, match="is silent"):
        make_noise(write(tmp_path / "late.wav", late), 0.1, rng())


@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0])
def test_a_mixture_has_the_ratio_of_powers_that_was_asked_for(snr):
    speech, noise = rng(0).standard_normal(2000), 7 * rng(1).standard_normal(2000)
    added = mix(speech, noise, snr) - speech
    assert 10 * np.log10(np.sum(speech**2) / np.sum(added**2)) == pytest.approx(snr)
    np.testing.assert_allclose(added / added[0], noise / noise[0])


def test_what_cannot_be_mixed_is_refused():
    with pytest.raises(ValueError, match="equal length"):
        mix(np.ones(3), np.ones(4), 0.0)
    with pytest.raises(ValueError, match="silent"):
        mix(np.ones(3), np.zeros(3), 0.0)


def test_voices_are_utterances_of_any_corpus(tmp_path):
    voices = [
        Utterance(f"s{i}", "u", AudioFile(write(tmp_path / f"{i}.wav", recording(0.3, seed=i))))
        for i in range(8)
    ]
    assert make_noise("babble", 1.0, rng(), voices).shape == (16_000,)
