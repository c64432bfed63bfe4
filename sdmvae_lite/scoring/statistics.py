"""How sure a mean is: the bootstrap over values, over groups of them, over groups and trainings."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student
from scipy.stats import ttest_ind


def bootstrap_interval(
    values: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean (Efron and Tibshirani, 1993).

    With ``groups`` whole groups are drawn with replacement, each with all of its values (the
    cluster bootstrap; Field and Welsh, 2007): for utterances, give their speakers, or the
    interval is far too narrow. With few groups it is still somewhat narrow: of intervals at 95 %
    over nine speakers, some nine in ten hold the truth. See :doc:`11_score_speech`.

    Args:
        values: (n,), for instance one score an utterance, or one difference of two scores.
        groups: (n,), the group of each value; None takes every value for a group of its own.
        level: how often the interval should hold the mean, between 0 and 1.

    Raises ValueError for fewer than two values or groups, other lengths, NaN, or no resamples.

    >>> scores, speakers = [3.0, 3.2, 2.1, 2.2, 2.7, 2.6], ["a", "a", "b", "b", "c", "c"]
    >>> low, high = bootstrap_interval(scores)
    >>> print(f"{low:.2f} to {high:.2f}")
    2.32 to 2.95
    >>> low, high = bootstrap_interval(scores, groups=speakers)
    >>> print(f"{low:.2f} to {high:.2f}")
    2.15 to 3.10
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"values have one dimension, not {values.ndim}")
    _check(values, level)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples!r}")
    sums, counts = _by_group(values, groups)
    if len(sums) < 2:
        kind = "values" if groups is None else "groups"
        raise ValueError(f"an interval needs at least two {kind}, not {len(sums)}")

    rng = np.random.default_rng(seed)
    draws = (rng.integers(len(sums), size=len(sums)) for _ in range(resamples))
    means = [sums[drawn].sum() / counts[drawn].sum() for drawn in draws]
    tail = (1.0 - level) / 2
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)


class Estimate(NamedTuple):
    """A number, and between which ends it lies with some confidence.

    >>> print(f"{Estimate(0.19, 0.07, 0.31):+.2f}; {Estimate(0.19, -math.inf, math.inf):+.2f}")
    +0.19 [+0.07, +0.31]; +0.19 [?]
    """

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        ends = f"{self.low:{spec}}, {self.high:{spec}}" if math.isfinite(self.low) else "?"
        return f"{self.value:{spec}} [{ends}]"


def crossed_interval(
    rows: Sequence[ArrayLike],
    groups: Sequence[Hashable],
    statistic: Callable[[np.ndarray], np.ndarray] = lambda means: means[0],
    weights: ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Estimate:
    r"""Return a statistic of means, each over the trainings and utterances of a row, and its ends.

    Speakers and trainings are both drawn anew: the same speakers for all rows, so that rows are
    compared on the same utterances, and other trainings for each. Of n speakers, or trainings,
    n - 1 are drawn with replacement, which gives a mean the variance :math:`s^2 / n` that it has
    (Rao and Wu, 1988). The interval is the statistic ± Student's t times the standard deviation
    of its redraws, with Satterthwaite's degrees of freedom (1946), from the share that speakers
    and the trainings of each row have in that deviation. Where a row has been trained once only,
    nobody knows how far another training would have moved it: the interval is unbounded.
    See :doc:`13_rebuild_table_1`.

    Args:
        rows: each (n_trainings, n_utterances), the scores of one row of a table.
        groups: (n_utterances,), the speaker of each utterance.
        statistic: from the means of all rows, (n_rows, n), to (n,) numbers.
        weights: (n_utterances,), how much each counts in a mean; None is all the same.
        level: how often the interval should hold the truth, between 0 and 1.

    Raises ValueError for fewer than two speakers, other shapes, or a score that is not finite.

    >>> speakers = ["a", "a", "b", "b", "c"]
    >>> first = [[3.1, 3.3, 2.9, 3.0, 3.2], [3.0, 3.2, 2.9, 3.1, 3.2]]
    >>> second = [[2.9, 3.0, 2.8, 2.8, 3.0], [2.8, 3.1, 2.7, 2.9, 3.0]]
    >>> gain = crossed_interval([first, second], speakers, lambda means: means[0] - means[1])
    >>> print(f"{gain:.2f}")
    0.19 [0.09, 0.29]
    """
    scores = [np.asarray(row, dtype=np.float64) for row in rows]
    if not scores:
        raise ValueError("there are no rows to compare")
    for row in scores:
        if row.ndim != 2 or len(row) == 0 or row.shape[1] != len(groups):
            wanted = f"(n_trainings, {len(groups)} utterances)"
            raise ValueError(f"a row has shape {row.shape}, wanted is {wanted}")
        _check(row, level)
    if len(set(groups)) < 2:
        raise ValueError("an interval needs at least two speakers")
    weight = np.ones(len(groups)) if weights is None else np.asarray(weights, dtype=np.float64)
    mass, _ = _by_group(weight, groups)
    sums = [np.stack([_by_group(run * weight, groups)[0] for run in row]) for row in scores]
    means = np.array([[row.sum(axis=1).mean() / mass.sum()] for row in sums])
    value = statistic(means).item()
    if min(len(row) for row in scores) < 2:
        return Estimate(value, -math.inf, math.inf)

    rng = np.random.default_rng(seed)
    counts = [len(mass), *map(len, sums)]  # of speakers, and of each row's trainings
    fixed = [np.full((resamples, n), 1 / n) for n in counts]
    drawn = [_redrawn(rng, n, resamples) for n in counts]
    error = statistic(_means(sums, mass, drawn)).std()
    alone = ([*fixed[:i], drawn[i], *fixed[i + 1 :]] for i in range(len(counts)))
    parts = np.array([statistic(_means(sums, mass, shares)).var() for shares in alone])
    of_sum = (parts**2 / (np.array(counts) - 1)).sum()
    freedom = parts.sum() ** 2 / of_sum if of_sum > 0 else 1.0
    reach = float(student.ppf(0.5 + level / 2, freedom) * error)
    return Estimate(value, value - reach, value + reach)


def welch_interval(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the difference of two means of single numbers, and Welch's interval (1947) of it.

    It is unbounded where a side has fewer than two numbers. Raises ValueError where one has none.

    >>> print(f"{welch_interval([3.1, 3.3, 3.2], [2.9, 3.0, 2.8]):.2f}")
    0.30 [0.07, 0.53]
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (first, second)]
    if not min(map(len, sides)):
        raise ValueError("there are no numbers to compare")
    value = float(sides[0].mean() - sides[1].mean())
    if min(map(len, sides)) < 2:
        return Estimate(value, -math.inf, math.inf)
    low, high = ttest_ind(*sides, equal_var=False).confidence_interval(level)
    return Estimate(value, float(low), float(high))


def _redrawn(rng: np.random.Generator, n: int, resamples: int) -> np.ndarray:
    """Return the share of each of n when n - 1 are drawn with replacement: (resamples, n)."""
    return rng.multinomial(n - 1, np.full(n, 1 / n), size=resamples) / (n - 1)


def _means(sums: list[np.ndarray], mass: np.ndarray, shares: list[np.ndarray]) -> np.ndarray:
    """Return row means (n_rows, resamples) for shares of the speakers and of trainings."""
    speakers, *trainings = shares
    of_speakers = (share @ row for share, row in zip(trainings, sums, strict=True))
    return np.stack([(row * speakers).sum(axis=1) for row in of_speakers]) / (speakers @ mass)


def _check(values: np.ndarray, level: float) -> None:
    if not np.isfinite(values).all():
        raise ValueError("the values hold NaN or infinite entries: leave them out, and say so")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")


def _by_group(
    values: np.ndarray, groups: Sequence[Hashable] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return sum and number of the values of each group, in order of appearance."""
    if groups is None:
        return values, np.ones(len(values))
    if len(groups) != len(values):
        raise ValueError(f"{len(values)} values and {len(groups)} groups: give each value one")
    position: dict[Hashable, int] = {}
    index = [position.setdefault(group, len(position)) for group in groups]
    return np.bincount(index, weights=values), np.bincount(index).astype(np.float64)
