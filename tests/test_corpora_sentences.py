"""The grammar of the synthetic corpus."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmvae_lite.speech.corpora.sentences import N_DISTINCT, sentence


@pytest.mark.parametrize("seed", [0, 1, -3])
def test_the_corpus_never_repeats_a_sentence(seed):
    assert len({sentence(number, seed) for number in range(5488)}) == 5488


@given(st.integers(0, N_DISTINCT - 1), st.integers(0, N_DISTINCT - 1), st.integers(0, 1000))
def test_no_two_numbers_give_one_sentence(one, other, seed):
    assert (sentence(one, seed) == sentence(other, seed)) == (one == other)


@given(st.integers(0, N_DISTINCT), st.integers())
def test_every_sentence_is_written_as_one(number, seed):
    text = sentence(number, seed)
    assert text == " ".join(text.split())
    assert text[0].isupper()
    assert text[-1] in ".?"
    assert not set(text) & set("{}|")
    assert 8 <= len(text.split()) <= 25


def test_another_seed_gives_other_sentences():
    assert not {sentence(n, 0) for n in range(500)} & {sentence(n, 1) for n in range(500)}


def test_words_come_up_about_equally_often():
    texts = [sentence(number) for number in range(7 * 240)]
    names = ("Agnes", "Duncan", "Hannah", "Naomi", "Vincent")
    counts = [sum(name in text for text in texts) for name in names]
    assert max(counts) < 1.5 * min(counts)
