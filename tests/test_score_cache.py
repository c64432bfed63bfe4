import errno
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from test_evaluation import Samples, backend, quietly  # noqa: F401

from sdmvae_lite import score_cache
from sdmvae_lite.config import ModelConfig, STFTConfig
from sdmvae_lite.model.models import VAE, build_model
from sdmvae_lite.scoring.evaluation import METRICS, evaluate
from sdmvae_lite.scoring.score_cache import read_scores, score_paths, write_scores
from sdmvae_lite.speech.corpora import Utterance, load_corpus

CONFIG = ModelConfig("sdm-vae")


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


@pytest.fixture(scope="module")
def model():
    return build_model(CONFIG, seed=0)


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


def test_where_all_is_kept_nothing_is_started(model, clips, backend, tmp_path):  # noqa: F811
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
    moved = quietly(model, clips[1:], sample=True, seed=5, cache=tmp_path)
    assert len(computed) == 8
    assert moved[0].values["si_sdr"] != sampled[1].values["si_sdr"]


def test_whatever_decides_a_score_is_in_the_name_of_its_file(model, clips, monkeypatch, tmp_path):
    def path(model=model, speech=clips[0], seed=None, config=STFTConfig(), metrics=METRICS):
        return score_paths(tmp_path, model, [speech], [seed], config, metrics)[0]

    other_weights, other_kind = build_model(CONFIG, seed=1), VAE(CONFIG)
    other_kind.load_state_dict(model.state_dict(), strict=False)
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
        path(config=STFTConfig(1024, 128)),
        path(metrics=[*METRICS, "loudness"]),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(score_cache, "version", lambda name: "0.0")
        paths.append(path())
    with monkeypatch.context() as patch:
        patch.setattr(score_cache, "_CODE", "other")
        paths.append(path())
    assert len(set(paths)) == len(paths)
    assert path() == paths[0]


def test_synthetic_speech_is_known_by_what_it_is_made_from(model, spoken, tmp_path):
    def paths(corpus):
        nothing = [None] * len(corpus.test)
        return score_paths(tmp_path, model, corpus.test, nothing, STFTConfig(), METRICS)

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
        lambda text: text.replace('"scores"', '"score"'),
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


def test_a_full_disk_is_named_and_leaves_nothing_half_written(
    model, clips, computed, monkeypatch, tmp_path
):
    def full(self, text, encoding):
        with self.open("w") as file:
            file.write(text[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    quietly(model, clips[:1], cache=tmp_path)
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match=rf"kept in {tmp_path} \(.*No space.*name another cache"):
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


def test_the_scores_of_a_model_of_ones_own_are_computed_but_not_kept(clips, tmp_path):
    class Mine(VAE):
        pass

    with pytest.raises(ValueError, match=r"scores of a .*Mine cannot be kept.*leave cache out"):
        quietly(Mine(), clips, cache=tmp_path / "cache")
    assert not list(tmp_path.iterdir())
    assert len(quietly(Mine(), clips)) == 3


def test_a_file_holds_what_was_written(tmp_path):
    path = tmp_path / "one.json"
    assert read_scores(path) is None
    scores = {"values": {"si_sdr": -0.1 - 0.2, "pesq": 1e-300}, "speaker": "Žofie\n"}
    write_scores(path, scores)
    assert read_scores(path) == scores
    assert json.loads(path.read_text())["scores"] == scores
