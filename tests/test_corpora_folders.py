"""Folders of one's own speech."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import recording, write, write_speakers

from sdmvae_lite.speech.corpora import PARTS, CorpusError, load_corpus
from sdmvae_lite.speech.corpora.corpus import SHARES
from sdmvae_lite.speech.corpora.folders import split_speakers

SIX = [f"p{i}" for i in range(6)]


@pytest.fixture
def six(tmp_path):
    return write_speakers(tmp_path / "six", SIX)


@given(st.sets(st.text("abcdefgh0123", min_size=1), min_size=3, max_size=120), st.integers())
def test_a_split_is_a_partition_near_39_8_9(speakers, seed):
    parts = split_speakers(speakers, seed)
    assert sorted(who for part in PARTS for who in parts[part]) == sorted(speakers)
    for part in PARTS:
        assert parts[part]
        assert abs(len(parts[part]) - len(speakers) * SHARES[part] / 56) < 2
    assert split_speakers(sorted(speakers, reverse=True), seed) == parts


@pytest.mark.parametrize(
    ("n_speakers", "sizes"), [(3, (1, 1, 1)), (40, (28, 6, 6)), (56, (39, 8, 9))]
)
def test_sizes_of_parts(n_speakers, sizes):
    parts = split_speakers(map(str, range(n_speakers)))
    assert tuple(len(parts[part]) for part in PARTS) == sizes


def test_another_seed_draws_others():
    assert split_speakers(SIX, 0) != split_speakers(SIX, 1)


def test_speakers_are_split_by_seed(six):
    corpus = load_corpus(six, seed=3)
    assert corpus.name == "six"
    assert [len(corpus.speakers(part)) for part in PARTS] == [4, 1, 1]
    assert {part: sorted(corpus.speakers(part)) for part in PARTS} == split_speakers(SIX, 3)
    assert sum(map(len, corpus.parts.values())) == 12
    assert load_corpus(str(six), seed=3).fingerprint == corpus.fingerprint
    assert load_corpus(six, seed=4).fingerprint != corpus.fingerprint


def test_given_parts_are_kept(tmp_path):
    for part, names in (("train", "abc"), ("validation", "d"), ("test", "ef")):
        write_speakers(tmp_path / part, names)
    write(tmp_path / "extra" / "g" / "u.wav")
    corpus = load_corpus(tmp_path)
    assert {part: "".join(corpus.speakers(part)) for part in PARTS} == {
        "train": "abc",
        "validation": "d",
        "test": "ef",
    }


def test_a_corpus_that_moves_keeps_its_fingerprint(six, tmp_path):
    before = load_corpus(six).fingerprint
    assert load_corpus(six.rename(tmp_path / "elsewhere")).fingerprint == before


def test_files_may_lie_deeper_and_be_of_any_kind(tmp_path):
    write(tmp_path / "a" / "day1" / "u.wav")
    write(tmp_path / "a" / "day2" / "u.flac")
    write(tmp_path / "b" / "u.OGG", format="OGG")
    write(tmp_path / "c" / "u.wav")
    (tmp_path / "c" / "notes.txt").write_text("not speech")
    (tmp_path / "README.md").write_text("not speech")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    corpus = load_corpus(tmp_path)
    names = {u.id for utterances in corpus.parts.values() for u in utterances}
    assert names == {"a/day1/u", "a/day2/u", "b/u", "c/u"}


def test_what_is_hidden_is_not_speech(six):
    expected = load_corpus(six).fingerprint
    for hidden in (".cache/a.wav", "__MACOSX/b.wav", "deep/.c/d.wav", "._e.wav"):
        write(six / "p0" / hidden)
    assert load_corpus(six).fingerprint == expected


def test_conversion_is_said_once_for_all_files(tmp_path):
    for name in "abc":
        stereo = recording(rate=48_000, channels=2)
        write(tmp_path / name / "u.wav", stereo, 48_000)
    with pytest.warns(UserWarning, match="3 of 3 files .48000 Hz. are resampled") as said:
        corpus = load_corpus(tmp_path)
    assert len(said) == 1
    assert corpus.train[0].waveform().shape == (8000,)


@pytest.mark.parametrize("prepare", [lambda root: None, lambda root: write(root / "u.wav")])
def test_a_folder_without_speakers_is_named(tmp_path, prepare):
    root = tmp_path / "nothing"
    root.mkdir()
    prepare(root)
    with pytest.raises(CorpusError, match="nothing holds no speech"):
        load_corpus(root)


def test_fewer_speakers_than_parts_are_named(tmp_path):
    with pytest.raises(CorpusError, match=r"2 speakers \(ann, bob\) cannot .* at least 1 more"):
        load_corpus(write_speakers(tmp_path, ["ann", "bob"]))


def test_a_missing_part_is_named(tmp_path):
    write_speakers(tmp_path / "train", "ab")
    with pytest.raises(CorpusError, match="'train' but none for: validation, test"):
        load_corpus(tmp_path)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_speaker_in_two_parts_is_named(tmp_path, on_error):
    for part, names in (("train", "abc"), ("validation", "d"), ("test", "eb")):
        write_speakers(tmp_path / part, names)
    with pytest.raises(CorpusError, match="speaker 'b' is in train and in test"):
        load_corpus(tmp_path, on_error=on_error)


def spoil(six):
    """Put a fault of every kind into a corpus; returns what each is called."""
    write(six / "p0" / "silent.wav", recording() * 0)
    (six / "p1" / "text.flac").write_text("no audio")
    cut = write(six / "p2" / "cut.wav")
    cut.write_bytes(cut.read_bytes()[:9000])
    write(six / "p3" / "short.wav", recording(0.01))
    write(six / "p4" / "u0.flac")
    (six / "mute").mkdir()
    write(six / "loose.wav")
    return {
        "p0/silent": "is silent",
        "p1/text": "cannot be read as audio",
        "p2/cut": "is cut short",
        "p3/short": "lasts 10 ms",
        "p4/u0": "has the same name as u0.flac",
        "mute": "holds no .wav, .flac or .ogg file",
        "loose.wav": "is in no speaker's folder",
    }


def test_every_fault_stops_before_work_begins(six):
    spoil(six)
    with pytest.raises(CorpusError, match="the corpus has 3 fault") as error:
        load_corpus(six)
    assert "mute" in str(error.value)
    assert "loose.wav" in str(error.value)
    (six / "mute").rmdir()
    (six / "loose.wav").unlink()
    (six / "p4" / "u0.flac").unlink()
    with pytest.raises(CorpusError, match="the corpus has 4 fault") as error:
        load_corpus(six)
    assert "silent.wav is silent" in str(error.value)


def test_every_fault_can_be_left_out_and_is_listed(six):
    faults = spoil(six)
    corpus = load_corpus(six, on_error="skip")
    assert sum(map(len, corpus.parts.values())) == 12
    assert {name for name, _ in corpus.skipped} == set(faults)
    for name, reason in corpus.skipped:
        assert faults[name] in reason


def test_utterances_read_as_float32_at_16_khz(six):
    waveform = load_corpus(six, minutes=0.01).test[0].waveform()
    assert waveform.dtype == "float32"
    assert waveform.shape == (8000,)
