"""The tools that make what is published beside the table: weights, variants, few coefficients."""

import json
import sys

import numpy as np
import pytest
import torch
from joblib import parallel_config
from recordings import write_speakers
from safetensors.torch import load_file
from toc import ROOT

from sdmvae_lite.config import ModelConfig, TrainingConfig, get_preset
from sdmvae_lite.model.pretrained import pretrained_names
from sdmvae_lite.speech.corpora import load_corpus
from sdmvae_lite.speech.spectra import normalise, training_frames, trim
from sdmvae_lite.table.grid import run_grid, train_run
from sdmvae_lite.table.records import read_records
from sdmvae_lite.table.runs import Run, table_1

sys.path.insert(0, str(ROOT / "tools"))
import export_weights
import keep_coefficients
import run_variants


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SDMVAE_CACHE", str(tmp_path / "cache"))
    with parallel_config("sequential"):
        yield


@pytest.fixture
def mine(tmp_path):
    """Recordings of four speakers."""
    return write_speakers(tmp_path / "mine", ["anna", "ben", "cem", "dora"])


def test_the_weights_are_those_of_the_table(tmp_path, mine):
    corpus, weights = str(mine), tmp_path / "weights"
    export_weights.main([corpus, "--preset", "smoke", "--out", str(weights)])
    names = {path.stem for path in weights.iterdir()}
    assert names == {name for name in pretrained_names() if name.endswith("-log")}
    (run,) = table_1(1, get_preset("smoke").training, [ModelConfig(input="log-power")])
    model, _ = train_run(run, load_corpus(corpus), "cpu", progress=False)
    exported = load_file(weights / "vae-32-log.safetensors")
    for name, value in model.state_dict().items():
        torch.testing.assert_close(exported[name], value.half(), rtol=0, atol=0)


def test_variants_stand_beside_the_rows_that_they_vary(tmp_path, mine):
    folder = tmp_path / "records"
    runs = table_1(1, get_preset("smoke").training, [ModelConfig(input="log-power")])
    (base,) = run_grid(runs, load_corpus(mine), folder, "cpu", progress=False)
    options = ["--preset", "smoke", "--seeds", "1", "--out", str(folder)]
    run_variants.main([str(mine), *options])
    records = read_records(folder, "mine")
    for variant in run_variants.VARIANTS:
        (record,) = records[f"vae-32-log-cosine-{variant}"]
        assert record.model == base.model
        assert record.training.shuffle == (variant != "unshuffled")
    for variant in ("unshuffled", "padded-twice"):  # nothing is trimmed of these recordings
        (record,) = records[f"vae-32-log-cosine-{variant}"]
        assert record.posterior_mean != base.posterior_mean


def test_the_weights_of_the_last_epoch_are_not_those_of_the_best():
    run = Run(ModelConfig(), TrainingConfig(learning_rate=3e-3, patience=1))
    corpus = load_corpus("synthetic", minutes=1)
    runs = (run, run_variants.varied(run, "last-epoch"))
    best, last = (run_variants.trained(one, corpus) for one in runs)
    assert best.history == last.history
    assert best.history.best_epoch == best.history.epochs - 1
    assert (best.model.encoder_mu.weight != last.model.encoder_mu.weight).any()


def test_frames_are_prepared_as_the_variant_says(mine):
    (utterance, *_) = load_corpus(mine).train
    waveform = utterance.waveform()
    kept = len(trim(normalise(waveform)))
    frames = {
        name: run_variants.frames_of([utterance], prepare)
        for name, prepare in run_variants.PREPARED.items()
    }
    assert len(frames["untrimmed"]) == 1 + len(waveform) // 256
    assert len(frames["padded-twice"]) == 1 + kept // 256 + 4  # 512 samples at each end
    np.testing.assert_allclose(
        frames["padded-twice"][5:-6], training_frames(waveform)[3:-4], rtol=1e-3, atol=1e-4
    )


def kept_of(folder, *arguments):
    keep_coefficients.main(["synthetic", "--preset", "smoke", "--out", str(folder), *arguments])
    return json.loads((folder / "synthetic-coefficients-kept.json").read_text())


def test_what_is_kept_of_few_coefficients_is_scored(tmp_path):
    found = kept_of(tmp_path, "--rows", "sdm-dct64-32", "vae-32")
    assert list(found["kept"]) == ["vae-32-log-cosine", "sdm-dct64-32-log-cosine"]
    corpus = load_corpus("synthetic", minutes=2)
    assert found["speakers"] == sorted(one.speaker for one in corpus.test)
    for width, seeds in zip((32, 64), found["kept"].values(), strict=True):
        scores = seeds["0"]["si_sdr"]
        means = [sum(values) / len(values) for values in scores.values()]
        assert [int(count) for count in scores] == [
            n for n in (1, 2, 4, 8, 16, 32, 64) if n <= width
        ]
        assert means[0] < means[-1]

    vae = ModelConfig("vae", input="log-power")
    (run,) = table_1(1, get_preset("smoke").training, [vae])
    (record,) = run_grid([run], corpus, tmp_path, "cpu", progress=False)
    by_speaker = np.argsort(record.utterances["speaker"], kind="stable")
    for measure, scores in found["kept"]["vae-32-log-cosine"]["0"].items():
        np.testing.assert_allclose(scores["32"], record.scores(measure)[by_speaker], atol=2e-3)


def test_trainings_are_added_to_those_that_a_file_holds(tmp_path, monkeypatch):
    first = kept_of(tmp_path, "--rows", "vae-32")["kept"]
    made = []

    def counted(run, *rest, **how):
        made.append(run.training.seed)
        return train_run(run, *rest, **how)

    monkeypatch.setattr(keep_coefficients, "train_run", counted)
    both = kept_of(tmp_path, "--rows", "vae-32", "--seeds", "2")["kept"]["vae-32-log-cosine"]
    assert made == [1]
    assert list(both) == ["0", "1"]
    assert both["0"] == first["vae-32-log-cosine"]["0"] != both["1"]


def test_a_file_of_other_speech_is_not_added_to(tmp_path):
    other = {"corpus": {"fingerprint": "other"}, "speakers": [], "kept": {}}
    (tmp_path / "synthetic-coefficients-kept.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match=r"kept\.json is of other speech: name another"):
        kept_of(tmp_path)
