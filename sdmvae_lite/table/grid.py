"""Grids of runs: trained and scored on this machine or a cluster, one record a run."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import delayed, parallel_config
from tqdm import tqdm

from ..config import TrainingConfig
from ..model.models import VAE, build_model
from ..scoring.codes import code_statistics
from ..scoring.evaluation import Scores, evaluate, unscored
from ..speech.corpora import Corpus
from ..speech.frames import load_frames
from ..store import cache_folder, key
from ..training.batches import Frames, hold_frames
from ..training.checkpoints import describe_run
from ..training.fit import History, find_device, fit
from ..workers import as_done, torch_threads
from .records import Record, check_record, read_record, write_record
from .runs import Run, check_runs

PACKAGES = ("sdmvae_lite", "torch", "numpy", "librosa", "pesq", "pystoi")


class TrainedRun(NamedTuple):
    """A run's model with its best weights, on the CPU, and its losses."""

    model: VAE
    history: History


def train_run(run: Run, corpus: Corpus, device: str = "auto", progress: bool = True) -> TrainedRun:
    """Train a run on the frames of a corpus, see `train_on`."""
    stft = run.model.stft
    frames = (load_frames(corpus, p, stft, progress=progress) for p in ("train", "validation"))
    return train_on(run, *frames, device, progress)


def train_on(
    run: Run, train: np.ndarray, validation: np.ndarray, device: str = "auto", progress: bool = True
) -> TrainedRun:
    """Train a run, or take it up from its checkpoint; raise what `training.fit` raises.

    A model of one's own starts anew if the text of its class is not found, as in other processes
    than the notebook that defines it: nothing would tell that it has changed.
    """
    target, n_bins = find_device(device), run.model.n_bins
    held = [
        hold_frames(frames, part, n_bins, target)
        for part, frames in (("train", train), ("validation", validation))
    ]
    model = build_model(run.model, run.training.seed, run.kind)
    checkpoint = checkpoint_path(model, run.training, *held)
    history = fit(model, *held, run.training, device, checkpoint, progress)
    return TrainedRun(model, history)


def checkpoint_path(
    model: VAE, training: TrainingConfig, train: Frames, validation: Frames
) -> Path | None:
    """Return where `train_on` keeps its checkpoint, from the untrained model; None for nowhere."""
    try:
        name = key("checkpoint", **describe_run(model, training, train, validation))
    except ValueError:  # a class without a text
        return None
    return cache_folder() / "checkpoints" / f"{name}.safetensors"


def run_grid(
    runs: Sequence[Run],
    corpus: Corpus,
    folder: str | os.PathLike[str],
    device: str = "auto",
    n_jobs: int = -1,
    progress: bool = True,
    train: Callable[..., TrainedRun] = train_run,
) -> list[Record]:
    """Train and score every run; its record lands in ``folder`` as soon as it is done.

    A run whose record is there is not made again, and one that was interrupted goes on from its
    checkpoint, so the same call, given again, takes up where the last one ended. Once the code of
    a model of one's own has changed, name another folder. See :doc:`12_bring_your_own_speech`.

    Args:
        folder: of records, called after corpus and run.
        device: as in `training.fit`.
        n_jobs: runs at a time; -1 is one a core. Within a ``joblib.parallel_config`` they go to
            that backend: other processes, or the workers of a Dask or Ray cluster.
        train: called as `train_run` is, to train a run in another way.

    Returns:
        the records, in the order of ``runs``.

    Raises:
        ValueError: if two runs share a name, or a record that is there is of another run or
            corpus, naming it; and whatever ``train`` raises.
        OSError: before anything is trained, if ``folder`` cannot be written.
    """
    check_runs(runs)
    folder = Path(folder).expanduser()
    paths = {run: folder / f"{corpus.name}-{run.name}.json" for run in runs}
    missing = [run for run, path in paths.items() if not path.exists()]
    for run in paths.keys() - set(missing):
        check_record(paths[run], run, corpus)
    if missing:
        check_folder(folder)
    transforms = {run.model.stft for run in missing}
    for stft, part in itertools.product(transforms, ("train", "validation")):
        load_frames(corpus, part, stft, progress=progress)  # once, before every worker wants it
    jobs = (delayed(_trained_and_scored)(run, corpus, device, train) for run in missing)
    done = len(runs) - len(missing)
    with tqdm(total=len(runs), initial=done, unit="run", disable=not progress) as bar:
        for record in as_done(jobs, n_jobs):
            write_record(folder / f"{corpus.name}-{record.name}.json", record)
            bar.update()
    return [read_record(path) for path in paths.values()]


def check_folder(folder: Path) -> None:
    """Check that a folder, or one made there, can be written, and leave nothing in it.

    Raises:
        OSError: naming the folder.
    """
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        advice = f"{folder} cannot be written ({error.strerror}): choose another folder"
        raise OSError(error.errno, advice) from None


def _trained_and_scored(
    run: Run, corpus: Corpus, device: str, train: Callable[..., TrainedRun]
) -> Record:
    """On one core, and the device.

    In a cluster's worker nothing is handed on: workers that wait for each other wait for ever.
    """
    with torch_threads(1), parallel_config("sequential"):
        trained = train(run, corpus, device, progress=False)
        return make_record(run, trained, corpus, device, n_jobs=1)


def make_record(
    run: Run, trained: TrainedRun, corpus: Corpus, device: str = "cpu", n_jobs: int = -1
) -> Record:
    """Score every test utterance, decoding mean and sample, and return all there is to say.

    Args:
        device: on which the run was trained.
        n_jobs: as in `scoring.evaluate`.
    """
    model, history = trained
    cache = None if run.kind else cache_folder() / "scores"
    mean, sample = (
        evaluate(model, corpus.test, drawn, n_jobs=n_jobs, progress=False, cache=cache)
        for drawn in (False, True)
    )
    code = code_statistics(model, corpus.test)
    scale_free = {"hoyer_unit_rms": code.hoyer_unit_rms, "hoyer_kl": code.hoyer_kl}
    losses = {name: values for name, values in asdict(history).items() if name != "seconds"}
    timed = len(history.seconds) == history.epochs
    return Record(
        model=run.model,
        training=run.training,
        variant=run.variant,
        kind=run.kind.__name__ if run.kind else "",
        **provenance(corpus, device),
        seconds_of_training=round(sum(history.seconds)) if timed else None,
        best_epoch=history.best_epoch,
        history=History(**{name: _rounded(values, 3) for name, values in losses.items()}),
        code={"rms": _rounded(code.rms.tolist()), "kl": _rounded(code.kl.tolist())},
        utterances={
            "speaker": [row.speaker for row in mean],
            "name": [row.utterance for row in mean],
            "seconds": _rounded([row.seconds for row in mean], 3),
            "n_frames": [row.n_frames for row in mean],
        },
        posterior_mean=_columns(mean) | {name: _rounded(v) for name, v in scale_free.items()},
        sample=_columns(sample),
        unscored={"posterior mean": unscored(mean), "sample": unscored(sample)},
    )


def _columns(rows: Sequence[Scores]) -> dict[str, list[float | None]]:
    """One list a measure, over the utterances; None where there is no score."""
    measures = sorted({measure for row in rows for measure in row.values})
    return {name: _rounded([row.values.get(name) for row in rows]) for name in measures}


def _rounded(values: Iterable[float | None], digits: int = 4) -> list[Any]:
    return [None if value is None else round(float(value), digits) for value in values]


def provenance(corpus: Corpus, device: str = "cpu") -> dict[str, Any]:
    """Return where measurements come from: speech, versions of packages, machine."""
    target = find_device(device)
    gpu = f", {torch.cuda.get_device_name(target)}" if target.type == "cuda" else ""
    return {
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint},
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores{gpu}",
    }
