import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import ShortTimeFFT

from sdmvae_lite.config import STFTConfig
from sdmvae_lite.speech.corpora import load_corpus
from sdmvae_lite.speech.spectra import (
    TRIM_DB,
    istft,
    normalise,
    power_and_phase,
    sine_window,
    stft,
    training_frames,
    trim,
)

CONFIG = STFTConfig()


def noise(length, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, length)


@st.composite
def waveforms(draw):
    """Stretches of noise, each at its own level in dB, many near `TRIM_DB`, normalised."""
    decibels = st.floats(-80, 0) | st.floats(-TRIM_DB - 0.5, -TRIM_DB + 0.5)
    stretch = st.tuples(st.integers(1, 6000), decibels)
    stretches = draw(st.lists(stretch, min_size=1, max_size=8))
    levels = np.concatenate([np.full(length, 10 ** (level / 20)) for length, level in stretches])
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return normalise(levels * noise(len(levels), draw(st.integers(0, 100)))).astype(dtype)


@pytest.fixture(scope="module")
def spoken():
    """A few utterances of the synthetic corpus."""
    return [utterance.waveform() for utterance in load_corpus("synthetic", minutes=0.7).train]


def librosa_frames(waveform, config=CONFIG):
    """`training_frames`, by librosa alone."""
    waveform = waveform / np.abs(waveform).max()
    trimmed, _ = librosa.effects.trim(waveform, top_db=TRIM_DB)
    kept = trimmed if len(trimmed) >= config.window_length else waveform
    spectrum = librosa.stft(
        kept,
        n_fft=config.window_length,
        hop_length=config.hop_length,
        window=sine_window(config.window_length),
        pad_mode="constant",
    )
    return np.abs(spectrum.T) ** 2


def assert_frames_are_librosas(waveform, config=CONFIG):
    expected = librosa_frames(waveform, config)
    frames = training_frames(waveform, config)
    assert frames.shape == expected.shape
    assert np.abs(frames - expected).max() <= 1e-5 * expected.max()


@given(length=st.integers(1024, 20_000), seed=st.integers(0, 100))
def test_reconstruction_is_perfect_for_any_length(length, seed):
    waveform = noise(length, seed)
    assert np.abs(istft(stft(waveform), length) - waveform).max() < 1e-12
    single = waveform.astype(np.float32)
    assert np.abs(istft(stft(single), length) - single).max() < 1e-6


@pytest.mark.parametrize(("window", "hop"), [(512, 128), (512, 256), (1024, 512), (1024, 100)])
def test_reconstruction_is_perfect_for_other_settings(window, hop):
    config, waveform = STFTConfig(window, hop), noise(5000)
    assert np.abs(istft(stft(waveform, config), 5000, config) - waveform).max() < 1e-12


def test_the_stft_is_scipys():
    waveform = noise(8000)
    reference = ShortTimeFFT(sine_window(1024), hop=256, fs=1, mfft=1024, phase_shift=None)
    expected = reference.stft(waveform, p0=0, p1=1 + 8000 // 256).T
    np.testing.assert_allclose(stft(waveform), expected, atol=1e-10)


def test_a_frame_is_a_windowed_fourier_sum():
    """Frame 5, bin 7, from the definition."""
    waveform = noise(8000)
    samples = waveform[5 * 256 - 512 : 5 * 256 + 512]
    n = np.arange(1024)
    window = np.sin(np.pi * (n + 0.5) / 1024)
    expected = np.sum(window * samples * np.exp(-2j * np.pi * 7 * n / 1024))
    assert stft(waveform)[5, 7] == pytest.approx(expected)


def test_the_shape_and_the_settings_cannot_drift():
    """A fixed waveform has a fixed spectrogram."""
    spectrum = stft(np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000))
    power, _ = power_and_phase(spectrum)
    assert power.shape == (1 + 16_000 // 256, 513)
    assert power[30].argmax() == 64  # 1 kHz in bins of 15.625 Hz
    assert power[30, 64] == pytest.approx((sine_window(1024).sum() / 2) ** 2, rel=1e-3)
    assert power[30].sum() == pytest.approx(131_072, rel=1e-3)  # Parseval: 1024 * 512 / 4


def test_power_and_phase_put_the_spectrum_together_again():
    spectrum = stft(noise(5000))
    spectrum[3] = 0
    power, phase = power_and_phase(spectrum)
    np.testing.assert_allclose(np.sqrt(power) * phase, spectrum, atol=1e-12)
    np.testing.assert_allclose(np.abs(phase), 1)


def test_normalised_waveforms_peak_at_one_whatever_the_sign():
    assert np.abs(normalise(0.01 * noise(2000))).max() == 1
    np.testing.assert_allclose(normalise(np.array([-0.5, 0.25])), [-1, 0.5])
    loudest = np.array([-(2**15), 2**14], dtype=np.int16)
    np.testing.assert_allclose(normalise(loudest), [-1, 0.5])
    with pytest.raises(ValueError, match="silent"):
        normalise(np.zeros(2000))


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32])
@pytest.mark.parametrize("transform", [stft, training_frames, normalise])
def test_integer_samples_are_the_waveform_that_they_stand_for(kind, transform):
    whole = np.round(100 * noise(4000)).astype(kind)
    np.testing.assert_allclose(transform(whole), transform(whole.astype(np.float32)))
    assert transform(whole).dtype == transform(whole.astype(np.float32)).dtype


@pytest.mark.parametrize("transform", [stft, training_frames, normalise])
def test_a_list_is_a_waveform(transform):
    waveform = noise(2000)
    np.testing.assert_array_equal(transform(waveform.tolist()), transform(waveform))


@pytest.mark.parametrize("transform", [stft, training_frames, normalise])
@pytest.mark.parametrize("kind", [np.uint8, bool, complex, str])
def test_samples_that_are_no_waveform_are_refused_by_their_type(kind, transform):
    waveform = (100 + 100 * noise(4000)).astype(np.uint8).astype(kind)
    with pytest.raises(ValueError, match=f"not {waveform.dtype}: read the file as float"):
        transform(waveform)


def test_quiet_ends_are_trimmed_and_a_quiet_middle_stays():
    quiet, loud = 0.001 * noise(16_000, 1), noise(16_000, 2)
    waveform = np.concatenate([quiet, loud, quiet, loud, quiet])
    assert len(trim(waveform)) == pytest.approx(48_000, abs=2 * 2048)


@given(waveforms())
def test_trimming_cuts_where_librosa_does(waveform):
    np.testing.assert_array_equal(trim(waveform), librosa.effects.trim(waveform, top_db=TRIM_DB)[0])


def test_trimming_cuts_speech_where_librosa_does(spoken):
    for waveform in map(normalise, spoken):
        trimmed = trim(waveform)
        expected, _ = librosa.effects.trim(waveform, top_db=TRIM_DB)
        assert len(trimmed) < len(waveform)
        np.testing.assert_array_equal(trimmed, expected)


@given(waveforms().filter(lambda waveform: len(waveform) >= 1024))
def test_training_frames_are_librosas_to_1e_5_of_the_largest(waveform):
    assert_frames_are_librosas(waveform)


@pytest.mark.parametrize("config", [CONFIG, STFTConfig(512, 100)])
def test_training_frames_of_speech_are_librosas_to_1e_5_of_the_largest(spoken, config):
    for waveform in spoken:
        assert_frames_are_librosas(waveform, config)


def test_training_frames_are_normalised_trimmed_power_spectra():
    quiet = 1e-4 * noise(8000, 1)
    speech = 0.3 * noise(16_000, 2)
    frames = training_frames(np.concatenate([quiet, speech, quiet]))
    assert frames.dtype == np.float32
    assert frames.flags.c_contiguous
    assert frames.shape[1] == 513
    assert len(frames) < 1 + 32_000 // 256 - 40
    louder = training_frames(3 * np.concatenate([quiet, speech, quiet]))
    np.testing.assert_allclose(frames, louder, rtol=1e-4)


def test_an_utterance_whose_trimmed_part_is_too_short_is_kept_whole():
    click = 1e-5 * noise(4000)
    click[2000] = 1
    assert len(training_frames(click.astype(np.float32))) >= 1 + 1024 // 256


def test_what_cannot_be_transformed_is_refused():
    with pytest.raises(ValueError, match="1023 samples, less than a window of 1024"):
        stft(noise(1023))
    with pytest.raises(ValueError, match="one dimension, not 2"):
        stft(np.ones((2, 4000)))


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (noise(1023), "1023 samples, less than a window of 1024"),
        (np.ones((2, 4000)), "one dimension, not 2"),
        (np.zeros(4000), "silent"),
        (np.append(noise(4000), np.nan), "NaN or infinite"),
        (np.append(noise(4000), -np.inf), "NaN or infinite"),
    ],
)
def test_training_frames_are_made_of_sound_alone(waveform, message):
    with pytest.raises(ValueError, match=message):
        training_frames(waveform)
