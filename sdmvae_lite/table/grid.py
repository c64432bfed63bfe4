"""Grids of runs: trained and scored on this machine or a cluster, one record a run."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import delayed, parallel_config
from tqdm import tqdm

from ..model.models import VAE, build_model
from ..scoring.codes import code_statistics
from ..scoring.evaluation import PACKAGES, Scores, evaluate, unscored
from ..speech.corpora import Corpus
from ..speech.frames import load_frames
from ..store import cache_folder, key
from ..training.batches import hold_frames
from ..training.checkpoints import describe_run
from ..training.fit import History, find_device, fit, kept_epoch
from ..workers import as_done, torch_threads
from .records import Record, check_record, read_record, write_record
from .runs import Run, check_runs


class TrainedRun(NamedTuple):
    """A run's model with its best weights, on the CPU, and its losses."""

    model: VAE
    history: History


def train_run(run: Run, corpus: Corpus, device: str = "auto", progress: bool = True) -> TrainedRun:
    """Train a run on the frames of a corpus, see `train_on`."""
    train = load_frames(corpus, "train", run.model.stft, progress=progress)
    validation = load_frames(corpus, "validation", run.model.stft, progress=progress)
    return train_on(run, train, validation, device, progress)


def train_on(
    run: Run, train: np.ndarray, validation: np.ndarray, device: str = "auto", progress: bool = True
) -> TrainedRun:
    """Train a run, or take it up from its checkpoint; raise what `training.fit` raises.

    A model of one's own starts anew if the text of its class is not found, as in other processes
    than its notebook: nothing would tell that it has changed.
    """
    model = _untrained(run)
    path = checkpoint_path(run, train, validation)
    return TrainedRun(model, fit(model, train, validation, run.training, device, path, progress))


def checkpoint_path(run: Run, train: np.ndarray, validation: np.ndarray) -> Path | None:
    """Return where `train_on` keeps the checkpoint of a run on these frames; None for nowhere."""
    hold = partial(hold_frames, n_bins=run.model.n_bins, device=torch.device("cpu"))
    held = hold(train, "train"), hold(validation, "validation")
    try:
        name = key("checkpoint", **describe_run(_untrained(run), run.training, *held))
    except ValueError:  # a class without a text
        return None
    return cache_folder() / "checkpoints" / f"{name}.safetensors"


def _untrained(run: Run) -> VAE:
    if isinstance(run.kind, str):
        raise ValueError(f"a record does not hold the class {run.kind}: give it to the Run")
    return build_model(run.model, run.training.seed, run.kind)


def run_grid(
    runs: Sequence[Run],
    corpus: Corpus,
    folder: str | os.PathLike[str],
    device: str = "auto",
    n_jobs: int = -1,
    progress: bool = True,
    train: Callable[..., TrainedRun] = train_run,
    samples: bool = True,
) -> list[Record]:
    """Train and score every run, and return their records, in the order of ``runs``.

    Each record is written to ``folder`` as soon as it is made; the same call, given again, goes on
    from records and checkpoints. Once the code of a model of one's own has changed, name another
    folder. See :doc:`15_bring_your_own_speech`.

    Before anything is trained, raise ValueError, naming it, where two runs share a name or a record
    is of another run or corpus, and OSError for a folder that cannot be written.

    Args:
        n_jobs: runs at a time; -1 is one a core. Within a ``joblib.parallel_config`` they go to
            that backend: other processes, or the workers of a Dask or Ray cluster.
        train: called as `train_run` is, to train a run in another way.
        samples: score sampled codes as well as means, in twice the time.
    """
    check_runs(runs)
    folder = Path(folder).expanduser()
    paths = {run.name: folder / f"{corpus.name}-{run.name}.json" for run in runs}
    missing = [run for run in runs if not paths[run.name].exists()]
    for run in runs:
        if run not in missing:
            check_record(paths[run.name], run, corpus)
    if missing:
        check_folder(folder)
    for stft in {run.model.stft for run in missing}:
        for part in ("train", "validation"):  # once, before every worker wants them
            load_frames(corpus, part, stft, progress=progress)
    jobs = (delayed(_trained_and_scored)(run, corpus, device, train, samples) for run in missing)
    made, total, done = as_done(jobs, n_jobs), len(runs), len(runs) - len(missing)
    for record in tqdm(made, total=total, initial=done, unit="run", disable=not progress):
        write_record(paths[record.run.name], record)
    return [read_record(path) for path in paths.values()]


def check_folder(folder: Path) -> None:
    """Check that a folder can be made or written to; raise OSError, naming it, if it cannot."""
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        advice = f"{folder} cannot be written ({error.strerror}): choose another folder"
        raise OSError(error.errno, advice) from None


def _trained_and_scored(
    run: Run, corpus: Corpus, device: str, train: Callable[..., TrainedRun], samples: bool
) -> Record:
    # nothing is handed on to other workers of a cluster: two that wait for each other wait for ever
    with torch_threads(1), parallel_config("sequential"):
        trained = train(run, corpus, device, progress=False)
        return make_record(run, trained, corpus, device, 1, samples)


def make_record(
    run: Run,
    trained: TrainedRun,
    corpus: Corpus,
    device: str = "cpu",
    n_jobs: int = -1,
    samples: bool = True,
) -> Record:
    """Score all test utterances, of mean and sample, as `evaluate` does; trained on ``device``.

    Without ``samples`` only the mean is scored, and the record holds nothing of the sample.
    """
    model, history = trained
    cache = None if run.kind else cache_folder() / "scores"
    score = partial(evaluate, model, corpus.test, n_jobs=n_jobs, progress=False, cache=cache)
    mean, sample = score(sample=False), score(sample=True) if samples else []
    seconds = history.seconds
    rms, kl, unit_rms, hoyer_kl = (_rounded(each) for each in code_statistics(model, corpus.test))
    return Record(
        model=run.model,
        training=run.training,
        variant=run.variant,
        kind=run.class_name,
        **provenance(corpus, device),
        seconds_of_training=round(sum(seconds)) if len(seconds) == history.epochs else None,
        best_epoch=kept_epoch(history, run.training),
        history=History(**{name: _rounded(found, 3) for name, found in asdict(history).items()}),
        code={"rms": rms, "kl": kl},
        utterances={
            "speaker": [row.speaker for row in mean],
            "name": [row.utterance for row in mean],
            "seconds": _rounded([row.seconds for row in mean], 3),
            "n_frames": [row.n_frames for row in mean],
        },
        posterior_mean=_columns(mean) | {"hoyer_unit_rms": unit_rms, "hoyer_kl": hoyer_kl},
        sample=_columns(sample),
        unscored={"posterior mean": unscored(mean), "sample": unscored(sample)},
    )


def _columns(rows: Sequence[Scores]) -> dict[str, list[float | None]]:
    """One list a measure, over the utterances; None where there is no score."""
    measures = sorted({measure for row in rows for measure in row.values})
    return {name: _rounded([row.values.get(name) for row in rows]) for name in measures}


def _rounded(values: Iterable[Any], digits: int = 4) -> list[Any]:
    rounded = [math.nan if value is None else round(float(value), digits) for value in values]
    return [None if math.isnan(value) else value for value in rounded]  # JSON has no NaN


def provenance(corpus: Corpus, device: str = "cpu") -> dict[str, Any]:
    """Return where measurements come from: speech, versions of packages, machine."""
    target = find_device(device)
    gpu = f", {torch.cuda.get_device_name(target)}" if target.type == "cuda" else ""
    return {
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint},
        "versions": {name: importlib.metadata.version(name) for name in ("sdmvae_lite", *PACKAGES)},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores{gpu}",
    }
