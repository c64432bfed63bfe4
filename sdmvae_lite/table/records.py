"""Run records: JSON files with everything behind a published number, and the scores in them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..config import ModelConfig, TrainingConfig, from_dict
from ..scoring.metrics import PER_FRAME
from ..speech.corpora import Corpus
from ..store import write
from ..training.fit import History
from .runs import Run

MEAN = "posterior mean"
DECODED = (MEAN, "sample")
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run: what was trained, on what, where, how it went, and all scores of the test set."""

    model: ModelConfig
    training: TrainingConfig
    variant: str = ""  # see `Run`
    kind: str = ""  # the class of a model of one's own
    corpus: dict[str, str]  # name and fingerprint
    versions: dict[str, str]  # by package
    machine: str
    seconds_of_training: int | None  # None where a part of it was not timed
    best_epoch: int  # counted from 1
    history: History  # in a file without seconds
    code: dict[str, list[float]]  # rms and kl of each coefficient, see `CodeStatistics`
    utterances: dict[str, list[Any]]  # speaker, name, seconds and n_frames of each
    posterior_mean: dict[str, list[float | None]]  # scores of each utterance, by measure
    sample: dict[str, list[float | None]]
    unscored: dict[str, list[str]]  # by what was decoded: utterance, measure and reason

    @property
    def run(self) -> Run:
        """The run that it is of."""
        return Run(self.model, self.training, self.variant, self.kind or None)

    @property
    def row(self) -> str:
        """The row of the table that it belongs to."""
        return self.run.row

    def scores(self, measure: str, decoded: str = MEAN) -> np.ndarray:
        """Return a measure of every utterance: (n_utterances,), NaN where there is no score.

        Raise ValueError for a measure, or a way of decoding, that the record does not have.
        """
        if decoded not in DECODED:
            raise ValueError(f"decoded must be one of {', '.join(DECODED)}, not {decoded!r}")
        held = self.sample if decoded == "sample" else self.posterior_mean
        if measure not in held:
            raise ValueError(f"unknown measure {measure!r}: the records hold {', '.join(held)}")
        return np.array(held[measure], dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return what the record's file holds."""
        values = {key.replace("_", " "): value for key, value in asdict(self).items()}
        del values["history"]["seconds"]
        return {key: value for key, value in values.items() if value != ""}


def results_folder() -> Path:
    """Return where the book's own records are: in its checkout, or in the installed package."""
    project = _PACKAGE.parent / "pyproject.toml"
    checkout = project.is_file() and b'name = "sdmvae-lite"' in project.read_bytes()
    return (_PACKAGE.parent if checkout else _PACKAGE) / "results"


def read_record(path: str | os.PathLike[str]) -> Record:
    """Return the record in a file; raise ValueError, naming the file, if it holds none."""
    path = Path(path).expanduser()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["model"] = from_dict(ModelConfig, values["model"])
        values["training"] = from_dict(TrainingConfig, values["training"])
        values["history"] = History(**values["history"])
        return Record(**{key.replace(" ", "_"): value for key, value in values.items()})
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no run record ({error}): remove it to make anew") from None


def write_record(path: str | os.PathLike[str], record: Record) -> None:
    """Write a record whole or not at all; raise OSError, naming the file, if that fails."""
    write(Path(path).expanduser(), f"{json.dumps(record.to_json())}\n".encode())


def check_record(path: str | os.PathLike[str], run: Run, corpus: Corpus) -> None:
    """Check that a file is of this run and corpus; raise ValueError, saying what is different."""
    record = read_record(path)
    for what in ("model", "training", "row"):
        found, wanted = getattr(record, what), getattr(run, what)
        if found != wanted:
            raise ValueError(
                f"{path} is of another run ({what} is {found}, wanted is {wanted}): "
                "name another folder, or remove it"
            )
    if record.corpus["fingerprint"] != corpus.fingerprint:
        raise ValueError(f"{path} is of other speech than {corpus!r}: name another folder")


def read_records(folder: str | os.PathLike[str], corpus: str) -> dict[str, list[Record]]:
    """Return all records of a corpus in a folder: for each row of the table its runs, by seed.

    Raise FileNotFoundError where there are none, and ValueError, naming the file, if one holds no
    record, or is of other speech than the rest. See :doc:`16_rebuild_table_1`.
    """
    paths = sorted(Path(folder).expanduser().glob(f"{escape(corpus)}-*-seed*.json"))
    found = {path: one for path in paths if (one := read_record(path)).corpus["name"] == corpus}
    if not found:
        raise FileNotFoundError(
            f"no records of {corpus!r} in {folder}: make them with sdmvae table"
        )
    first, *_ = found.values()
    rows: dict[str, list[Record]] = {}
    for path, record in found.items():
        for what in ("corpus", "utterances"):
            if getattr(record, what) != getattr(first, what):
                raise ValueError(
                    f"{path} is of other speech than the records beside it ({what} differ): "
                    "keep them in a folder of their own"
                )
        rows.setdefault(record.row, []).append(record)
    return {row: sorted(runs, key=lambda one: one.training.seed) for row, runs in rows.items()}


def of_recipe(records: Mapping[str, list[Record]], ending: str) -> dict[str, list[Record]]:
    """Return the rows whose names end so, under their names without it; none is no error.

    The same claims then judge both tables. See :doc:`16_rebuild_table_1`.
    """
    return {row.removesuffix(ending): records[row] for row in records if row.endswith(ending)}


def scores_of(records: Sequence[Record], measure: str, decoded: str = MEAN) -> np.ndarray:
    """Return one measure of some runs: (n_runs, n_utterances), see `Record.scores`."""
    return np.stack([record.scores(measure, decoded) for record in records])


def row_means(records: Sequence[Record], measure: str, decoded: str = MEAN) -> np.ndarray:
    """Return the mean of a measure over the test set, one number a run: (n_runs,).

    Every utterance counts once, but for Hoyer scores, where every frame does. Utterances that a
    run could not score are left out of its mean, which is NaN where it could score none.
    See :doc:`16_rebuild_table_1`.
    """
    scores = scores_of(records, measure, decoded)
    weights = np.where(np.isnan(scores), 0.0, weights_of(records, measure))
    with np.errstate(invalid="ignore"):  # 0 / 0
        return (np.nan_to_num(scores) * weights).sum(axis=1) / weights.sum(axis=1)


def weights_of(records: Sequence[Record], measure: str) -> np.ndarray:
    """Return how much each utterance counts in a mean of the measure: (n_utterances,)."""
    n_frames = np.array(records[0].utterances["n_frames"], dtype=np.float64)
    return n_frames if measure in PER_FRAME else np.ones_like(n_frames)


def of_runs(records: Sequence[Record], measure: str) -> np.ndarray:
    """Return a measure of trainings, not of utterances, where a record holds it: (up to n_runs,).

    ``cost`` is the natural logarithm of the seconds of an epoch, so that a difference is a ratio;
    trainings that were not timed are left out. ``overfitting`` is the reconstruction loss on
    validation less that on training at the kept epoch, in nats a frame.
    """
    if measure == "overfitting":
        losses = ((run.history, run.best_epoch - 1) for run in records)
        gaps = [h.validation_reconstruction[e] - h.train_reconstruction[e] for h, e in losses]
        return np.array(gaps)
    if measure != "cost":
        raise ValueError(f"a measure of trainings is cost or overfitting, not {measure!r}")
    timed = ((run.seconds_of_training, run.history.epochs) for run in records)
    return np.array([math.log(seconds / epochs) for seconds, epochs in timed if seconds])
