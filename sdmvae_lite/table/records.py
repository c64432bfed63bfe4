"""Run records: JSON files with everything behind a published number, and the scores in them.

A record holds configuration, seed, corpus and fingerprint, versions, machine, losses of every
epoch, and the scores of every test utterance, one list a measure. See
:doc:`13_rebuild_table_1`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..config import ModelConfig, TrainingConfig, from_dict, to_dict
from ..scoring.metrics import PER_FRAME
from ..speech.corpora import Corpus
from ..store import write
from .runs import Run

Record = dict[str, Any]
RESULTS = Path(__file__).resolve().parents[2] / "results"  # of a checkout
DECODED = ("posterior mean", "sample")


def results_folder() -> Path:
    """Where the book's own records are: in the checkout, or beside the installed package.

    See :doc:`13_rebuild_table_1`.
    """
    return RESULTS if RESULTS.is_dir() else Path(__file__).resolve().parents[1] / "results"


def read_record(path: Path) -> Record:
    """The record in a file.

    See :doc:`12_bring_your_own_speech`.

    Raises:
        ValueError: naming the file, if it holds none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        run_of(record), record["corpus"]["name"], record["corpus"]["fingerprint"]
        record["utterances"]["speaker"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} holds no run record ({error}): remove it to make it anew"
        ) from None
    return record


def write_record(path: Path, record: Record) -> None:
    """Write a record whole or not at all.

    See :doc:`12_bring_your_own_speech`.
    """
    write(path, f"{json.dumps(record)}\n".encode())


def check_record(path: Path, run: Run, corpus: Corpus) -> None:
    """See that a file is the record of this run on this corpus.

    See :doc:`12_bring_your_own_speech`.

    Raises:
        ValueError: naming the file, and what is different.
    """
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


def run_of(record: Record) -> Run:
    """The run that a record is of.

    See :doc:`13_rebuild_table_1`.
    """
    return Run(
        from_dict(ModelConfig, record["model"]), from_dict(TrainingConfig, record["training"])
    )


def read_records(folder: Path, corpus: str) -> dict[str, list[Record]]:
    """All records of a corpus in a folder: for each row of the table its runs, by seed.

    See :doc:`13_rebuild_table_1`.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: naming the file, if one holds no record, or is of other speech than the rest.
    """
    rows: dict[str, list[Record]] = {}
    first = None
    for path in sorted(Path(folder).glob(f"{escape(corpus)}-*-seed*.json")):
        record = read_record(path)
        if record["corpus"]["name"] != corpus:  # one whose name begins alike
            continue
        first = first or record
        for key in ("corpus", "utterances"):
            if record[key] != first[key]:
                raise ValueError(
                    f"{path} is of other speech than the records beside it ({key} differ): "
                    "keep them in a folder of their own"
                )
        rows.setdefault(_row_of(record), []).append(record)
    if not rows:
        raise FileNotFoundError(
            f"no records of {corpus!r} in {folder}: make them with tools/run_table.py"
        )
    return {
        row: sorted(records, key=lambda record: record["training"]["seed"])
        for row, records in rows.items()
    }


def scores_of(
    records: Sequence[Record], measure: str, decoded: str = "posterior mean"
) -> np.ndarray:
    """One measure of some runs: (n_runs, n_utterances), NaN where there is no score.

    See :doc:`13_rebuild_table_1`.

    Args:
        measure: ``pesq_raw``, ``estoi``, ``hoyer`` and so on, as records call them.
        decoded: what was decoded, ``posterior mean`` or ``sample``.

    Raises:
        ValueError: for what was not decoded, or a measure that not all of the records hold.
    """
    if decoded not in DECODED:
        raise ValueError(f"decoded must be one of {', '.join(DECODED)}, not {decoded!r}")
    held = set.intersection(*(set(record[decoded]) for record in records))
    if measure not in held:
        raise ValueError(f"unknown measure {measure!r}: the records hold {', '.join(sorted(held))}")
    return np.array([record[decoded][measure] for record in records], dtype=np.float64)


def row_means(
    records: Sequence[Record], measure: str, decoded: str = "posterior mean"
) -> np.ndarray:
    """Mean of a measure over the test set, one number a run: (n_runs,).

    Every utterance counts once, but for Hoyer scores, where every frame does. Utterances that a
    run could not score are left out of its mean. See :doc:`13_rebuild_table_1`.
    """
    scores, weights = scores_of(records, measure, decoded), weights_of(records, measure)
    weights = np.where(np.isnan(scores), 0.0, weights)
    return (np.nan_to_num(scores) * weights).sum(axis=1) / weights.sum(axis=1)


def weights_of(records: Sequence[Record], measure: str) -> np.ndarray:
    """How much each utterance counts in a mean of the measure: (n_utterances,).

    See :doc:`13_rebuild_table_1`.
    """
    n_frames = np.array(records[0]["utterances"]["n_frames"], dtype=np.float64)
    return n_frames if measure in PER_FRAME else np.ones_like(n_frames)


def _row_of(record: Record) -> str:
    variant = record.get("variant")
    return run_of(record).row + (f"-{variant}" if variant else "")
