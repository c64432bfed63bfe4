"""Frames that need no speech, for the tests of training."""

import numpy as np

N_BINS = 33


def make_frames(n_frames, seed):
    """Power spectra of complex Gaussian noise under two smooth spectral envelopes."""
    rng = np.random.default_rng(seed)
    envelopes = np.exp(3 * np.cos(np.outer([1, 2], np.linspace(0, np.pi, N_BINS))))
    variance = envelopes[rng.integers(2, size=n_frames)]
    return (variance * rng.exponential(size=(n_frames, N_BINS))).astype(np.float32)
