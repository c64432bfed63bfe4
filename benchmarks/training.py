"""Milliseconds per step and run: the plain loop, `fit`, `fit_many`, and the products alone."""

import numpy as np
import torch
from sdmvae_lite.lockstep import fit_many

from sdmvae_lite.config import ModelConfig, TrainingConfig
from sdmvae_lite.model.models import build_model
from sdmvae_lite.table.runs import Run, table_1
from sdmvae_lite.training.fit import fit
from sdmvae_lite.workers import torch_threads

from .clock import in_rounds, seconds, spread
from .plain import train_plainly

BATCH, N_BINS, HIDDEN = 128, 513, 128
TRAINING = TrainingConfig(max_epochs=1)


def measure(steps: int, runs: tuple[int, ...], rounds: int, threads: int, device: str) -> dict:
    """One thread or more, on frames of the size of ``steps`` batches; validation is negligible."""
    frames = make_frames(steps * BATCH)
    few = frames[:BATCH]
    rows = [Run(ModelConfig(), TrainingConfig(max_epochs=1, seed=seed)) for seed in range(5)]
    grids = {1: rows[:1], 5: rows, 14: table_1(1, TRAINING), 70: table_1(5, TRAINING)}

    def per_run_step(function, n_runs=1):
        return 1e3 * seconds(function) / (n_runs * steps)

    def plain():
        train_plainly(build_model(ModelConfig(), 0).to(device), torch.as_tensor(frames).to(device))

    def alone():
        fit(build_model(ModelConfig(), 0), frames, few, TRAINING, device, progress=False)

    def many(n_runs):
        return lambda: fit_many(grids[n_runs], frames, few, device, None, threads, progress=False)

    candidates = {
        "products alone": lambda: products_alone(device),
        "plain loop": lambda: per_run_step(plain),
        "fit": lambda: per_run_step(alone),
    }
    for n_runs in runs:
        candidates[f"fit_many, {n_runs} runs" if n_runs > 1 else "fit_many, 1 run"] = (
            lambda n=n_runs: per_run_step(many(n), n)
        )
    with torch_threads(threads):
        return {name: spread(figures) for name, figures in in_rounds(candidates, rounds).items()}


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
