"""Scoring a model on a set of utterances, one by one and over all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from joblib import delayed, effective_n_jobs
from torch import Generator
from tqdm import tqdm

from ..config import SAMPLE_RATE
from ..model.files import MODULES, describe_model
from ..model.models import VAE
from ..speech.corpora import Utterance
from ..store import digest, keep, kept, key, method
from ..workers import as_done, torch_threads
from .metrics import PER_FRAME, Unscorable, estoi, hoyer, lqo_to_raw, pesq_lqo, si_sdr, stoi
from .resynthesis import Resynthesis, as_list, resynthesise

# The modules and packages that decide a score.
_METHOD = (
    *(f"scoring.{module}" for module in ("bursts", "evaluation", "metrics", "resynthesis")),
    *MODULES,
    *(f"speech.{module}" for module in ("spectra", "corpora.audio", "corpora.synthetic")),
    "speech.corpora.espeak",
)
PACKAGES = ("librosa", "numpy", "pesq", "pystoi", "scipy", "soundfile", "soxr", "torch")
_FEW_SECONDS = 120  # of speech, which are scored before other processes would have started


@dataclass(frozen=True)
class Scores:
    """One utterance's scores, and why any of them is missing."""

    speaker: str
    utterance: str
    seconds: float
    n_frames: int
    values: dict[str, float]  # by metric: see `METRICS`
    unscored: dict[str, str]  # metric to reason


METRICS: dict[str, Callable[[Resynthesis], float]] = {
    "pesq_nb": lambda result: pesq_lqo(result.reference, result.estimate, "nb"),
    "pesq_wb": lambda result: pesq_lqo(result.reference, result.estimate, "wb"),
    "stoi": lambda result: stoi(result.reference, result.estimate),
    "estoi": lambda result: estoi(result.reference, result.estimate),
    "si_sdr": lambda result: si_sdr(result.reference, result.estimate),
    "hoyer": lambda result: hoyer(result.output.code).mean().item(),
}


def score(result: Resynthesis, speaker: str = "", utterance: str = "") -> Scores:
    """Return all metrics of one resynthesis; one that is undefined leaves its reason instead.

    ``pesq_raw`` is computed from ``pesq_nb``; ``hoyer`` is the mean over the frames.
    See :doc:`15_bring_your_own_speech`.
    """
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for metric, compute in METRICS.items():
        try:
            values[metric] = compute(result)
        except Unscorable as reason:
            reasons[metric] = str(reason)
    if "pesq_nb" in values:
        values["pesq_raw"] = lqo_to_raw(values["pesq_nb"])
    else:
        reasons["pesq_raw"] = reasons["pesq_nb"]
    seconds = len(result.reference) / SAMPLE_RATE
    return Scores(speaker, utterance, seconds, len(result.power), values, reasons)


def evaluate(
    model: VAE,
    utterances: Sequence[Utterance],
    sample: bool = False,
    seed: int = 0,
    n_jobs: int | None = -1,
    progress: bool = True,
    cache: str | os.PathLike[str] | None = None,
) -> list[Scores]:
    """Resynthesise and score every utterance, in the order given. See :doc:`14_score_speech`.

    Args:
        sample: decode samples, drawn from ``seed`` and the utterance's id; False decodes means.
        n_jobs: processes; -1 is as many as pay, at most one a core, and None takes the number
            from the ``joblib.parallel_config`` around, whose backend does the work.
        cache: a folder in which scores are kept as they come, and found again by the same
            weights, settings, code and versions, as after an interruption; None keeps nothing.

    Raises ValueError if there is nothing to score, an utterance cannot be read, or there is a
    ``cache`` and the text of the model's class is not found; OSError, naming the file, when
    scores cannot be kept there.
    """
    utterances = as_list(utterances)
    seeds = [_seed(seed, utterance) if sample else None for utterance in utterances]
    paths: Sequence[Path | None] = [None] * len(utterances)
    if cache is not None:
        folder = Path(cache).expanduser()
        paths = score_paths(folder, model, utterances, seeds)
        folder.mkdir(parents=True, exist_ok=True)
    rows = {i: Scores(**found) for i, path in enumerate(paths) if path and (found := kept(path))}
    missing = [i for i in range(len(utterances)) if i not in rows]
    # The longest first, so that the cores finish together.
    missing.sort(key=lambda i: utterances[i].source.seconds, reverse=True)
    jobs = (delayed(_score_utterance)(model, utterances[i], i, seeds[i]) for i in missing)
    n_jobs = _workers([utterances[i] for i in missing], n_jobs)
    with torch_threads(1):  # where the work stays here: on a busy machine a second one costs much
        scored, done, total = as_done(jobs, n_jobs), len(rows), len(utterances)
        bar = tqdm(scored, "scoring", total, initial=done, unit="utt", disable=not progress)
        for i, row in bar:
            rows[i] = row
            if path := paths[i]:
                keep(path, asdict(row))
    return [rows[i] for i in range(len(utterances))]


def score_paths(
    folder: Path, model: VAE, utterances: Sequence[Utterance], seeds: Sequence[int | None]
) -> list[Path]:
    """Return where `evaluate` keeps the scores of each utterance: all that decides them.

    ``seeds`` are those of sampled codes; None where the mean is decoded. Raises ValueError where
    the text of the model's class is not found.
    """
    shared = {
        **describe_model(model),
        "metrics": list(METRICS),
        "method": method(*_METHOD),
        "packages": {package: version(package) for package in PACKAGES},
    }
    own = (
        {"speaker": each.speaker, "name": each.name, "sound": each.source.fingerprint()}
        for each in utterances
    )
    pairs = zip(own, seeds, strict=True)
    return [folder / f"{key('scores', **shared, **each, seed=seed)}.json" for each, seed in pairs]


def _seed(seed: int, utterance: Utterance) -> int:
    return int(digest(f"{seed} {utterance.id}".encode())[:12], 16)


def _workers(utterances: Sequence[Utterance], n_jobs: int | None) -> int:
    """Return how many processes score the utterances sooner than this one alone."""
    if n_jobs == -1 and sum(utterance.source.seconds for utterance in utterances) < _FEW_SECONDS:
        return 1
    return max(1, min(effective_n_jobs(n_jobs), len(utterances)))


def _score_utterance(
    model: VAE, utterance: Utterance, position: int, seed: int | None
) -> tuple[int, Scores]:
    """Decode a sample drawn from ``seed``, or, where it is None, the mean; and score it."""
    generator = None if seed is None else Generator().manual_seed(seed)
    result = resynthesise(model, utterance.waveform(), seed is not None, generator)
    return position, score(result, utterance.speaker, utterance.name)


def mean_scores(scores: Sequence[Scores]) -> dict[str, float]:
    """Return the mean of each metric over the utterances that it could score.

    Every utterance counts once, but for ``hoyer``, where every frame does. A metric that scored
    nothing is absent; `unscored` lists what is missing and why. See :doc:`14_score_speech`.
    """
    means = {}
    for metric in sorted({metric for row in scores for metric in row.values}):
        rows = [row for row in scores if metric in row.values]
        weights = [row.n_frames if metric in PER_FRAME else 1 for row in rows]
        means[metric] = float(np.average([row.values[metric] for row in rows], weights=weights))
    return means


def unscored(scores: Sequence[Scores]) -> list[str]:
    """Return a line for each missing score and its reason. See :doc:`01_hear_it_first`."""
    return [
        f"{row.speaker}/{row.utterance}: {metric}: {reason}"
        for row in scores
        for metric, reason in row.unscored.items()
    ]
