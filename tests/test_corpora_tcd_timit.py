"""TCD-TIMIT and NTCD-TIMIT, on small trees of their layouts."""

import functools
import io
import zlib

import pytest
import soundfile
from recordings import recording, write

from sdmvae_lite.speech.corpora import PARTS, CorpusError, load_corpus
from sdmvae_lite.speech.corpora.tcd_timit import SPLITS

LEFT_OUT_BY_NTCD = ["27M", "35M", "53M"]
EVERYONE = sorted(who for part in PARTS for who in SPLITS["ntcd"][part]) + LEFT_OUT_BY_NTCD

LAYOUTS = {
    "TCD-TIMIT": "volunteers/{}/Clips/straightcam/{}.wav",
    "NTCD-TIMIT": "Clean/volunteers/{}/straightcam/{}.wav",
}


@functools.cache
def wav(speaker, sentence):
    """A short recording of its own, as the bytes of a file."""
    file = io.BytesIO()
    seed = zlib.crc32(f"{speaker}/{sentence}".encode())
    soundfile.write(file, recording(0.1, seed=seed), 16_000, format="WAV")
    return file.getvalue()


def write_tree(root, layout, who=EVERYONE, sentences=("sa1", "si447")):
    for speaker in who:
        for sentence in sentences:
            path = root / layout.format(speaker, sentence)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wav(speaker, sentence))
    return root


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return request.param


@pytest.fixture
def tree(tmp_path, layout):
    return write_tree(tmp_path / "data", LAYOUTS[layout])


def test_there_are_59_volunteers_and_the_splits_are_disjoint():
    assert len(set(EVERYONE)) == 59
    for split in SPLITS.values():
        named = [who for part in split.values() for who in part]
        assert len(named) == len(set(named))
        assert set(named) <= set(EVERYONE)


@pytest.mark.parametrize(
    ("split", "sizes"), [(None, (42, 8, 9)), ("authors", (42, 8, 9)), ("ntcd", (39, 8, 9))]
)
def test_both_layouts_in_both_splits(tree, layout, split, sizes):
    corpus = load_corpus(f"tcd-timit:{tree}", split=split)
    assert corpus.name == layout
    assert corpus.credit.startswith(layout)
    assert tuple(len(corpus.speakers(part)) for part in PARTS) == sizes
    assert set(corpus.speakers("test")) == SPLITS[split or "authors"]["test"]
    assert {u.name for u in corpus.train} == {"sa1", "si447"}


def test_whom_a_split_leaves_out_is_listed(tree):
    skipped = load_corpus(f"tcd-timit:{tree}", split="ntcd").skipped
    assert [who for who, _ in skipped] == LEFT_OUT_BY_NTCD
    assert not load_corpus(f"tcd-timit:{tree}", split="authors").skipped


def test_the_root_may_be_any_ancestor(tmp_path, layout):
    root = write_tree(tmp_path / "data" / "corpora" / "tcd", LAYOUTS[layout])
    volunteers = next(root.rglob("volunteers"))
    roots = [tmp_path, root, volunteers]
    assert len({load_corpus(f"tcd-timit:{path}").fingerprint for path in roots}) == 1


def test_clean_speech_is_chosen_beside_noisy(tmp_path):
    write_tree(tmp_path, LAYOUTS["NTCD-TIMIT"])
    write_tree(tmp_path, "Babble/volunteers/{}/straightcam/{}.wav", ["01M"])
    assert "Clean" in str(load_corpus(f"tcd-timit:{tmp_path}").train[0].source.path)


def test_two_folders_of_volunteers_are_named(tmp_path):
    for disk in ("one", "two"):
        write_tree(tmp_path / disk, LAYOUTS["TCD-TIMIT"], ["01M"])
    with pytest.raises(CorpusError, match=r"one/volunteers, .*two/volunteers"):
        load_corpus(f"tcd-timit:{tmp_path}")


def test_absent_speakers_are_named_or_skipped(tmp_path):
    present = [who for who in EVERYONE if who not in ("06M", "24M")]
    root = write_tree(tmp_path, LAYOUTS["TCD-TIMIT"], present)
    with pytest.raises(CorpusError, match="speaker 06M of the validation part"):
        load_corpus(f"tcd-timit:{root}", split="authors")
    corpus = load_corpus(f"tcd-timit:{root}", split="authors", on_error="skip")
    assert [who for who, _ in corpus.skipped] == ["06M", "24M"]
    assert len(corpus.speakers("test")) == 8


def test_clips_without_sound_come_with_the_command_that_extracts_it(tmp_path):
    clip = tmp_path / "volunteers" / "01M" / "Clips" / "straightcam" / "sa1.mp4"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(b"video")
    with pytest.raises(CorpusError, match=r"1 video clips and no \.wav file(.|\n)*ffmpeg -i"):
        load_corpus(f"tcd-timit:{tmp_path}")


def test_a_clip_that_alone_lacks_its_sound_is_named(tmp_path):
    root = write_tree(tmp_path, LAYOUTS["TCD-TIMIT"])
    clip = root / "volunteers" / "09F" / "Clips" / "straightcam" / "sx27.mp4"
    clip.write_bytes(b"video")
    with pytest.raises(CorpusError, match=r"sx27\.mp4 has no \.wav file beside it"):
        load_corpus(f"tcd-timit:{root}")
    assert load_corpus(f"tcd-timit:{root}", on_error="skip").skipped[0][0] == "09F/sx27"


def test_a_speaker_without_sentences_is_named(tmp_path):
    root = write_tree(tmp_path, LAYOUTS["NTCD-TIMIT"])
    for path in (root / "Clean" / "volunteers" / "06M" / "straightcam").iterdir():
        path.unlink()
    with pytest.raises(CorpusError, match=r"06M.straightcam holds no \.wav file"):
        load_corpus(f"tcd-timit:{root}")


def test_what_is_not_the_corpus_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="holds no folder 'volunteers'"):
        load_corpus(f"tcd-timit:{tmp_path}")
    (tmp_path / "volunteers" / "01M").mkdir(parents=True)
    with pytest.raises(CorpusError, match="holds neither SPEAKER/Clips/straightcam nor"):
        load_corpus(f"tcd-timit:{tmp_path}")


def test_an_unknown_split_is_refused_by_name(tree):
    with pytest.raises(ValueError, match=r"unknown split 'paper' .* authors, ntcd"):
        load_corpus(f"tcd-timit:{tree}", split="paper")


def test_links_to_nothing_and_names_given_twice_are_named(tmp_path):
    root = write_tree(tmp_path, LAYOUTS["NTCD-TIMIT"])
    folder = root / "Clean" / "volunteers" / "06M" / "straightcam"
    (folder / "sa2.wav").symlink_to("absent")
    write(folder / "sa1.WAV", format="WAV")
    (root / "Clean" / "volunteers" / "60M").symlink_to("absent")
    corpus = load_corpus(f"tcd-timit:{root}", on_error="skip")
    assert [name for name, _ in corpus.skipped] == ["60M", "06M/straightcam/sa2.wav", "06M/sa1"]
    with pytest.raises(CorpusError, match="60M is a link to nothing") as error:
        load_corpus(f"tcd-timit:{root}")
    assert "sa1.wav has the same name as sa1.WAV" in str(error.value)
