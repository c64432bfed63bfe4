"""The voices of the landing page and of *Play with a code* are those of the book's corpus."""

import base64
import io
import json
import re
import sys

import numpy as np
import pytest
import soundfile
from recordings import write_speakers
from toc import BOOK

from sdmvae_lite import load_corpus

sys.path.insert(0, str(BOOK / "_ext"))
import play_data
import spoken


@pytest.fixture
def choose(monkeypatch):
    """Put the book on a corpus; afterwards it is on whatever it was."""

    def to(name):
        monkeypatch.setenv("SDMVAE_CORPUS", str(name))
        spoken.corpus.cache_clear()

    yield to
    spoken.corpus.cache_clear()


def test_the_synthetic_corpus_says_three_sentences(choose):
    choose("synthetic")
    test = {each.id: each for each in load_corpus("synthetic").test}
    assert [each.id for each in spoken.sentences().values()] == [*spoken.SYNTHETIC]
    assert [*spoken.sentences()] == [test[name].source.text for name in spoken.SYNTHETIC]
    assert "espeak-ng" in spoken.corpus().credit


def test_another_corpus_speaks_on_every_page(choose, tmp_path):
    folder = write_speakers(tmp_path / "people", [f"p{number:02}" for number in range(30)], 1)
    choose(folder)
    chosen = spoken.sentences()
    speakers = [each.speaker for each in chosen.values()]
    assert len({*speakers}) == 3
    assert {*speakers} <= {*load_corpus(folder).speakers("test")}
    assert [*chosen] == [f"speaker {name}" for name in speakers]
    assert "people" in spoken.corpus().credit

    play_data.write_data(tmp_path / "play")
    listed = (tmp_path / "play" / "list.js").read_text(encoding="utf-8")
    labels = json.loads(listed.removeprefix("const playList = ").rstrip(";\n"))["sentences"]
    assert [each["label"] for each in labels] == [*chosen]
    for each, utterance in zip(labels, chosen.values(), strict=True):
        script = (tmp_path / "play" / f"{each['name']}.js").read_text(encoding="utf-8")
        flac = base64.b64decode(re.search(r', "(.*)"\);', script)[1])
        heard, waveform = soundfile.read(io.BytesIO(flac))[0], utterance.waveform()
        np.testing.assert_allclose(heard, 0.99 * waveform / abs(waveform).max(), atol=2**-15)
