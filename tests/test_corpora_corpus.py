"""A corpus: its parts, how much of it is kept, its fingerprint."""

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmvae_lite.speech.corpora import PARTS, Corpus, CorpusError, Utterance
from sdmvae_lite.speech.corpora.corpus import SHARES, round_speakers, select


@dataclass(frozen=True)
class Tone:
    """A source that reads no file."""

    content: str = ""
    seconds: float = 3.0

    def check(self):
        if self.content == "bad":
            raise CorpusError("tone is bad")

    def read(self):
        return np.zeros(16_000, dtype=np.float32)

    def fingerprint(self):
        return self.content


def utterances(speakers, n_utterances, content=None, **tone):
    return [
        Utterance(who, f"u{i}", Tone(content or f"{who}{i}", **tone))
        for who in speakers
        for i in range(n_utterances)
    ]


def three_parts(n_utterances=10, **tone):
    return {
        "train": utterances("abcde", n_utterances, **tone),
        "validation": utterances("fg", n_utterances, **tone),
        "test": utterances("hij", n_utterances, **tone),
    }


@pytest.fixture
def corpus():
    kept, _ = select(three_parts(), None, "raise")
    return Corpus("tones", **kept, credit="tones of nobody")


def test_parts_speakers_and_ids(corpus):
    assert tuple(corpus.parts) == PARTS
    assert corpus.speakers("validation") == ("f", "g")
    assert corpus.test[0].id == "h/u0"
    assert corpus.minutes("test") == pytest.approx(1.5)


def test_a_summary_says_who_speaks_and_how_much(corpus):
    summary = str(replace(corpus, skipped=(("h/u9", "is silent"),)))
    assert "tones of nobody" in summary
    assert "train        5 speakers,    50 utterances,    2.5 minutes" in summary
    assert "left out: 1" in summary
    assert repr(corpus) == "<Corpus 'tones': 5 + 2 + 3 speakers, 50 + 20 + 30 utterances>"


def test_one_speaker_in_two_parts_is_refused_by_name(corpus):
    stray = Utterance("a", "u99", Tone())
    with pytest.raises(CorpusError, match="speaker 'a' is in train and in test"):
        replace(corpus, test=(*corpus.test, stray))


def test_a_part_goes_round_its_speakers():
    order = [u.id for u in round_speakers([*utterances("ab", 2), *utterances("c", 1)])]
    assert order == ["a/u0", "b/u0", "c/u0", "a/u1", "b/u1"]


@given(
    minutes=st.floats(0.01, 20),
    seconds=st.floats(0.1, 20),
    n_utterances=st.integers(1, 30),
)
def test_about_the_minutes_asked_for_are_kept(minutes, seconds, n_utterances):
    everything = three_parts(n_utterances, seconds=seconds)
    kept, faults = select(everything, minutes, "raise")
    assert not faults
    for part, chosen in kept.items():
        lasting, share = seconds * len(chosen), 60 * minutes * SHARES[part] / 56
        assert chosen
        assert len(chosen) == len(everything[part]) or lasting >= share
        assert lasting < share + seconds * 1.001


@given(st.floats(0.01, 2), st.floats(0.01, 2))
def test_a_smaller_corpus_begins_a_larger_one(one, other):
    smaller, _ = select(three_parts(), min(one, other), "raise")
    larger, _ = select(three_parts(), max(one, other), "raise")
    for part in PARTS:
        assert larger[part][: len(smaller[part])] == smaller[part]


def test_faults_stop_the_work_and_are_all_listed():
    parts = three_parts(2)
    parts["train"] = utterances("abcdef", 2, content="bad")
    with pytest.raises(CorpusError, match="the corpus has 12 fault") as error:
        select(parts, None, "raise")
    assert str(error.value).count("tone is bad") == 10
    assert "and 2 more" in str(error.value)
    assert 'on_error="skip"' in str(error.value)


def test_faults_are_left_out_and_replaced_where_they_may_be_skipped():
    parts = three_parts(4)
    parts["test"][0] = replace(parts["test"][0], source=Tone("bad"))
    kept, faults = select(parts, 0.5, "skip")
    assert faults == [("h/u0", "tone is bad")]
    assert [u.id for u in kept["test"]] == ["i/u0", "j/u0"]


def test_what_is_not_kept_is_not_checked():
    parts = three_parts(4)
    parts["test"][-1] = replace(parts["test"][-1], source=Tone("bad"))
    select(parts, 0.1, "raise")


def test_a_part_of_which_nothing_is_left_is_named():
    parts = three_parts(1)
    parts["validation"] = utterances("fg", 1, content="bad")
    with pytest.raises(CorpusError, match="no usable utterance is left in the validation part"):
        select(parts, None, "skip")


def test_the_fingerprint_follows_content_and_parts_alone(corpus):
    same = replace(corpus, name="renamed", train=corpus.train[::-1])
    moved = replace(corpus, train=corpus.validation, validation=corpus.train)
    changed = replace(corpus.test[0], source=Tone("other"))
    assert len(corpus.fingerprint) == 64
    assert same.fingerprint == corpus.fingerprint
    assert moved.fingerprint != corpus.fingerprint
    assert replace(corpus, test=(changed, *corpus.test[1:])).fingerprint != corpus.fingerprint


def test_it_travels_to_another_process(corpus):
    assert pickle.loads(pickle.dumps(corpus)) == corpus
