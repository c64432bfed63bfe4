"""Frames that need no speech, and small models of them, for the tests of training."""

from dataclasses import replace

import numpy as np
import torch

from sdmvae_lite.config import ModelConfig, TrainingConfig

N_BINS = 33
LOGLINEAR = ModelConfig("loglinear-vae", 6, "learned", hidden=16, n_bins=N_BINS)
MODELS = {
    "vae": ModelConfig(m=4, hidden=16, n_bins=N_BINS),
    "sdm-dct": ModelConfig("sdm-vae", m=4, dictionary="dct", k=6, hidden=16, n_bins=N_BINS),
    "vsc": ModelConfig("vsc", m=4, hidden=16, n_bins=N_BINS),
    "vsc-pseudo": ModelConfig("vsc", m=4, pseudo_inputs=3, hidden=16, n_bins=N_BINS),
    "student": ModelConfig("student-vae", m=4, hidden=16, n_bins=N_BINS),
    "dearest": replace(LOGLINEAR, prior="student-t", nonzero=3, thinning=2),
}
TRAINING = TrainingConfig(learning_rate=1e-2, batch_size=64, max_epochs=6)


def make_frames(n_frames, seed):
    """Power spectra of complex Gaussian noise under two smooth spectral envelopes."""
    rng = np.random.default_rng(seed)
    envelopes = np.exp(3 * np.cos(np.outer([1, 2], np.linspace(0, np.pi, N_BINS))))
    variance = envelopes[rng.integers(2, size=n_frames)]
    return (variance * rng.exponential(size=(n_frames, N_BINS))).astype(np.float32)


def weights(model):
    """All of a model's state as one vector."""
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def stop_before(monkeypatch, model, epoch, error=KeyboardInterrupt):
    """Let the training of a model end in an error when it begins an epoch, counted from 0."""
    begin_epoch = model.begin_epoch

    def stop(number):
        begin_epoch(number)
        if number == epoch:
            raise error

    monkeypatch.setattr(model, "begin_epoch", stop)
