import numpy as np
import pytest
import torch
from noise import MODELS, TRAINING, weights

from sdmvae_lite.config import TrainingConfig
from sdmvae_lite.model.models import build_model
from sdmvae_lite.training.fit import History, find_device, fit

every_model = pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)


@every_model
def test_training_lowers_the_validation_loss(config, train, validation):
    model = build_model(config, seed=0)
    history = fit(model, train, validation, TRAINING, device="cpu", progress=False)
    assert history.epochs == 6
    assert history.validation_loss[-1] < history.validation_loss[0] - 5
    assert not model.training


@every_model
def test_the_same_seed_is_the_same_run_and_another_is_not(config, train, validation):
    models = [build_model(config, seed=0) for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        run = TrainingConfig(batch_size=64, max_epochs=2, seed=seed)
        fit(model, train, validation, run, device="cpu", progress=False)
    assert torch.equal(weights(models[0]), weights(models[1]))
    assert not torch.equal(weights(models[0]), weights(models[2]))


def test_validation_noise_is_fixed(train, validation):
    """A model that learns nothing has the same validation loss in every epoch."""
    model = build_model(MODELS["vae"], seed=0)
    frozen = TrainingConfig(learning_rate=1e-30, batch_size=64, max_epochs=3)
    history = fit(model, train, validation, frozen, device="cpu", progress=False)
    assert len(set(history.validation_loss)) == 1
    assert len(set(history.train_loss)) == 3


def test_the_best_weights_are_kept_and_not_the_last(train, validation):
    """An absurd learning rate makes the loss jump about, so that best and last differ."""
    config = TrainingConfig(learning_rate=0.3, batch_size=64, max_epochs=8)
    model = build_model(MODELS["vae"], seed=0)
    history = fit(model, train, validation, config, device="cpu", progress=False)
    assert history.best_epoch < history.epochs
    again = build_model(MODELS["vae"], seed=0)
    until_best = TrainingConfig(learning_rate=0.3, batch_size=64, max_epochs=history.best_epoch)
    fit(again, train, validation, until_best, device="cpu", progress=False)
    assert torch.equal(weights(model), weights(again))


def test_training_stops_when_patience_is_spent(train, validation):
    config = TrainingConfig(learning_rate=0.3, batch_size=64, max_epochs=100, patience=3)
    history = fit(
        build_model(MODELS["vae"], seed=0), train, validation, config, "cpu", progress=False
    )
    assert history.epochs == history.best_epoch + 3 < 100


def test_the_best_epoch_counts_from_one():
    history = History()
    assert history.best_epoch == 0
    for value in (3.0, 1.0, 2.0):
        history.append((0.0, 0.0), (value, 0.5), 1.0)
    assert history.best_epoch == 2
    assert history.validation_loss == [3.5, 1.5, 2.5]


@pytest.mark.parametrize(
    ("frames", "named"),
    [
        (np.ones((10, 32), np.float32), r"shape \(10, 32\), the model needs \(n_frames, 33\)"),
        (np.ones((0, 33), np.float32), r"shape \(0, 33\)"),
        (np.ones(33, np.float32), r"shape \(33,\)"),
        (np.full((10, 33), np.nan, np.float32), "NaN"),
        (np.full((10, 33), np.inf, np.float32), "infinite"),
        (np.full((10, 33), -1, np.float32), "negative"),
    ],
)
def test_frames_that_are_no_power_spectra_are_refused(frames, named, train, validation):
    model = build_model(MODELS["vae"], seed=0)
    with pytest.raises(ValueError, match="train frames.*" + named):
        fit(model, frames, validation, TRAINING, device="cpu", progress=False)
    with pytest.raises(ValueError, match="validation frames.*" + named):
        fit(model, train, frames, TRAINING, device="cpu", progress=False)


def test_a_loss_that_overflows_stops_the_run(train, validation):
    config = TrainingConfig(learning_rate=1e6, batch_size=64, max_epochs=50)
    with pytest.raises(FloatingPointError, match="no longer finite in epoch"):
        fit(build_model(MODELS["vae"], 0), train, validation, config, "cpu", progress=False)


def test_devices():
    assert find_device("cpu").type == "cpu"
    for name in ("gpu", "mps", "meta"):
        with pytest.raises(ValueError, match=f"unknown device '{name}': use auto, cpu, cuda"):
            find_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_asked_for_and_absent(train, validation):
    assert find_device("auto").type == "cpu"
    with pytest.raises(RuntimeError, match=r"'cuda' was asked for, and this machine has 0 CUDA"):
        fit(build_model(MODELS["vae"], 0), train, validation, TRAINING, "cuda", progress=False)


@pytest.mark.cuda
@every_model
def test_a_gpu_learns_what_a_cpu_learns(config, train, validation):
    losses = [
        fit(
            build_model(config, seed=0), train, validation, TRAINING, device, progress=False
        ).validation_loss[-1]
        for device in ("cpu", "cuda")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=2.0)
