"""The grid of Table 1: its runs are trained and scored anywhere, one record a run.

See :doc:`12_bring_your_own_speech`.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from joblib import delayed
from tqdm import tqdm

from ..config import to_dict
from ..model.models import VAE, build_model
from ..scoring.codes import code_statistics
from ..scoring.evaluation import Scores, evaluate, unscored
from ..speech.corpora import Corpus
from ..speech.frames import load_frames
from ..store import cache_folder
from ..training.fit import History, find_device, fit
from ..workers import as_done, torch_threads
from .records import DECODED, Record, check_record, read_record, write_record
from .runs import Run, check_runs


class TrainedRun(NamedTuple):
    """A run's model with its best weights, on the CPU, and its losses."""

    model: VAE
    history: History


PACKAGES = ("sdmvae_lite", "torch", "numpy", "librosa", "pesq", "pystoi")


def run_grid(
    runs: Sequence[Run],
    corpus: Corpus,
    folder: Path,
    device: str = "auto",
    n_jobs: int = -1,
    progress: bool = True,
) -> list[Record]:
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
    check_runs(runs)
    paths = {run: Path(folder) / f"{corpus.name}-{run.name}.json" for run in runs}
    missing = [run for run, path in paths.items() if not path.exists()]
    for run, path in paths.items():
        if path.exists():
            check_record(path, run, corpus)
    if missing:
        for part in ("train", "validation"):
            load_frames(corpus, part, progress=progress)  # once, before every worker wants it
    jobs = (delayed(_trained_and_scored)(run, corpus, device) for run in missing)
    bar = tqdm(total=len(runs), initial=len(runs) - len(missing), unit="run", disable=not progress)
    with bar:
        for run, record in as_done(jobs, n_jobs):
            write_record(paths[run], record)
            bar.update()
    return [read_record(path) for path in paths.values()]


def _trained_and_scored(run: Run, corpus: Corpus, device: str) -> tuple[Run, Record]:
    """On one core, and the device."""
    with torch_threads(1):
        trained = train_run(run, corpus, device, progress=False)
        return run, make_record(run, trained, corpus, device, n_jobs=1)


def train_run(run: Run, corpus: Corpus, device: str = "auto", progress: bool = True) -> TrainedRun:
    """Train a run, or take it up from its checkpoint in `store.cache_folder`.

    Raises:
        ValueError, RuntimeError, FloatingPointError: as `fit` does.
    """
    train, validation = (load_frames(corpus, p, progress=False) for p in ("train", "validation"))
    model = build_model(run.model, run.training.seed, run.kind)
    checkpoint = checkpoint_folder(corpus) / f"{run.name}.safetensors"
    history = fit(model, train, validation, run.training, device, checkpoint, progress)
    return TrainedRun(model, history)


def checkpoint_folder(corpus: Corpus) -> Path:
    """Return where `train_run` keeps its checkpoints, one a run."""
    return cache_folder() / "checkpoints" / corpus.fingerprint[:24]


def make_record(
    run: Run,
    trained: TrainedRun,
    corpus: Corpus,
    device: str = "cpu",
    n_jobs: int = -1,
    **notes: Any,
) -> Record:
    """Score every test utterance, decoding mean and sample, and say all there is about the run.

    See :doc:`12_bring_your_own_speech`.

    Args:
        device: on which the run was trained.
        n_jobs: as in `evaluation.evaluate`.
        notes: kept in the record as they are; a ``variant`` makes it a row of its own.
    """
    model, history = trained
    scored = {
        decoded: evaluate(
            model,
            corpus.test,
            sample=decoded == "sample",
            n_jobs=n_jobs,
            progress=False,
            cache=cache_folder() / "scores",
        )
        for decoded in DECODED
    }
    rows, code = scored["posterior mean"], code_statistics(model, corpus.test)
    scale_free = {"hoyer_unit_rms": code.hoyer_unit_rms, "hoyer_kl": code.hoyer_kl}
    losses = {name: values for name, values in asdict(history).items() if name != "seconds"}
    timed = len(history.seconds) == history.epochs
    return {
        "model": to_dict(run.model),
        "training": to_dict(run.training),
        **notes,
        **provenance(corpus, device),
        "seconds of training": round(sum(history.seconds)) if timed else None,
        "best epoch": history.best_epoch,
        "history": {name: _rounded(values, 3) for name, values in losses.items()},
        "code": {"rms": _rounded(code.rms.tolist()), "kl": _rounded(code.kl.tolist())},
        "utterances": {
            "speaker": [row.speaker for row in rows],
            "name": [row.utterance for row in rows],
            "seconds": _rounded([row.seconds for row in rows], 3),
            "n_frames": [row.n_frames for row in rows],
        },
        "posterior mean": _columns(rows) | {k: _rounded(v) for k, v in scale_free.items()},
        "sample": _columns(scored["sample"]),
        "unscored": {decoded: unscored(rows) for decoded, rows in scored.items()},
    }


def _columns(rows: Sequence[Scores]) -> dict[str, list[float | None]]:
    """One list a measure, over the utterances; None where there is no score."""
    measures = sorted({measure for row in rows for measure in row.values})
    return {name: _rounded([row.values.get(name) for row in rows]) for name in measures}


def _rounded(values: Iterable[float | None], digits: int = 4) -> list[float | None]:
    return [None if value is None else round(float(value), digits) for value in values]


def provenance(corpus: Corpus, device: str = "cpu") -> dict[str, Any]:
    """What a file of measurements says of where they come from: speech, versions, machine.

    See :doc:`13_rebuild_table_1`.
    """
    target = find_device(device)
    gpu = f", {torch.cuda.get_device_name(target)}" if target.type == "cuda" else ""
    return {
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint},
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores{gpu}",
    }
