import hashlib
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from joblib import parallel_config
from joblib.parallel import BACKENDS, LokyBackend

from sdmvae_lite.config import SAMPLE_RATE, ModelConfig
from sdmvae_lite.model.models import build_model
from sdmvae_lite.scoring.evaluation import METRICS, evaluate, mean_scores, score, unscored
from sdmvae_lite.scoring.resynthesis import resynthesise
from sdmvae_lite.speech.corpora import CorpusError, Utterance, load_corpus
from sdmvae_lite.speech.corpora.audio import AudioFile

quietly = partial(evaluate, n_jobs=1, progress=False)


@dataclass(frozen=True)
class Samples:
    """Audio that is already in memory."""

    waveform: tuple[float, ...]

    @property
    def seconds(self):
        return len(self.waveform) / SAMPLE_RATE

    def read(self):
        return np.array(self.waveform, np.float32)

    def fingerprint(self):
        return hashlib.sha256(self.read().tobytes()).hexdigest()


@pytest.fixture(scope="module")
def utterances():
    return load_corpus("synthetic", minutes=1).test[:3]


@pytest.fixture(scope="module")
def model():
    return build_model(ModelConfig("sdm-vae"), seed=0)


@pytest.fixture(scope="module")
def scores(model, utterances):
    return quietly(model, utterances)


@pytest.fixture
def backend(monkeypatch):
    """How many utterances each task holds that joblib's backend ``counting`` is given."""
    tasks = []

    class Counting(LokyBackend):
        def submit(self, task, callback=None):
            tasks.append(len(task.items))
            return super().submit(task, callback)

    monkeypatch.setitem(BACKENDS, "counting", Counting)
    return tasks


def assert_same(actual, expected):
    """Equal scores; ESTOI alone may differ in its last bit with where its arrays lie in memory."""
    for one, other in zip(actual, expected, strict=True):
        assert one.values == pytest.approx(other.values, rel=1e-12)
        assert replace(one, values={}) == replace(other, values={})


def test_every_utterance_has_every_score(scores, utterances):
    assert [(row.speaker, row.utterance) for row in scores] == [
        (utterance.speaker, utterance.name) for utterance in utterances
    ]
    for row in scores:
        assert row.values.keys() == METRICS.keys() | {"pesq_raw"}
        assert row.unscored == {}
        assert all(np.isfinite(value) for value in row.values.values())


def test_the_cores_do_not_change_the_scores(scores, model, utterances):
    assert_same(evaluate(model, utterances, n_jobs=2, progress=False), scores)


def test_scores_are_those_of_a_resynthesis(scores, model, utterances):
    result = resynthesise(model, utterances[0].waveform())
    assert_same([score(result, utterances[0].speaker, utterances[0].name)], scores[:1])


def test_samples_differ_from_means_and_repeat(scores, model, utterances):
    sampled, again = (quietly(model, utterances, sample=True, seed=1) for _ in range(2))
    assert_same(sampled, again)
    assert sampled[0].values["si_sdr"] != scores[0].values["si_sdr"]
    hoyer = scores[0].values["hoyer"]
    assert sampled[0].values["hoyer"] == pytest.approx(hoyer, rel=1e-12)  # always of the mean


def test_a_sample_depends_on_its_utterance_and_not_on_the_order(model, utterances):
    first = quietly(model, utterances, sample=True)
    assert_same(quietly(model, utterances[::-1], sample=True), first[::-1])
    renamed = replace(utterances[0], name="another")
    (other,) = quietly(model, [renamed], sample=True)
    assert other.values["si_sdr"] != first[0].values["si_sdr"]


def test_means_count_utterances_once_and_frames_once_for_hoyer(scores):
    means = mean_scores(scores)
    assert means["estoi"] == pytest.approx(np.mean([row.values["estoi"] for row in scores]))
    frames = np.array([row.n_frames for row in scores])
    values = np.array([row.values["hoyer"] for row in scores])
    assert means["hoyer"] == pytest.approx((frames * values).sum() / frames.sum())


def test_what_cannot_be_scored_is_reported_and_not_averaged(model, utterances):
    short = utterances[0].waveform()[8000:11_000]
    brief = Utterance("mary", "brief", Samples(tuple(short.tolist())))
    scores = quietly(model, [brief, *utterances])
    assert scores[0].values.keys() == {"si_sdr", "hoyer"}
    assert "quarter of a second" in scores[0].unscored["pesq_raw"]
    assert mean_scores(scores)["stoi"] == mean_scores(scores[1:])["stoi"]
    lines = unscored(scores)
    assert len(lines) == 5
    assert any(line.startswith("mary/brief: stoi: STOI needs about 0.4 s") for line in lines)


def test_a_code_of_one_coefficient_has_every_score_but_hoyer(utterances):
    (row,) = quietly(build_model(ModelConfig(m=1, hidden=8), seed=0), utterances[:1])
    assert row.values.keys() == METRICS.keys() - {"hoyer"} | {"pesq_raw"}
    assert row.unscored == {"hoyer": "Hoyer sparsity needs at least two entries, not 1"}


def test_nothing_to_score_is_an_error(model):
    with pytest.raises(ValueError, match="no utterances to score"):
        evaluate(model, [])


def test_an_utterance_that_cannot_be_read_is_named(model, utterances, tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, utterances[0].waveform(), SAMPLE_RATE)
    path.write_bytes(path.read_bytes()[:-1000])
    short = Utterance("mary", "short", AudioFile(path))
    with pytest.raises(CorpusError, match=f"{path} is cut short"):
        quietly(model, [short])


def test_the_work_goes_to_the_backend_that_joblib_was_told(scores, model, utterances, backend):
    with parallel_config(backend="counting", n_jobs=2):
        assert_same(evaluate(model, utterances, n_jobs=None, progress=False), scores)
    assert sum(backend) == len(utterances)


def test_torch_has_one_thread_while_it_scores_and_all_of_them_afterwards(
    model, utterances, monkeypatch
):
    monkeypatch.setitem(METRICS, "hoyer", lambda result: float(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        (row,) = quietly(model, utterances[:1])
        assert (row.values["hoyer"], torch.get_num_threads()) == (1.0, 2)
    finally:
        torch.set_num_threads(before)
