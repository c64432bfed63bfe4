"""Scoring a model on a set of utterances, one by one and over all cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from torch import Generator
from tqdm import tqdm

from .config import SAMPLE_RATE, STFTConfig
from .corpora import Utterance
from .metrics import Unscorable, estoi, hoyer, lqo_to_raw, pesq_lqo, si_sdr, stoi
from .models import VAE
from .resynthesis import Resynthesis, resynthesise


@dataclass(frozen=True)
class Scores:
    """One utterance's scores, and why any of them is missing.

    See :doc:`11_score_speech`.
    """

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
    """All metrics of one resynthesis; a metric that is undefined leaves its reason instead.

    ``pesq_raw`` is computed from ``pesq_nb``; ``hoyer`` is the mean over the frames.
    See :doc:`11_score_speech`.
    """
    values, unscored = {}, {}
    for metric, compute in METRICS.items():
        try:
            values[metric] = compute(result)
        except Unscorable as reason:
            unscored[metric] = str(reason)
    if "pesq_nb" in values:
        values["pesq_raw"] = lqo_to_raw(values["pesq_nb"])
    else:
        unscored["pesq_raw"] = unscored["pesq_nb"]
    seconds = len(result.reference) / SAMPLE_RATE
    return Scores(speaker, utterance, seconds, len(result.power), values, unscored)


def evaluate(
    model: VAE,
    utterances: Sequence[Utterance],
    sample: bool = False,
    seed: int = 0,
    config: STFTConfig = STFTConfig(),
    n_jobs: int = -1,
    progress: bool = True,
) -> list[Scores]:
    """Resynthesise and score every utterance, in the order given.

    See :doc:`11_score_speech`.

    Args:
        sample: decode samples of the code instead of its mean, drawn from ``seed`` and the
            utterance's position.
        n_jobs: processes; -1 is one a core. Within a ``joblib.parallel_config`` the work goes
            to that backend.

    Raises:
        ValueError: if there is nothing to score, or an utterance cannot be read.
    """
    if not utterances:
        raise ValueError("there are no utterances to score")
    jobs = (
        delayed(_score_utterance)(model, utterance, sample, seed + position, config)
        for position, utterance in enumerate(utterances)
    )
    scored = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    bar = tqdm(scored, total=len(utterances), desc="scoring", unit="utt", disable=not progress)
    return list(bar)


def _score_utterance(
    model: VAE, utterance: Utterance, sample: bool, seed: int, config: STFTConfig
) -> Scores:
    generator = Generator().manual_seed(seed)
    result = resynthesise(model, utterance.waveform(), sample, generator, config)
    return score(result, utterance.speaker, utterance.name)


def mean_scores(scores: Sequence[Scores]) -> dict[str, float]:
    """Mean of each metric over the utterances that it could score.

    Every utterance counts once, but for ``hoyer``, where every frame does. A metric that scored
    nothing is absent; `unscored` lists what is missing and why. See :doc:`11_score_speech`.
    """
    means = {}
    for metric in sorted({metric for row in scores for metric in row.values}):
        rows = [row for row in scores if metric in row.values]
        weights = [row.n_frames if metric == "hoyer" else 1 for row in rows]
        means[metric] = float(np.average([row.values[metric] for row in rows], weights=weights))
    return means


def unscored(scores: Sequence[Scores]) -> list[str]:
    """One line for each score that is missing: utterance, metric, reason.

    See :doc:`11_score_speech`.
    """
    return [
        f"{row.speaker}/{row.utterance}: {metric}: {reason}"
        for row in scores
        for metric, reason in row.unscored.items()
    ]
