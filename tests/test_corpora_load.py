"""load_corpus: which corpus it is, and what it refuses."""

import math
import re

import numpy as np
import pytest
from recordings import write_speakers

from sdmvae_lite.speech.corpora import CorpusError, load_corpus


def test_the_default_is_synthetic(monkeypatch):
    monkeypatch.delenv("SDMVAE_CORPUS", raising=False)
    assert load_corpus(minutes=0.1).name == "synthetic"


def test_the_environment_overrides_the_default_alone(monkeypatch, tmp_path):
    mine = write_speakers(tmp_path / "mine", "abc")
    monkeypatch.setenv("SDMVAE_CORPUS", str(mine))
    assert load_corpus().name == "mine"
    assert load_corpus("synthetic", minutes=0.1).name == "synthetic"
    monkeypatch.setenv("SDMVAE_CORPUS", "")
    assert load_corpus(minutes=0.1).name == "synthetic"


def test_the_home_folder_may_be_written_as_a_tilde(monkeypatch, tmp_path):
    write_speakers(tmp_path / "mine", "abc")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load_corpus("~/mine").name == "mine"
    monkeypatch.setenv("SDMVAE_CORPUS", "~/mine")
    assert load_corpus().name == "mine"
    with pytest.raises(CorpusError, match="holds no folder 'volunteers'"):
        load_corpus("tcd-timit:~/mine")


def test_a_home_that_nobody_knows_is_no_folder():
    with pytest.raises(ValueError, match=r"unknown corpus '~nobody-at-all/mine'"):
        load_corpus("~nobody-at-all/mine")


@pytest.mark.parametrize("name", ["librespeech", "no/such/folder", "synthetic:x"])
def test_an_unknown_corpus_is_named_with_the_choices(name):
    with pytest.raises(ValueError, match=f"unknown corpus '{name}'.*'librispeech'"):
        load_corpus(name)


def test_a_file_is_no_corpus(tmp_path):
    path = tmp_path / "speech.zip"
    path.touch()
    with pytest.raises(ValueError, match=r"speech\.zip"):
        load_corpus(path)


@pytest.mark.parametrize("minutes", [0, -1, math.nan, math.inf, "5", True, [5]])
def test_minutes_that_are_none_are_named(minutes):
    with pytest.raises(
        ValueError, match=f"minutes must be a positive number.*not {re.escape(repr(minutes))}"
    ):
        load_corpus("synthetic", minutes)


@pytest.mark.parametrize("minutes", [1, np.int64(1), np.float32(1)])
def test_minutes_may_be_any_number(minutes):
    assert (
        load_corpus("synthetic", minutes).fingerprint == load_corpus("synthetic", 1.0).fingerprint
    )


def test_a_seed_may_be_numpys():
    expected = load_corpus("synthetic", minutes=1, seed=3).fingerprint
    assert load_corpus("synthetic", minutes=1, seed=np.int64(3)).fingerprint == expected


@pytest.mark.parametrize("seed", [1.5, "1", None, True])
def test_a_seed_that_is_no_whole_number_is_named(seed):
    with pytest.raises(ValueError, match=f"seed must be a whole number, not {seed!r}"):
        load_corpus("synthetic", minutes=1, seed=seed)


def test_an_unknown_way_with_errors_is_named():
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'skip', not 'ignore'"):
        load_corpus("synthetic", on_error="ignore")


def test_a_split_of_another_corpus_is_refused():
    with pytest.raises(ValueError, match="split='ntcd' is for tcd-timit alone"):
        load_corpus("synthetic", split="ntcd")


def test_tcd_timit_needs_its_folder(tmp_path):
    with pytest.raises(ValueError, match="'tcd-timit:FOLDER'"):
        load_corpus("tcd-timit")
    with pytest.raises(CorpusError, match="there is no folder"):
        load_corpus(f"tcd-timit:{tmp_path / 'absent'}")
