"""Milliseconds per step and run: the plain loop, `fit`, `fit` on every core, the products alone."""

import numpy as np
import torch
from joblib import delayed

from sdmvae_lite import ModelConfig, TrainingConfig, build_model, fit
from sdmvae_lite.workers import as_done, torch_threads

from .clock import in_rounds, seconds, spread
from .plain import train_plainly

BATCH, N_BINS, HIDDEN = 128, 513, 128
MODELS = {
    "fit": ModelConfig(),
    "fit, SDM-VAE": ModelConfig("sdm-vae"),
    "fit, VSC": ModelConfig("vsc"),
}


def measure(steps: int, rounds: int, threads: int, cores: int, device: str) -> dict:
    """Go over frames of the size of ``steps`` batches; validation is negligible."""
    frames = make_frames(steps * BATCH)

    def per_step(function, n_runs: int = 1) -> float:
        return 1e3 * seconds(function) / (n_runs * steps)

    def plain():
        train_plainly(build_model(ModelConfig(), 0).to(device), torch.as_tensor(frames).to(device))

    def on_every_core():
        jobs = (delayed(train)(ModelConfig(), frames, device) for _ in range(cores))
        list(as_done(jobs, cores))

    candidates = {
        "products alone": lambda: products_alone(device),
        "plain loop": lambda: per_step(plain),
        **{
            name: lambda config=config: per_step(lambda: train(config, frames, device))
            for name, config in MODELS.items()
        },
    }
    if device == "cpu":
        candidates[f"fit, on each of {cores} cores"] = lambda: per_step(on_every_core, cores)
    with torch_threads(threads):
        return {name: spread(figures) for name, figures in in_rounds(candidates, rounds).items()}


def train(config: ModelConfig, frames: np.ndarray, device: str) -> None:
    training = TrainingConfig(max_epochs=1)
    fit(build_model(config, 0), frames, frames[:BATCH], training, device, progress=False)


def products_alone(device: str, repetitions: int = 300) -> float:
    """Milliseconds of the five large products of a step: less is not possible in float32."""
    x, d_y = (torch.rand(BATCH, N_BINS, device=device) for _ in range(2))
    hidden = torch.rand(BATCH, HIDDEN, device=device)
    encoder = torch.rand(HIDDEN, N_BINS, device=device)
    decoder = torch.rand(N_BINS, HIDDEN, device=device)

    def step():
        x @ encoder.T, hidden @ decoder.T, d_y @ decoder, d_y.T @ hidden, hidden.T @ x

    def repeated():
        for _ in range(repetitions):
            step()
        if device != "cpu":
            torch.cuda.synchronize()

    return 1e3 * seconds(repeated) / repetitions


def matrix_rate(device: str, size: int = 4096, repetitions: int = 3) -> float:
    """GFLOP/s of large float32 products: what the device can do."""
    a, b = (torch.rand(size, size, device=device) for _ in range(2))

    def repeated():
        for _ in range(repetitions):
            a @ b
        if device != "cpu":
            torch.cuda.synchronize()

    repeated()
    return repetitions * 2 * size**3 / seconds(repeated) / 1e9


def make_frames(n_frames: int) -> np.ndarray:
    """Numbers of the size of power spectra: the time does not depend on what they say."""
    rng = np.random.default_rng(0)
    return 0.1 * rng.standard_exponential((n_frames, N_BINS), dtype=np.float32)
