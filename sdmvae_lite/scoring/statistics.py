"""How sure a mean is: the bootstrap over values, over groups of them, over groups and trainings."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student


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
    over nine speakers, some nine in ten hold the truth. See :doc:`14_score_speech`.

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
    _check(values)
    _check_level(level)
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


class Measured(NamedTuple):
    """A number, or an array of them, its standard error, and the degrees of freedom of that."""

    value: Any
    error: Any
    freedom: Any

    def interval(self, level: float = 0.95) -> Estimate:
        """Return the interval of Student's t that should hold the truth so often."""
        _check_level(level)
        reach = student.ppf(0.5 + level / 2, self.freedom) * self.error
        return Estimate(self.value, self.value - reach, self.value + reach)


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
    and the trainings of each row have in that deviation. What a training has with one speaker alone
    is counted more than once (Owen, 2007), so that intervals are a little too wide rather than too
    narrow. Where a row has been trained once only, nobody knows how far another training would have
    moved it: the interval is unbounded.

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
    return crossed_error(rows, groups, statistic, weights, resamples, seed).interval(level)


def crossed_error(
    rows: Sequence[ArrayLike],
    groups: Sequence[Hashable],
    statistic: Callable[[np.ndarray], np.ndarray] = lambda means: means[0],
    weights: ArrayLike | None = None,
    resamples: int = 2_000,
    seed: int = 0,
) -> Measured:
    """Return what `crossed_interval` takes its interval from, of any level; raise what it does.

    See :doc:`16_rebuild_table_1`.
    """
    scores = [np.asarray(row, dtype=np.float64) for row in rows]
    if not scores:
        raise ValueError("there are no rows to compare")
    for row in scores:
        if row.ndim != 2 or len(row) == 0 or row.shape[1] != len(groups):
            wanted = f"(n_trainings, {len(groups)} utterances)"
            raise ValueError(f"a row has shape {row.shape}, wanted is {wanted}")
        _check(row)
    if len(set(groups)) < 2:
        raise ValueError("an interval needs at least two speakers")
    weight = np.ones(len(groups)) if weights is None else np.asarray(weights, dtype=np.float64)
    mass, _ = _by_group(weight, groups)
    sums = [np.stack([_by_group(run * weight, groups)[0] for run in row]) for row in scores]
    means = np.array([[row.sum(axis=1).mean() / mass.sum()] for row in sums])
    value = statistic(means).item()
    if min(len(row) for row in scores) < 2:
        return Measured(value, math.inf, 1.0)

    rng = np.random.default_rng(seed)
    counts = [len(mass), *map(len, sums)]  # of speakers, and of each row's trainings
    fixed = [np.full((resamples, n), 1 / n) for n in counts]
    drawn = [_redrawn(rng, n, resamples) for n in counts]
    error = float(statistic(_means(sums, mass, drawn)).std())
    alone = ([*fixed[:i], drawn[i], *fixed[i + 1 :]] for i in range(len(counts)))
    parts = np.array([statistic(_means(sums, mass, shares)).var() for shares in alone])
    return Measured(value, error, float(satterthwaite(parts, counts)))


def welch_error(first: ArrayLike, second: ArrayLike) -> Measured:
    """Return the difference of two means of single numbers, as Welch's t-test (1947) takes it.

    The error is infinite where a side has fewer than two, and the number NaN where one has none.

    >>> print(f"{welch_error([3.1, 3.3, 3.2], [2.9, 3.0, 2.8]).interval():.2f}")
    0.30 [0.07, 0.53]
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (first, second)]
    value = float(sides[0].mean() - sides[1].mean()) if min(map(len, sides)) else math.nan
    return factors_error(value, sides)


def mean_error(values: ArrayLike) -> Measured:
    """Return the mean of single numbers, with the error of Student's t; of one it is infinite.

    >>> print(f"{mean_error([3.1, 3.3, 3.2]).interval():.2f}")
    3.20 [2.95, 3.45]
    """
    return factors_error(float(np.mean(np.asarray(values))), [values])


def factors_error(value: float, factors: Sequence[ArrayLike]) -> Measured:
    """Return a number with the error that its factors add up to, as speakers and trainings do.

    The part of each is the variance of its members' numbers over how many there are; a factor of
    fewer than two makes the error infinite. Degrees of freedom are Satterthwaite's (1946).
    """
    members = [np.asarray(each, dtype=np.float64) for each in factors]
    counts = [len(each) for each in members]
    if min(counts) < 2:
        return Measured(value, math.inf, 1.0)
    parts = np.array([each.var(ddof=1) / len(each) for each in members])
    return Measured(value, float(np.sqrt(parts.sum())), float(satterthwaite(parts, counts)))


def satterthwaite(parts: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Return the degrees of freedom of a sum of variances (Satterthwaite, 1946).

    Args:
        parts: (n_parts, ...), the variances.
        counts: of how many members each was estimated.

    >>> round(float(satterthwaite(np.array([0.2, 0.1]), [5, 9])), 1)
    8.0
    """
    squares = np.moveaxis(parts**2, 0, -1) / (np.array(counts) - 1)
    of_sum = squares.sum(axis=-1)
    return np.where(of_sum > 0, parts.sum(axis=0) ** 2 / np.where(of_sum > 0, of_sum, 1), 1.0)


class Components(NamedTuple):
    """Variances of a score: of the four sources of chance in a difference of rows."""

    training: float  # a row's other trainings
    speaker_row: float  # which rows suit a speaker, the choice of sentences included
    training_speaker: float  # which trainings of a row do
    rest: float


def variance_components(rows: Sequence[ArrayLike], groups: Sequence[Hashable]) -> Components:
    """Return the variances behind rows of scores, by moments; one below zero becomes zero.

    The means of speakers, of their sentences and of rows may be any: they drop out. Speakers may
    have other numbers of sentences, and rows of trainings (unweighted means; Searle, Casella and
    McCulloch, "Variance Components", 1992). See :doc:`16_rebuild_table_1`.

    Args:
        rows: each (n_trainings, n_utterances), as `crossed_interval` takes them; two or more.
        groups: (n_utterances,), the speaker of each utterance.

    Raises ValueError for fewer than two rows or speakers, or where no row has two trainings.
    """
    scores = [np.asarray(row, dtype=np.float64) for row in rows]
    _, index = np.unique(list(map(str, groups)), return_inverse=True)
    sentences = np.bincount(index)
    n_speakers, again = len(sentences), np.array([len(row) - 1 for row in scores])
    if len(scores) < 2 or n_speakers < 2 or not again.any():
        raise ValueError("components need two rows, two speakers, and two trainings of a row")
    averages = np.eye(n_speakers)[index] / sentences[index, None]  # (n_utterances, n_speakers)
    apart = np.concatenate([row - row.mean(axis=0) for row in scores])  # trainings of a row
    cells = apart @ averages
    trained = cells.mean(axis=1, keepdims=True)
    rest = ((apart - cells[:, index]) ** 2).sum() / max(1, len(index) - n_speakers) / again.sum()
    both = ((cells - trained) ** 2).sum() / (n_speakers - 1) / again.sum()
    alone = (trained**2).sum() / again.sum()
    suits = np.stack([row.mean(axis=0) @ averages for row in scores])
    suits -= suits.mean(axis=0) + suits.mean(axis=1, keepdims=True) - suits.mean()
    suited = (suits**2).sum() / ((len(scores) - 1) * (n_speakers - 1))
    found = (
        alone - both / n_speakers,
        suited - both * np.mean(1 / (again + 1)),
        both - rest * np.mean(1 / sentences),
        rest,
    )
    return Components(*(max(0.0, float(variance)) for variance in found))


def _redrawn(rng: np.random.Generator, n: int, resamples: int) -> np.ndarray:
    """Return the share of each of n when n - 1 are drawn with replacement: (resamples, n)."""
    return rng.multinomial(n - 1, np.full(n, 1 / n), size=resamples) / (n - 1)


def _means(sums: list[np.ndarray], mass: np.ndarray, shares: list[np.ndarray]) -> np.ndarray:
    """Return row means (n_rows, resamples) for shares of the speakers and of trainings."""
    speakers, *trainings = shares
    of_speakers = (share @ row for share, row in zip(trainings, sums, strict=True))
    return np.stack([(row * speakers).sum(axis=1) for row in of_speakers]) / (speakers @ mass)


def _check(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError("the values hold NaN or infinite entries: leave them out, and say so")


def _check_level(level: float) -> None:
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
