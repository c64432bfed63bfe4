"""Algorithm 1 for a whole table: many runs at once, each as `training.fit` would have made it.

`fit_many` differs from `fit` in two ways, both for speed: gradients are derived by hand, and many
runs share the machine. On a CPU each core takes one run at a time, whose weights stay in its cache.
On a GPU the runs of one row of the table are stacked, their products batched, and a whole step is
captured once and replayed. See :doc:`12_bring_your_own_speech`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
import torch
from joblib import cpu_count
from torch import Tensor
from tqdm import tqdm

from .batches import hold_frames
from .config import Run
from .models import VAE, build_model
from .stacks import Trainee, train_together
from .training import History, find_device
from .workers import torch_threads


class TrainedRun(NamedTuple):
    """A run's model with its best weights, on the CPU, and its losses.

    See :doc:`12_bring_your_own_speech`.
    """

    model: VAE
    history: History


def fit_many(
    runs: Sequence[Run],
    train: np.ndarray,
    validation: np.ndarray,
    device: str = "auto",
    folder: Path | None = None,
    n_jobs: int = -1,
    progress: bool = True,
) -> list[TrainedRun]:
    """Train every run, many at a time; each ends as ``build_model`` and `fit` would end it.

    A run has its own initialisation, data order and noise, all from its seed, its own best weights
    and its own end; what is left of the others goes on without it. Results equal `fit`'s up to
    float32 rounding, which training amplifies from epoch to epoch.
    See :doc:`12_bring_your_own_speech`.

    Args:
        runs: any mixture of models and seeds.
        train: power spectra, (n_frames, n_bins).
        validation: likewise, of other speakers.
        device: as in `fit`.
        folder: of checkpoints, one a run and the same as `fit` writes; a run whose checkpoint is
            there goes on from it, or is done.
        n_jobs: runs at a time on a CPU; -1 is one a core. A GPU takes all at once.
        progress: show a bar with the epochs done, and the time left if none stopped early.

    Returns:
        in the order of ``runs``.

    Raises:
        ValueError, RuntimeError, FloatingPointError: as `fit` does, naming the run where it is
            one; also for two runs of one name. The others are stopped, and can be taken up again.
    """
    target = find_device(device)
    check_runs(runs)
    n_bins = runs[0].model.n_bins
    train = hold_frames(train, "train", n_bins, target)
    validation = hold_frames(validation, "validation", n_bins, target)
    trainees = [Trainee(run, train, validation, target, folder) for run in runs]
    with _progress(trainees, progress) as bar:
        if target.type == "cuda":
            stacks = _stacks(trainees, streamed=not isinstance(train, Tensor))
            _in_turns([train_together(stack, train, validation, bar) for stack in stacks])
            torch.cuda.synchronize(target)
        else:
            workers = min(len(runs), n_jobs if n_jobs > 0 else cpu_count())
            jobs = [train_together([trainee], train, validation, bar) for trainee in trainees]
            _side_by_side(jobs, workers)
    return [TrainedRun(_best_model(trainee), trainee.history) for trainee in trainees]


def _side_by_side(jobs: Sequence[Iterator[None]], workers: int) -> None:
    """Go through all jobs, as many at a time as there are workers, each on a core of its own."""
    halt = Event()

    def go_through(job: Iterator[None]) -> None:
        for _ in job:
            if halt.is_set():
                return

    with torch_threads(1), ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(go_through, job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
        finally:  # also when interrupted: nothing goes on behind the caller's back
            halt.set()
            pool.shutdown(cancel_futures=True)


def _in_turns(jobs: Sequence[Iterator[None]]) -> None:
    """Step through all jobs in turn: a GPU works on all while the CPU asks for the next steps."""
    going = list(jobs)
    while going:
        going = [job for job in going if next(job, going) is not going]


def _stacks(trainees: Sequence[Trainee], streamed: bool) -> list[list[Trainee]]:
    """Trainees that can share products: of one row and epoch, on frames that all can see."""
    if streamed:
        return [[trainee] for trainee in trainees]
    alike: dict[tuple, list[Trainee]] = {}
    for trainee in trainees:
        model, training = trainee.run.model, trainee.run.training
        key = (model, training.learning_rate, training.batch_size, trainee.history.epochs)
        alike.setdefault(key, []).append(trainee)
    return list(alike.values())


def _best_model(trainee: Trainee) -> VAE:
    """The trained model, in memory of its own."""
    model = build_model(trainee.run.model, seed=0)
    model.load_state_dict(trainee.best)
    return model.eval()


def _progress(trainees: Sequence[Trainee], shown: bool) -> tqdm:
    """A bar of epochs, whose total shrinks where a run stops early."""
    done = sum(trainee.history.epochs for trainee in trainees)
    left = sum(trainee.epochs_left for trainee in trainees if not trainee.finished)
    return tqdm(total=done + left, initial=done, unit="epoch", disable=not shown)


def check_runs(runs: Sequence[Run]) -> None:
    """See that there are runs, that they can be trained together, and that no two share a name.

    See :doc:`12_bring_your_own_speech`.

    Raises:
        ValueError: saying which is not so.
    """
    if not runs:
        raise ValueError("there are no runs to train")
    if len({run.model.n_bins for run in runs}) > 1:
        raise ValueError("the runs' models have different numbers of bins: train them apart")
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"two runs are called {name}, and so would their files be: give them other seeds, "
                "or train them apart, in a folder each"
            )
