"""Audio files: what is read, what is converted, and what is refused."""

import errno
import os
import pickle
import re
import warnings

import numpy as np
import pytest
from recordings import mode, public_folder, recording, write

from sdmvae_lite.speech.corpora import CorpusError
from sdmvae_lite.speech.corpora.audio import AudioFile, warn_of_conversion


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
def test_pcm_files_are_read_as_they_are(tmp_path, suffix):
    samples = recording()
    file = AudioFile(write(tmp_path / f"a{suffix}", samples, format=suffix[1:].upper()))
    waveform = file.read()
    assert waveform.dtype == np.float32
    assert waveform.shape == (8000,)
    np.testing.assert_allclose(waveform, samples[:, 0], atol=2**-15)
    assert file.seconds == 0.5


def test_ogg_is_read(tmp_path):
    waveform = AudioFile(write(tmp_path / "a.ogg")).read()
    assert waveform.shape == (8000,)
    assert 0.2 < np.abs(waveform).max() <= 1


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_to_16_khz(tmp_path, rate):
    waveform = AudioFile(write(tmp_path / "a.wav", recording(1.0, rate), rate)).read()
    assert waveform.dtype == np.float32
    assert len(waveform) == 16_000
    middle = slice(2000, 14_000)
    hum = 0.3 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)
    assert np.corrcoef(waveform[middle], hum[middle])[0, 1] > 0.99


def test_channels_are_averaged(tmp_path):
    samples = recording(channels=2)
    samples[:, 1] *= 0.5
    waveform = AudioFile(write(tmp_path / "a.wav", samples, subtype="FLOAT")).read()
    np.testing.assert_allclose(waveform, samples.mean(axis=1), atol=1e-7)


def test_the_level_is_left_alone(tmp_path):
    quiet = 0.01 * recording()
    waveform = AudioFile(write(tmp_path / "a.wav", quiet, subtype="FLOAT")).read()
    np.testing.assert_array_equal(waveform, quiet[:, 0])


def test_a_small_overshoot_is_clipped(tmp_path):
    samples = recording()
    samples[100] = 1.2
    waveform = AudioFile(write(tmp_path / "a.wav", samples, subtype="FLOAT")).read()
    assert waveform[100] == 1.0


def spoilt(value):
    samples = recording()
    samples[100] = value
    return samples


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(8000), "is silent"),
        (np.full(8000, 0.5), "is silent"),
        (spoilt(np.nan), "NaN or infinite"),
        (spoilt(-np.inf), "NaN or infinite"),
        (spoilt(20_000.0), "samples up to 2e\\+04, where full scale is 1"),
        (recording(0.063), "lasts 63 ms, less than one window of 64 ms"),
        (np.zeros((0, 1)), "lasts 0 ms"),
    ],
)
def test_unusable_samples_are_refused_by_name(tmp_path, samples, message):
    file = AudioFile(write(tmp_path / "bad.wav", samples, subtype="FLOAT"))
    for use in (file.check, file.read):
        with pytest.raises(CorpusError, match=rf"bad\.wav .*{message}"):
            use()


@pytest.mark.parametrize("rate", [1, 3_999, 384_001, 2_000_000_000])
def test_a_rate_that_no_recorder_has_is_refused_by_name(tmp_path, rate):
    file = AudioFile(write(tmp_path / "bad.wav", recording(), rate))
    for use in (file.check, file.read):
        with pytest.raises(CorpusError, match=rf"bad\.wav says it has {rate} samples a second"):
            use()


def test_a_rate_that_becomes_implausible_is_refused(tmp_path):
    file = AudioFile(write(tmp_path / "bad.wav"))
    file.check()
    write(file.path, rate=1)
    with pytest.raises(CorpusError, match=r"bad\.wav says it has 1 samples a second"):
        file.read()


def test_channels_that_cancel_each_other_are_not_called_silent(tmp_path):
    samples = recording()
    file = AudioFile(write(tmp_path / "a.wav", np.hstack([samples, -samples])))
    with pytest.raises(CorpusError, match=r"a\.wav has channels that cancel .* keep one of them"):
        file.check()


def test_what_the_system_says_is_passed_on(tmp_path):
    circle = tmp_path / "circle.wav"
    circle.symlink_to(circle)
    for path, number in ((circle, errno.ELOOP), (tmp_path, errno.EISDIR)):
        reason = re.escape(os.strerror(number))
        with pytest.raises(CorpusError, match=rf"{path} cannot be read as audio .{reason}"):
            AudioFile(path).check()


def test_a_file_that_may_not_be_read_says_so():
    with public_folder() as folder:
        path = write(folder / "private.wav")
        with (
            mode(path, 0o000),
            pytest.raises(CorpusError, match=r"private\.wav cannot be read .* .Permission denied"),
        ):
            AudioFile(path).check()


def test_a_window_is_long_enough_at_any_rate(tmp_path):
    for rate in (8_000, 16_000, 48_000):
        AudioFile(write(tmp_path / f"{rate}.wav", recording(0.064, rate), rate)).check()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
@pytest.mark.parametrize("kept", [0.97, 0.5, 0.05])
def test_files_cut_short_are_refused(tmp_path, suffix, kept):
    path = write(tmp_path / f"cut{suffix}", recording(2.0))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(CorpusError, match=rf"cut\{suffix} "):
        AudioFile(path).check()


def test_a_file_damaged_inside_is_refused(tmp_path):
    path = write(tmp_path / "damaged.flac", recording(2.0))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"damaged\.flac is damaged"):
        AudioFile(path).check()


def test_a_flac_of_a_program_that_wrote_to_a_pipe_is_refused_by_name(tmp_path):
    path = write(tmp_path / "a.flac")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the number of samples, 36 bits of the first block: not known
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"a\.flac does not say how long it is"):
        AudioFile(path).read()


def test_a_wav_of_a_program_that_wrote_to_a_pipe_is_read(tmp_path):
    path = write(tmp_path / "piped.wav")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4  # sizes that were not known when written
    path.write_bytes(content)
    assert len(AudioFile(path).read()) == 8000


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 100])
def test_what_is_not_audio_is_refused(tmp_path, content):
    path = tmp_path / "notes.wav"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"notes\.wav cannot be read as audio"):
        AudioFile(path).check()


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"gone\.wav cannot be read"):
        AudioFile(tmp_path / "gone.wav").check()


def test_conversion_is_said_once(tmp_path):
    files = [AudioFile(write(tmp_path / f"{i}.wav", recording(rate=48_000), 48_000)) for i in "ab"]
    files.append(AudioFile(write(tmp_path / "c.wav", recording(rate=8_000, channels=2), 8_000)))
    files.append(AudioFile(write(tmp_path / "d.wav")))
    with pytest.warns(UserWarning, match="are resampled") as said:
        warn_of_conversion(files)
    assert [str(warning.message) for warning in said] == [
        "3 of 4 files (8000 Hz, 48000 Hz) are resampled to 16 kHz; "
        "the channels of 1 of 4 files are averaged"
    ]


def test_nothing_is_said_where_nothing_is_converted(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_conversion([AudioFile(write(tmp_path / "a.wav"))])


def test_the_fingerprint_follows_the_content(tmp_path):
    samples = recording()
    first = AudioFile(write(tmp_path / "a.wav", samples)).fingerprint()
    assert AudioFile(write(tmp_path / "b.wav", samples)).fingerprint() == first
    assert AudioFile(write(tmp_path / "c.wav", samples * 0.9)).fingerprint() != first


def test_it_travels_to_another_process(tmp_path):
    file = AudioFile(write(tmp_path / "a.wav"))
    file.check()
    copy = pickle.loads(pickle.dumps(file))
    assert copy == file
    np.testing.assert_array_equal(copy.read(), file.read())
