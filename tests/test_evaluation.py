import hashlib
import math
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from joblib import Parallel, delayed, parallel_config
from joblib.parallel import BACKENDS, LokyBackend

from sdmvae_lite.config import SAMPLE_RATE, ModelConfig
from sdmvae_lite.model.models import SDMVAE, VAE, build_model
from sdmvae_lite.scoring import evaluation
from sdmvae_lite.scoring.evaluation import (
    METRICS,
    Scores,
    evaluate,
    mean_scores,
    score,
    score_paths,
    unscored,
)
from sdmvae_lite.scoring.resynthesis import resynthesise
from sdmvae_lite.speech.corpora import CorpusError, Utterance, load_corpus
from sdmvae_lite.speech.corpora.audio import AudioFile
from sdmvae_lite.workers import as_done

CONFIG = ModelConfig("sdm-vae")
FINDING = ("corpus", "folders", "librispeech", "sentences", "tcd_timit", "voices")

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
    return build_model(CONFIG, seed=0)


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


def test_means_weigh_every_measure_of_a_code_by_frames_and_no_other():
    def row(n_frames, value):
        measures = ("hoyer", "hoyer_unit_rms", "hoyer_kl", "si_sdr", "pesq_raw", "stoi", "seconds")
        return Scores("mary", "", 1.0, n_frames, dict.fromkeys(measures, value), {})

    means = mean_scores([row(300, 1.0), row(100, 0.0)])
    per_frame = {measure for measure, mean in means.items() if mean == 0.75}
    assert per_frame == {"hoyer", "hoyer_unit_rms", "hoyer_kl"}
    assert {means[measure] for measure in means.keys() - per_frame} == {0.5}


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
    with pytest.raises(ValueError, match=r"give one of them, such as corpus\.test"):
        evaluate(model, load_corpus("synthetic", minutes=0.5))


def test_few_utterances_are_scored_here_and_many_by_no_more_processes_than_they_are(
    model, clips, monkeypatch
):
    started = []

    def counted(jobs, n_jobs):
        started.append(n_jobs)
        return as_done(jobs, 1)

    monkeypatch.setattr(evaluation, "as_done", counted)
    evaluate(model, clips, progress=False)
    evaluate(model, clips, n_jobs=8, progress=False)
    monkeypatch.setattr(evaluation, "_FEW_SECONDS", 0.1)
    monkeypatch.setattr(evaluation, "effective_n_jobs", lambda n_jobs: 64)
    evaluate(model, clips, progress=False)
    assert started == [1, 3, 3]


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


@pytest.fixture(scope="module")
def spoken():
    return load_corpus("synthetic", minutes=1).test


@pytest.fixture(scope="module")
def clips(spoken):
    """Three clips of different lengths, too short for PESQ and STOI, so quickly scored."""
    waveform = spoken[0].waveform()[8000:]
    return [
        Utterance("mary", f"clip {n}", Samples(tuple(waveform[:n].tolist())))
        for n in (3000, 2000, 2500)
    ]


@pytest.fixture
def computed(monkeypatch):
    """The lengths of what is scored from here on, one after the other."""
    lengths, hoyer = [], METRICS["hoyer"]

    def counted(result):
        lengths.append(len(result.reference))
        return hoyer(result)

    monkeypatch.setitem(METRICS, "hoyer", counted)
    return lengths


def test_nothing_is_computed_twice_and_kept_scores_are_those_computed(
    model, clips, computed, tmp_path
):
    first = quietly(model, clips, cache=tmp_path)
    assert first == quietly(model, clips)
    computed.clear()
    same = build_model(CONFIG, seed=0)
    assert quietly(same, clips, cache=str(tmp_path)) == first
    assert quietly(model, clips[::-1], cache=tmp_path) == first[::-1]
    assert computed == []


def test_an_evaluation_that_is_interrupted_goes_on(model, clips, computed, monkeypatch, tmp_path):
    def interrupted(result):
        if len(computed) == 2:
            raise KeyboardInterrupt
        return 0.0

    with monkeypatch.context() as patch:
        patch.setitem(METRICS, "si_sdr", interrupted)
        with pytest.raises(KeyboardInterrupt):
            quietly(model, clips, cache=tmp_path)
    assert computed == [3000, 2500]
    scores = quietly(model, clips, cache=tmp_path)
    assert computed == [3000, 2500, 2000]
    assert [row.values["si_sdr"] == 0.0 for row in scores] == [True, False, True]


def test_where_all_is_kept_nothing_is_started(model, clips, backend, tmp_path):
    with parallel_config(backend="counting", n_jobs=2):
        first = evaluate(model, clips, n_jobs=None, progress=False, cache=tmp_path)
        assert sum(backend) == 3
        assert evaluate(model, clips, n_jobs=None, progress=False, cache=tmp_path) == first
    assert sum(backend) == 3


def test_infinite_scores_and_the_reasons_of_missing_ones_are_kept(
    model, clips, monkeypatch, tmp_path
):
    monkeypatch.setitem(METRICS, "si_sdr", lambda result: math.inf)
    first = quietly(model, clips[:1], cache=tmp_path)
    assert first[0].values["si_sdr"] == math.inf
    assert first[0].unscored.keys() == {"pesq_nb", "pesq_wb", "pesq_raw", "stoi", "estoi"}
    assert quietly(model, clips[:1], cache=tmp_path) == first


def test_samples_are_kept_by_their_seed(model, clips, computed, tmp_path):
    means = quietly(model, clips, cache=tmp_path)
    sampled = quietly(model, clips, sample=True, seed=5, cache=tmp_path)
    assert sampled[0].values["si_sdr"] != means[0].values["si_sdr"]
    assert len(computed) == 6
    assert quietly(model, clips[:2], sample=True, seed=5, cache=tmp_path) == sampled[:2]
    assert len(computed) == 6
    assert quietly(model, clips[::-1], sample=True, seed=5, cache=tmp_path) == sampled[::-1]
    assert len(computed) == 6
    other = quietly(model, clips, sample=True, seed=6, cache=tmp_path)
    assert len(computed) == 9
    assert other[0].values["si_sdr"] != sampled[0].values["si_sdr"]


class Same(SDMVAE):
    """A class of one's own that computes the same."""

    def kl(self, mu, logvar):
        return super().kl(mu, logvar)


def test_whatever_decides_a_score_is_in_the_name_of_its_file(model, clips, monkeypatch, tmp_path):
    def path(model=model, speech=clips[0], seed=None):
        return score_paths(tmp_path, model, [speech], [seed])[0]

    other_weights, other_kind = build_model(CONFIG, seed=1), Same(CONFIG)
    other_kind.load_state_dict(model.state_dict())
    nudged = build_model(CONFIG, seed=0)
    with torch.no_grad():
        nudged.decoder_hidden.bias[0] += 1e-7
    paths = [
        path(),
        *(path(model=other) for other in (other_weights, other_kind, nudged)),
        path(speech=replace(clips[0], source=clips[1].source)),
        path(speech=replace(clips[0], name="clip 1")),
        path(seed=0),
        path(seed=1),
        path(model=build_model(replace(CONFIG, hop_length=128), seed=0)),
        path(speech=replace(clips[0], speaker="john")),
    ]
    with monkeypatch.context() as patch:
        patch.setitem(METRICS, "loudness", len)
        paths.append(path())
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "version", lambda name: "0.0")
        paths.append(path())
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "method", lambda *modules: "other")
        paths.append(path())
    assert len(set(paths)) == len(paths)
    assert path() == paths[0]


def test_synthetic_speech_is_known_by_what_it_is_made_from(model, spoken, tmp_path):
    def paths(corpus):
        nothing = [None] * len(corpus.test)
        return score_paths(tmp_path, model, corpus.test, nothing)

    again, other = (load_corpus("synthetic", minutes=1, seed=seed) for seed in (0, 1))
    assert [utterance.id for utterance in other.test] == [utterance.id for utterance in spoken]
    assert not set(paths(again)) & set(paths(other))
    assert len(set(paths(again))) == len(spoken)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text[:-1],
        lambda text: text.replace('"seconds": 0.1', '"seconds": 0.2'),
        lambda text: text.replace('"value"', '"score"'),
        lambda text: "[1, 2]",
        lambda text: text + "}",
    ],
)
def test_a_damaged_file_is_computed_again(model, clips, computed, tmp_path, damage):
    first = quietly(model, clips, cache=tmp_path)
    path = next(path for path in tmp_path.iterdir() if "clip 3000" in path.read_text())
    sound = path.read_text()
    assert damage(sound) != sound
    path.write_text(damage(sound))
    computed.clear()
    assert quietly(model, clips, cache=tmp_path) == first
    assert computed == [3000]
    assert path.read_text() == sound


def test_two_processes_may_share_a_cache(model, spoken, tmp_path):
    evaluations = Parallel(n_jobs=2)(
        delayed(quietly)(model, list(utterances), cache=tmp_path)
        for utterances in (spoken, spoken[::-1])
    )
    kept = quietly(model, spoken, cache=tmp_path)
    for row, one, other in zip(kept, evaluations[0], evaluations[1][::-1], strict=True):
        assert row in (one, other)
        assert one.values == pytest.approx(other.values, rel=1e-12)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"] * len(spoken)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_named_and_leaves_nothing_half_written(
    model, clips, computed, monkeypatch, tmp_path
):
    original = Path.open

    def full(self, mode="r", *rest, **more):
        return original(Path("/dev/full") if "w" in mode else self, mode, *rest, **more)

    quietly(model, clips[:1], cache=tmp_path)
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OSError, match=rf"{tmp_path}/scores-.*No space.*free some room"):
            quietly(model, clips, cache=tmp_path)
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before
    computed.clear()
    quietly(model, clips, cache=tmp_path)
    assert computed == [2500, 2000]


def test_a_cache_that_is_no_folder_is_an_error(model, clips, tmp_path):
    path = tmp_path / "scores"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="scores"):
        quietly(model, clips, cache=path)


def test_scores_of_a_model_of_ones_own_are_kept_until_its_text_changes(model, clips, tmp_path):
    class Mine(VAE):
        def decode(self, z):
            return super().decode(z) - 1

    mine = Mine()
    mine.load_state_dict(build_model(ModelConfig(), seed=0).state_dict())
    (own,) = score_paths(tmp_path, mine, clips[:1], [None])
    assert own != score_paths(tmp_path, build_model(ModelConfig(), seed=0), clips[:1], [None])[0]
    assert quietly(mine, clips, cache=tmp_path) == quietly(mine, clips)
    assert own.exists()


def test_scores_of_a_class_without_a_text_are_computed_but_not_kept(clips, tmp_path):
    Mine = type("Mine", (VAE,), {})
    Mine.__module__ = "__main__"
    with pytest.raises(ValueError, match=r"text of the class Mine is not found.*no.*cache"):
        quietly(Mine(), clips, cache=tmp_path / "cache")
    assert not list(tmp_path.iterdir())
    assert len(quietly(Mine(), clips)) == 3


def test_the_code_that_decides_a_score_is_in_its_name():
    """All that scoring imports, but for packages and what only describes, finds, keeps, sends."""
    aside = {"checked", "config", "store", "workers", "model", "model.files", "scoring", "speech"}
    aside |= {"speech.corpora", *(f"speech.corpora.{name}" for name in FINDING)}
    program = "import sys, sdmvae_lite.scoring.evaluation; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    ours = [name for name in loaded.stdout.split() if name.startswith("sdmvae_lite.")]
    assert {name.removeprefix("sdmvae_lite.") for name in ours} - aside == set(evaluation._METHOD)
