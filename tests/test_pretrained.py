from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from toc import ROOT

from sdmvae_lite.config import INPUTS, ModelConfig
from sdmvae_lite.model import pretrained
from sdmvae_lite.model.dictionaries import dct_dictionary
from sdmvae_lite.model.models import SDMVAE, build_model
from sdmvae_lite.model.pretrained import WEIGHTS, load_pretrained, pretrained_names, save_pretrained
from sdmvae_lite.scoring.evaluation import evaluate, mean_scores
from sdmvae_lite.speech.corpora import load_corpus
from sdmvae_lite.table.records import read_records
from sdmvae_lite.table.runs import ROWS_OF_TABLE_1

LEARNED = ModelConfig("loglinear-vae", 64, "learned", input="log-power")
AFTER_THE_PAPER = [
    ModelConfig("student-vae", input="log-power"),
    LEARNED,
    replace(LEARNED, dictionary="dct"),
    replace(LEARNED, m=128, nonzero=16),
]


def test_there_are_two_models_for_every_row_of_the_table_and_four_more():
    rows = [replace(row, input=seen) for row in ROWS_OF_TABLE_1 for seen in INPUTS]
    rows += AFTER_THE_PAPER
    assert pretrained_names() == sorted(row.name for row in rows)
    for row in rows:
        assert load_pretrained(row.name).config == row
    assert "CC BY 4.0" in (WEIGHTS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["vae-32", "vsc-0.5-64", "sdm-dct64-32", "vae-32-log"])
def test_it_is_a_trained_model(name):
    """Speech of another kind than it knows, and still a far better model of it than a fresh one."""
    sentences = load_corpus("synthetic", minutes=1).test
    model = load_pretrained(name)
    trained, fresh = (
        mean_scores(evaluate(m, sentences, n_jobs=1, progress=False))
        for m in (model, build_model(model.config, seed=0))
    )
    assert trained["estoi"] > fresh["estoi"] + 0.2


def test_codes_have_the_statistics_of_the_record():
    """What the record says of the run is what the weights do, as far as a few voices can tell."""
    (record, *_) = read_records(ROOT / "results", "speechocean762")["sdm-dct64-32"]
    utterances = load_corpus("synthetic", minutes=1).test
    scores = evaluate(load_pretrained("sdm-dct64-32"), utterances, n_jobs=1, progress=False)
    recorded = record.scores("hoyer").mean()
    assert mean_scores(scores)["hoyer"] == pytest.approx(recorded, abs=0.1)


def test_half_precision_rounds_and_the_dictionary_is_exact(tmp_path, monkeypatch):
    model = build_model(ModelConfig("sdm-vae", m=4, dictionary="dct", k=6, hidden=8), seed=1)
    assert save_pretrained(model, tmp_path).name == "sdm-dct6-4-h8.safetensors"
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path)
    loaded = load_pretrained("sdm-dct6-4-h8").state_dict()
    for name, value in model.state_dict().items():
        within = 0 if name == "dictionary" else 2**-11
        torch.testing.assert_close(loaded[name], value, rtol=within, atol=within * 2**-14)


@pytest.mark.parametrize("dictionary", ["dct", "learned"])
def test_dictionaries_of_spectra_are_kept_where_they_are_learned(tmp_path, monkeypatch, dictionary):
    config = ModelConfig("loglinear-vae", 6, dictionary, hidden=8, nonzero=2)
    model = build_model(config, seed=1)
    path = save_pretrained(model, tmp_path)
    assert ("dictionary" in load_file(path)) == (dictionary == "learned")
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path)
    loaded = load_pretrained(config.name)
    within = 2**-10 if dictionary == "learned" else 0
    torch.testing.assert_close(loaded.atoms(), model.atoms(), rtol=within, atol=within * 2**-4)


@pytest.mark.parametrize("spoil", [torch.Tensor.int, lambda x: x.fill_(torch.nan)])
def test_weights_that_are_no_numbers_are_refused(tmp_path, monkeypatch, spoil):
    path = save_pretrained(build_model(ModelConfig(m=4, hidden=8), seed=1), str(tmp_path))
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    state = load_file(path)
    save_file(state | {"encoder_mu.bias": spoil(state["encoder_mu.bias"])}, path, metadata)
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path)
    with pytest.raises(ValueError, match=r"vae-4-h8.* does not hold the weights .*encoder_mu.bias"):
        load_pretrained("vae-4-h8")


def test_other_names_are_refused():
    with pytest.raises(ValueError, match=r"called 'sdm-vae': choose one of loglinear-dct-64-log, "):
        load_pretrained("sdm-vae")


def test_a_dictionary_of_ones_own_is_not_lost(tmp_path):
    config = ModelConfig("sdm-vae", m=4, hidden=8)
    model = SDMVAE(config, dct_dictionary(4, 4))
    with pytest.raises(ValueError, match="sdm-identity-4-h8 has a dictionary of its own"):
        save_pretrained(model, tmp_path)
    assert not list(tmp_path.iterdir())
