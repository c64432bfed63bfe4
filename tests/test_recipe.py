"""What differs from the paper's protocol: the encoder's input and the schedule."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from noise import MODELS, N_BINS, TRAINING, stop_before, weights

from sdmvae_lite.config import ModelConfig, TrainingConfig
from sdmvae_lite.model.files import load_model, save_model
from sdmvae_lite.model.models import INPUT_FLOOR, build_model
from sdmvae_lite.table.runs import Run
from sdmvae_lite.training.fit import fit, kept_epoch, learning_rate

COSINE = replace(TRAINING, schedule="cosine", patience=1)
LOG = {name: replace(config, input="log-power") for name, config in MODELS.items()}


def trained(config, training, train, validation, **options):
    model = build_model(config, seed=0)
    history = fit(model, train, validation, training, "cpu", progress=False, **options)
    return model, history


@pytest.mark.parametrize("config", LOG.values(), ids=LOG)
def test_the_encoder_sees_standardised_logs_of_the_training_frames(config, train, validation):
    model, _ = trained(config, replace(TRAINING, max_epochs=1), train, validation)
    log = np.log(train.astype(np.float64) + INPUT_FLOOR)
    seen = model.features(torch.from_numpy(train)).numpy()
    assert np.allclose(seen.mean(axis=0), 0, atol=1e-4)
    assert np.isclose(seen.astype(np.float64).std(axis=0).__pow__(2).mean(), 1, atol=1e-4)
    assert np.allclose(model.input_mean, log.mean(axis=0), atol=1e-5)


def test_the_paper_s_encoder_sees_powers(train):
    frames = torch.from_numpy(train)
    assert build_model(MODELS["vae"], seed=0).features(frames) is frames
    assert not any(name.startswith("input") for name in build_model(MODELS["vae"]).state_dict())


def test_the_decoder_starts_from_the_mean_of_what_it_is_to_say(train):
    """Of exponential powers the mean log lies Euler's constant below the log of the mean."""
    powers = np.random.default_rng(0).exponential(5.0, (200_000, N_BINS)).astype(np.float32)
    model = build_model(LOG["vae"], seed=0)
    model.prepare(torch.from_numpy(powers).split(4096))
    assert np.allclose(model.decoder_log_variance.bias.detach(), np.log(5.0), atol=0.02)


def test_statistics_are_taken_once(train, validation):
    model, _ = trained(LOG["vae"], replace(TRAINING, max_epochs=1), train, validation)
    before = model.input_mean.clone()
    fit(model, 3 * train, validation, replace(TRAINING, max_epochs=1), "cpu", progress=False)
    assert torch.equal(model.input_mean, before)


def test_statistics_travel_with_the_model(train, validation, tmp_path):
    model, _ = trained(LOG["vae"], COSINE, train, validation)
    again = load_model(save_model(model, tmp_path / "model"))
    assert torch.equal(weights(again), weights(model))
    assert again.config.input == "log-power"


def test_the_rate_rises_for_an_epoch_and_falls_to_zero():
    training = TrainingConfig(learning_rate=2.0, schedule="cosine", max_epochs=10)
    epochs = np.linspace(0, 10, 101)
    rates = np.array([learning_rate(training, epoch) for epoch in epochs])
    assert rates[0] == rates[-1] == 0
    assert (np.diff(rates[:11]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert np.allclose(rates[10:], 1 + np.cos(np.pi * epochs[10:] / 10))
    assert learning_rate(TrainingConfig(learning_rate=2.0), 7.3) == 2.0


@pytest.mark.parametrize("config", LOG.values(), ids=LOG)
def test_a_cosine_runs_to_its_end_and_keeps_the_last_weights(config, train, validation):
    model, history = trained(config, COSINE, train, validation)
    assert history.epochs == COSINE.max_epochs == kept_epoch(history, COSINE)
    assert history.validation_loss[-1] < history.validation_loss[0]
    held = build_model(config, seed=0)
    fit(held, train, validation, COSINE, "cpu", progress=False)
    assert torch.equal(weights(model), weights(held))


@pytest.mark.parametrize("config", LOG.values(), ids=LOG)
def test_a_cosine_in_two_sittings_equals_one(config, train, validation, tmp_path, monkeypatch):
    whole, history = trained(config, COSINE, train, validation)
    checkpoint = tmp_path / "run.safetensors"
    broken = build_model(config, seed=0)
    stop_before(monkeypatch, broken, 3)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, train, validation, COSINE, "cpu", checkpoint, progress=False)
    again, resumed = trained(config, COSINE, train, validation, checkpoint=checkpoint)
    assert resumed == history
    assert torch.equal(weights(again), weights(whole))


def test_a_row_says_how_it_was_trained():
    model = ModelConfig("sdm-vae", input="log-power")
    assert model.label == "SDM-VAE, D = I, m = 32, log-power input"
    run = Run(model, TrainingConfig(schedule="cosine", seed=3))
    assert run.name == "sdm-identity-32-log-cosine-seed3"


@pytest.mark.parametrize(
    ("kind", "values", "named"),
    [
        (ModelConfig, {"input": "logs"}, "input must be one of power, log-power, not 'logs'"),
        (TrainingConfig, {"schedule": "step"}, "schedule must be one of constant, cosine"),
    ],
)
def test_other_names_are_refused(kind, values, named):
    with pytest.raises(ValueError, match=named):
        kind(**values)
