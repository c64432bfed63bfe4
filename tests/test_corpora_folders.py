"""Folders of one's own speech."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import mode, public_folder, recording, write, write_speakers

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
        stereo = recording(rate=48_000, channels=2, seed=ord(name))
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


def given_parts(root, names=("train", "validation", "test")):
    for part, speakers in zip(names, ("abc", "d", "ef"), strict=True):
        write_speakers(root / part, speakers)
    return root


@pytest.mark.parametrize(
    "names", [("Train", "Validation", "Test"), ("TRAIN", "validation", "Test")]
)
def test_parts_are_recognised_in_capitals(tmp_path, names):
    corpus = load_corpus(given_parts(tmp_path, names))
    assert ["".join(corpus.speakers(part)) for part in PARTS] == ["abc", "d", "ef"]


def test_a_part_that_is_there_twice_is_named(tmp_path):
    given_parts(tmp_path)
    write_speakers(tmp_path / "Test", "g")
    with pytest.raises(CorpusError, match=r"Test and .*test are both the test part"):
        load_corpus(tmp_path)


LINKS_BACK = {
    "everybody": ".",
    "upwards": "..",
    "q": "p0",
    "p1/again": ".",
    "p1/deep/again": "..",
    "p1/deep/other": "../../p2",
}


@pytest.mark.parametrize("place", LINKS_BACK)
def test_a_link_that_leads_back_into_the_corpus_is_refused_by_name(six, place):
    expected = load_corpus(six).fingerprint
    link = six / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(LINKS_BACK[place])
    with pytest.raises(CorpusError, match=rf"{link} leads back into the corpus"):
        load_corpus(six)
    skipping = load_corpus(six, on_error="skip")
    assert skipping.fingerprint == expected
    assert [name for name, _ in skipping.skipped] == [place]


def test_a_part_is_no_way_back_either(tmp_path):
    given_parts(tmp_path)
    (tmp_path / "test" / "g").symlink_to(tmp_path / "train")
    with pytest.raises(CorpusError, match=r"test.g leads back into the corpus"):
        load_corpus(tmp_path)


def test_links_to_speech_elsewhere_are_followed_at_any_depth(six, tmp_path):
    write(tmp_path / "elsewhere" / "day" / "far.wav")
    (six / "p6").symlink_to(tmp_path / "elsewhere")
    (six / "p0" / "more").symlink_to(write(tmp_path / "other" / "near.wav").parent)
    (six / "p1" / "file.wav").symlink_to(write(tmp_path / "single.wav"))
    corpus = load_corpus(six)
    names = {utterance.id for utterances in corpus.parts.values() for utterance in utterances}
    assert names >= {"p6/day/far", "p0/more/near", "p1/file"}
    assert len(names) == 15


def copy_between_parts(root):
    """One recording of a speaker of the training part, copied to one of the test part."""
    corpus = load_corpus(root)
    copy = root / corpus.speakers("test")[0] / "copy.wav"
    copy.write_bytes(corpus.train[0].source.path.read_bytes())
    return corpus.train[0].source.path, copy


def test_one_recording_in_two_parts_is_refused_by_name(six):
    first, copy = copy_between_parts(six)
    with pytest.raises(CorpusError, match=rf"{copy} .*{first} .*train") as error:
        load_corpus(six)
    assert "the corpus has 1 fault" in str(error.value)


def test_copies_that_may_be_skipped_are_left_out_of_the_later_part(six):
    expected = load_corpus(six).fingerprint
    _, copy = copy_between_parts(six)
    corpus = load_corpus(six, on_error="skip")
    assert corpus.fingerprint == expected
    assert [name for name, _ in corpus.skipped] == [f"{copy.parent.name}/copy"]


def test_a_recording_twice_in_one_part_is_no_leak(six):
    one, other, *_ = sorted(load_corpus(six).speakers("train"))
    (six / other / "copy.wav").write_bytes((six / one / "u0.wav").read_bytes())
    assert not load_corpus(six).skipped


def test_links_to_nothing_are_named_or_skipped(six):
    """As those of an archive of which not everything was fetched."""
    (six / "p0" / "u0.TextGrid").symlink_to("absent")  # nobody needs it
    expected = load_corpus(six).fingerprint
    places = ("p6", "p0/absent.wav", "p1/circle.flac", "p2/day/u.wav")
    for place in places:
        (six / place).parent.mkdir(exist_ok=True)
        (six / place).symlink_to(Path(place).name if "circle" in place else ".annex/absent")
    with pytest.raises(CorpusError, match="the corpus has 4 fault") as error:
        load_corpus(six)
    for place in places:
        assert f"{six / place} is a link to nothing: fetch" in str(error.value)
    skipping = load_corpus(six, on_error="skip")
    assert skipping.fingerprint == expected
    assert sorted(name for name, _ in skipping.skipped) == sorted(places)


@pytest.mark.parametrize("bits", [0o000, 0o444], ids=["no rights", "listed but not entered"])
@pytest.mark.parametrize("place", ["p1", "p1/deep"])
def test_folders_that_cannot_be_read_are_named_or_skipped(place, bits):
    with public_folder() as root:
        write_speakers(root, SIX)
        write(root / "p1" / "deep" / "u.wav")
        with mode(root / place, bits):
            with pytest.raises(CorpusError, match=rf"{root / place} cannot be read .Permission"):
                load_corpus(root)
            skipped = load_corpus(root, on_error="skip").skipped
        assert place in [name for name, _ in skipped]
