"""The grid of Table 1: which runs it takes, running them anywhere, one record a run.

A record is a JSON file with everything behind a published number: configuration, seed, corpus and
fingerprint, versions, machine, losses of every epoch, scores of every test utterance. See
:doc:`12_bring_your_own_speech`.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from joblib import delayed
from tqdm import tqdm

from .config import ModelConfig, Run, TrainingConfig, cache_folder, to_dict
from .corpora import Corpus
from .evaluation import Scores, evaluate
from .frames import load_frames
from .lockstep import TrainedRun, fit_many
from .training import find_device
from .workers import as_done, torch_threads

ROWS_OF_TABLE_1 = tuple(
    config
    for m in (32, 64)
    for config in (
        ModelConfig("vae", m=m),
        *(ModelConfig("vsc", m=m, alpha=alpha) for alpha in (0.05, 0.5, 0.9)),
        ModelConfig("sdm-vae", m=m),
        *(ModelConfig("sdm-vae", m=m, dictionary="dct", k=k) for k in (32, 64)),
    )
)
PACKAGES = ("sdmvae_lite", "torch", "numpy", "librosa", "pesq", "pystoi")


def table_1(seeds: int = 5, training: TrainingConfig = TrainingConfig()) -> list[Run]:
    """The runs of the paper's Table 1: fourteen rows, each from ``seeds`` seeds, all rows first.

    See :doc:`12_bring_your_own_speech`.

    >>> [run.name for run in table_1(seeds=1)][:3]
    ['vae-32-seed0', 'vsc-0.05-32-seed0', 'vsc-0.5-32-seed0']
    >>> len(table_1())
    70
    """
    return [
        Run(row, TrainingConfig(**asdict(training) | {"seed": seed}))
        for seed in range(seeds)
        for row in ROWS_OF_TABLE_1
    ]


def run_grid(
    runs: Sequence[Run],
    corpus: Corpus,
    folder: Path,
    device: str = "auto",
    n_jobs: int = -1,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train and score every run; its record lands in ``folder`` as soon as it is done.

    A run whose record is there is not made again, and one that was interrupted goes on from its
    checkpoint in `config.cache_folder`, so the same call, given again, takes up where the last one
    ended. See :doc:`12_bring_your_own_speech`.

    Args:
        folder: of records, called after corpus and run.
        device: as in `training.fit`. On a GPU all runs are trained at once, and scored over all
            cores after that.
        n_jobs: runs at a time on CPUs; -1 is one a core. Within a ``joblib.parallel_config`` they
            go to that backend: other processes, or the workers of a Dask or Ray cluster.

    Returns:
        the records, in the order of ``runs``.

    Raises:
        ValueError, RuntimeError, FloatingPointError: as `fit_many` does, or if a record that is
            there is of another run or corpus, naming it.
    """
    paths = {run: Path(folder) / f"{corpus.name}-{run.name}.json" for run in runs}
    missing = [run for run, path in paths.items() if not path.exists()]
    for run, path in paths.items():
        if path.exists():
            _check_record(path, run, corpus)
    records = _records(missing, corpus, device, n_jobs, progress) if missing else ()
    bar = tqdm(total=len(runs), initial=len(runs) - len(missing), unit="run", disable=not progress)
    with bar:
        for run, record in records:
            _write(paths[run], record)
            bar.update()
    return [read_record(path) for path in paths.values()]


def read_record(path: Path) -> dict[str, Any]:
    """The record in a file.

    See :doc:`12_bring_your_own_speech`.

    Raises:
        ValueError: naming the file, if it holds none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["model"], record["training"], record["corpus"]["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} holds no run record ({error}): remove it to make it anew"
        ) from None
    return record


def _records(
    runs: Sequence[Run], corpus: Corpus, device: str, n_jobs: int, progress: bool
) -> Iterable[tuple[Run, dict[str, Any]]]:
    """Each run with its record, as it is done."""
    for part in ("train", "validation"):
        load_frames(corpus, part, progress=progress)  # once, before every worker wants it
    if find_device(device).type == "cuda":
        return _on_gpu(runs, corpus, device, n_jobs, progress)
    return _on_cpus(runs, corpus, n_jobs)


def _on_cpus(
    runs: Sequence[Run], corpus: Corpus, n_jobs: int
) -> Iterable[tuple[Run, dict[str, Any]]]:
    """Each run on a core of its own, wherever joblib's backend has cores."""
    jobs = (delayed(_on_one_core)(run, corpus) for run in runs)
    return as_done(jobs, n_jobs)


def _on_one_core(run: Run, corpus: Corpus) -> tuple[Run, dict[str, Any]]:
    with torch_threads(1):
        (trained,), seconds = _train([run], corpus, "cpu", progress=False)
        return run, _record(run, trained, corpus, seconds, "cpu", n_jobs=1)


def _on_gpu(
    runs: Sequence[Run], corpus: Corpus, device: str, n_jobs: int, progress: bool
) -> Iterator[tuple[Run, dict[str, Any]]]:
    """All runs trained together on the GPU, then scored one after the other over all cores."""
    trained, seconds = _train(runs, corpus, device, progress)
    for run, result in zip(runs, trained, strict=True):
        yield run, _record(run, result, corpus, seconds, device, n_jobs)


def _train(
    runs: Sequence[Run], corpus: Corpus, device: str, progress: bool
) -> tuple[list[TrainedRun], float]:
    """The trained runs, and the seconds that this sitting took for all of them."""
    train, validation = (load_frames(corpus, p, progress=False) for p in ("train", "validation"))
    checkpoints = cache_folder() / "checkpoints" / corpus.fingerprint[:24]
    started = time.monotonic()
    trained = fit_many(runs, train, validation, device, checkpoints, progress=progress)
    return trained, time.monotonic() - started


def _record(
    run: Run, trained: TrainedRun, corpus: Corpus, seconds: float, device: str, n_jobs: int
) -> dict[str, Any]:
    """Score every test utterance both ways, and say all there is to say about the run."""
    history, cache = trained.history, cache_folder() / "scores"

    def scores(sample: bool) -> list[dict[str, Any]]:
        rows = evaluate(
            trained.model, corpus.test, sample, n_jobs=n_jobs, progress=False, cache=cache
        )
        return [_rounded(row) for row in rows]

    return {
        "model": to_dict(run.model),
        "training": to_dict(run.training),
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint},
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "machine": _machine(device),
        "seconds of training in the last sitting": round(seconds),
        "best epoch": history.best_epoch,
        "history": {
            name: [round(loss, 3) for loss in losses] for name, losses in asdict(history).items()
        },
        "posterior mean": scores(sample=False),
        "sample": scores(sample=True),
    }


def _rounded(scores: Scores) -> dict[str, Any]:
    values = {name: round(value, 4) for name, value in scores.values.items()}
    return asdict(scores) | {"values": values, "seconds": round(scores.seconds, 3)}


def _machine(device: str) -> str:
    gpu = "" if device == "cpu" else f", {torch.cuda.get_device_name(find_device(device))}"
    return f"{platform.machine()}, {os.cpu_count()} cores{gpu}"


def _check_record(path: Path, run: Run, corpus: Corpus) -> None:
    record = read_record(path)
    wanted = {"model": to_dict(run.model), "training": to_dict(run.training)}
    for key, value in wanted.items():
        if record[key] != value:
            raise ValueError(
                f"{path} is of another run ({key} is {record[key]}, wanted is {value}): "
                "name another folder, or remove it"
            )
    if record["corpus"]["fingerprint"] != corpus.fingerprint:
        raise ValueError(f"{path} is of other speech than {corpus!r}: name another folder")


def _write(path: Path, record: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        part.write_text(json.dumps(record) + "\n", encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
