"""What run records say of each claim."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..scoring.statistics import Estimate, crossed_interval, welch_interval
from .claims import PAPER, Claim, Comparison
from .records import Record, of_runs, scores_of, weights_of

OF_RUNS = ("cost", "overfitting")


class Verdict(NamedTuple):
    """What records say of a claim."""

    claim: Claim
    text: str  # holds, does not hold, or not decided
    effects: tuple[Estimate, ...]  # of each comparison: best above less best below


def effect(
    comparison: Comparison,
    records: Mapping[str, Sequence[Record]],
    level: float = 0.95,
    decoded: str = "posterior mean",
) -> Estimate:
    """Return how far one side is above the other, with its interval.

    The best are chosen anew in each redraw of speakers and trainings, see
    `statistics.crossed_interval`, so that the interval covers the choice too. An utterance that
    one of the runs could not score is left out for all. Measures of runs, `records.of_runs`, are
    compared by `statistics.welch_interval`. Raise ValueError, naming the row, where it has no
    records, and as `crossed_interval` does. See :doc:`13_rebuild_table_1`.
    """
    names = (*comparison.above, *comparison.below)
    if missing := [name for name in names if name not in records]:
        raise ValueError(f"there are no records of {', '.join(missing)}")
    if comparison.measure in OF_RUNS:
        above, below = (of_runs(records[name], comparison.measure) for name in names)
        return welch_interval(above, below, level)
    first = records[names[0]]
    scores = [scores_of(records[name], comparison.measure, decoded) for name in names]
    scored = np.flatnonzero(~np.isnan(np.concatenate(scores)).any(axis=0))
    return crossed_interval(
        [row[:, scored] for row in scores],
        [first[0].utterances["speaker"][utterance] for utterance in scored],
        difference(comparison),
        weights_of(first, comparison.measure)[scored],
        level,
    )


def difference(comparison: Comparison) -> Callable[[np.ndarray], np.ndarray]:
    """Return what the comparison computes from the means of its rows: (n_rows, n) to (n,)."""
    split = len(comparison.above)
    of_side = np.ptp if comparison.statistic == "range" else np.max
    return lambda means: of_side(means[:split], axis=0) - of_side(means[split:], axis=0)


def judge(claim: Claim, records: Mapping[str, Sequence[Record]], level: float = 0.95) -> Verdict:
    """Return whether a claim holds of the models behind the records.

    It holds if the interval of every comparison lies above its bound, which needs no correction; it
    does not hold if one lies wholly below, even when widened for the number of comparisons
    (Bonferroni); else it is not decided. Raises as `effect` does. See :doc:`13_rebuild_table_1`.
    """
    effects, widened = (
        tuple(effect(comparison, records, each) for comparison in claim.comparisons)
        for each in (level, 1 - (1 - level) / len(claim.comparisons))
    )
    bounds = [-comparison.tolerance for comparison in claim.comparisons]
    if all(found.low > bound for found, bound in zip(effects, bounds, strict=True)):
        text = "holds"
    elif any(found.high < bound for found, bound in zip(widened, bounds, strict=True)):
        text = "does not hold"
    else:
        text = "not decided"
    return Verdict(claim, text, effects)


def paper_effect(comparison: Comparison) -> float:
    """Return the same difference in the paper's own table, NaN for a measure that it does not have.

    See :doc:`13_rebuild_table_1`.

    >>> from sdmvae_lite.table.claims import CLAIMS
    >>> round(paper_effect(CLAIMS[1].comparisons[0]), 2)
    0.03
    """
    names = (*comparison.above, *comparison.below)
    means = np.array([[PAPER[name].get(comparison.measure, math.nan)] for name in names])
    return difference(comparison)(means).item()
