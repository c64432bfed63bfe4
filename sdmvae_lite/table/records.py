"""Run records: JSON files with everything behind a published number, and the scores in them."""

from __future__ import annotations

import json
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
from .runs import Run, row_name

DECODED = ("posterior mean", "sample")
_ROOT = Path(__file__).resolve().parents[2]  # of a checkout


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
    history: History  # without seconds
    code: dict[str, list[float]]  # rms and kl of each coefficient, see `CodeStatistics`
    utterances: dict[str, list[Any]]  # speaker, name, seconds and n_frames of each
    posterior_mean: dict[str, list[float | None]]  # scores of each utterance, by measure
    sample: dict[str, list[float | None]]
    unscored: dict[str, list[str]]  # by what was decoded: utterance, measure and reason

    @property
    def row(self) -> str:
        """The row of the table that it belongs to."""
        return row_name(self.model, self.training, self.variant, self.kind)

    @property
    def name(self) -> str:
        """What its run is called, see `Run.name`."""
        return f"{self.row}-seed{self.training.seed}"

    @property
    def run(self) -> Run:
        """The run that it is of; ValueError for a model of one's own, whose class no file holds."""
        if self.kind:
            raise ValueError(f"a record does not hold the class {self.kind}: make its Run yourself")
        return Run(self.model, self.training, self.variant)

    def scores(self, measure: str, decoded: str = "posterior mean") -> np.ndarray:
        """Return one measure of all utterances: (n_utterances,), NaN where there is no score.

        Args:
            measure: ``pesq_raw``, ``estoi``, ``hoyer`` and so on.
            decoded: ``posterior mean`` or ``sample``.

        Raises:
            ValueError: for what was not decoded or measured, naming what was.
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

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Record:
        """Return the record in a file; raise KeyError, TypeError or ValueError if there is none."""
        configured = {
            "model": from_dict(ModelConfig, values["model"]),
            "training": from_dict(TrainingConfig, values["training"]),
            "history": History(**values["history"]),
        }
        return cls(**{key.replace(" ", "_"): value for key, value in values.items()} | configured)


def results_folder() -> Path:
    """Return where the book's own records are: in its checkout, or in the installed package."""
    project = _ROOT / "pyproject.toml"
    checkout = project.is_file() and b'name = "sdmvae-lite"' in project.read_bytes()
    return (_ROOT if checkout else Path(__file__).resolve().parents[1]) / "results"


def read_record(path: str | os.PathLike[str]) -> Record:
    """Return the record in a file; raise ValueError, naming the file, if it holds none."""
    path = Path(path).expanduser()
    try:
        return Record.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} holds no run record ({error}): remove it to make it anew"
        ) from None


def write_record(path: str | os.PathLike[str], record: Record) -> None:
    """Write a record whole or not at all; raise OSError, naming the file, if that fails."""
    write(Path(path).expanduser(), f"{json.dumps(record.to_json())}\n".encode())


def check_record(path: str | os.PathLike[str], run: Run, corpus: Corpus) -> None:
    """Check that a file is the record of this run on this corpus.

    Raises:
        ValueError: naming the file, and what is different.
    """
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

    See :doc:`13_rebuild_table_1`.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: naming the file, if one holds no record, or is of other speech than the rest.
    """
    rows: dict[str, list[Record]] = {}
    first = None
    for path in sorted(Path(folder).expanduser().glob(f"{escape(corpus)}-*-seed*.json")):
        record = read_record(path)
        if record.corpus["name"] != corpus:  # one whose name begins alike
            continue
        first = first or record
        for what in ("corpus", "utterances"):
            if getattr(record, what) != getattr(first, what):
                raise ValueError(
                    f"{path} is of other speech than the records beside it ({what} differ): "
                    "keep them in a folder of their own"
                )
        rows.setdefault(record.row, []).append(record)
    if not rows:
        raise FileNotFoundError(
            f"no records of {corpus!r} in {folder}: make them with the command sdmvae table"
        )
    return {row: sorted(found, key=lambda r: r.training.seed) for row, found in rows.items()}


def scores_of(
    records: Sequence[Record], measure: str, decoded: str = "posterior mean"
) -> np.ndarray:
    """Return one measure of some runs: (n_runs, n_utterances), see `Record.scores`."""
    return np.stack([record.scores(measure, decoded) for record in records])


def row_means(
    records: Sequence[Record], measure: str, decoded: str = "posterior mean"
) -> np.ndarray:
    """Return the mean of a measure over the test set, one number a run: (n_runs,).

    Every utterance counts once, but for Hoyer scores, where every frame does. Utterances that a
    run could not score are left out of its mean. See :doc:`13_rebuild_table_1`.
    """
    scores, weights = scores_of(records, measure, decoded), weights_of(records, measure)
    weights = np.where(np.isnan(scores), 0.0, weights)
    return (np.nan_to_num(scores) * weights).sum(axis=1) / weights.sum(axis=1)


def weights_of(records: Sequence[Record], measure: str) -> np.ndarray:
    """Return how much each utterance counts in a mean of the measure: (n_utterances,)."""
    n_frames = np.array(records[0].utterances["n_frames"], dtype=np.float64)
    return n_frames if measure in PER_FRAME else np.ones_like(n_frames)
