"""What might have been faster than `fit_many` as it is; NOTES.md says what came of it.

OMP_NUM_THREADS=1 python -m benchmarks.trials
"""

import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from joblib import Parallel, delayed

from sdmvae_lite import stacks
from sdmvae_lite.batches import hold_frames
from sdmvae_lite.config import ModelConfig, Run, TrainingConfig
from sdmvae_lite.gradients import negative_elbo
from sdmvae_lite.lockstep import fit_many
from sdmvae_lite.models import build_model, loss
from sdmvae_lite.workers import torch_threads

from .clock import in_rounds, seconds, spread
from .training import BATCH, HIDDEN, N_BINS, make_frames

STEPS, ROUNDS = 200, 5
CPU = torch.device("cpu")
FRAMES = make_frames(STEPS * BATCH)


def ms_per_step(runs: int, elbo: Callable = negative_elbo) -> Callable[[], float]:
    """Milliseconds a step and run of a stack, with another `negative_elbo` if one is given."""
    held = hold_frames(FRAMES, "train", N_BINS, CPU)
    seeds = [Run(ModelConfig(), TrainingConfig(seed=seed)) for seed in range(runs)]
    group = stacks.Stack([stacks.Trainee(run, held, held, CPU) for run in seeds])

    def measure() -> float:
        steps = group.epoch(held, held[:BATCH])
        with patch.object(stacks, "negative_elbo", elbo):
            return 1e3 * seconds(lambda: [next(steps) for _ in range(STEPS)]) / (STEPS * runs)

    return measure


def products(dtype: torch.dtype) -> Callable[[], float]:
    """The five large products, in microseconds, with the conversion of their factors if any."""
    x, d_y = (torch.rand(BATCH, N_BINS) for _ in range(2))
    hidden, d_hidden = (torch.rand(BATCH, HIDDEN) for _ in range(2))
    encoder, decoder = torch.rand(HIDDEN, N_BINS), torch.rand(N_BINS, HIDDEN)

    def step() -> None:
        s, d, h, dh, e, w = (
            value.to(dtype) for value in (x, d_y, hidden, d_hidden, encoder, decoder)
        )
        for product in (s @ e.T, h @ w.T, d @ w, d.T @ h, dh.T @ s):
            product.float()

    def measure() -> float:
        return 1e6 * seconds(lambda: [step() for _ in range(STEPS)]) / STEPS

    return measure


def autograd(bfloat16: bool) -> Callable[[], float]:
    """A step of `fit`'s kind, with PyTorch's automatic mixed precision or without."""
    model, frames = build_model(ModelConfig(), 0), torch.from_numpy(FRAMES)
    adam = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def measure() -> float:
        started = time.perf_counter()
        for batch in frames.split(BATCH):
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                output = model(batch)
            reconstruction, kl = loss(
                model, batch, output._replace(log_variance=output.log_variance.float())
            )
            adam.zero_grad()
            (reconstruction + kl).backward()
            adam.step()
        return 1e3 * (time.perf_counter() - started) / STEPS

    return measure


def two_runs(processes: bool) -> Callable[[], float]:
    """Milliseconds a step and run of two runs on two cores, as threads or as processes."""
    runs = [Run(ModelConfig(), TrainingConfig(max_epochs=2, seed=seed)) for seed in (0, 1)]
    pool = Parallel(n_jobs=2)

    def alone(run: Run) -> None:
        with torch_threads(1):
            fit_many([run], FRAMES, FRAMES[:BATCH], "cpu", n_jobs=1, progress=False)

    def as_processes() -> None:
        pool(delayed(alone)(run) for run in runs)

    def as_threads() -> None:
        fit_many(runs, FRAMES, FRAMES[:BATCH], "cpu", n_jobs=2, progress=False)

    def measure() -> float:
        return 1e3 * seconds(as_processes if processes else as_threads) / (4 * STEPS)

    return measure


def main() -> None:
    compiled = torch.compile(negative_elbo)
    trials = {
        "five products, float32 (us)": products(torch.float32),
        "five products, bfloat16 and converting (us)": products(torch.bfloat16),
        "a step by autograd, float32 (ms)": autograd(False),
        "a step by autograd, bfloat16 (ms)": autograd(True),
        "a step by hand, one run (ms)": ms_per_step(1),
        "a step by hand, five runs stacked (ms)": ms_per_step(5),
        "a step by hand, compiled (ms)": ms_per_step(1, compiled),
        "two runs as threads (ms)": two_runs(False),
        "two runs as processes (ms)": two_runs(True),
    }
    with torch_threads(1):
        for name, figures in in_rounds(trials, ROUNDS).items():
            value = spread(figures)
            print(f"{name:<46} {value['median']:8.3g} ({value['min']:.3g} to {value['max']:.3g})")


if __name__ == "__main__":
    main()
