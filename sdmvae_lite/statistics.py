"""How sure a mean is: the bootstrap over values, and over groups of values that belong together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

_BLOCK = 1_000  # resamples drawn at once, which bounds the memory


def bootstrap_interval(
    values: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean (Efron and Tibshirani, 1993).

    With ``groups`` whole groups are drawn with replacement, each with all of its values (the
    cluster bootstrap; Field and Welsh, 2007): for utterances, give their speakers, or the
    interval is far too narrow. With few groups it is still somewhat narrow: of intervals at 95 %
    over nine speakers, some nine in ten hold the truth. See
    :doc:`11_score_speech`.

    Args:
        values: (n,), for instance one score an utterance, or one difference of two scores.
        groups: (n,), the group of each value; None takes every value for a group of its own.
        level: how often the interval should hold the mean, between 0 and 1.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: if there are not two values, or two groups, or one is NaN or infinite; if the
            lengths differ; for a level outside (0, 1) or no resamples.

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
    if not np.isfinite(values).all():
        raise ValueError("the values hold NaN or infinite entries: leave them out, and say so")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples!r}")
    sums, counts = _by_group(values, groups)
    if len(sums) < 2:
        kind = "values" if groups is None else "groups"
        raise ValueError(f"an interval needs at least two {kind}, not {len(sums)}")

    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for start in range(0, resamples, _BLOCK):
        block = means[start : start + _BLOCK]
        drawn = rng.integers(len(sums), size=(len(block), len(sums)))
        block[:] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = (1.0 - level) / 2
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)


def _by_group(
    values: np.ndarray, groups: Sequence[Hashable] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the values of each group, in the order in which the groups appear."""
    if groups is None:
        return values, np.ones(len(values))
    if len(groups) != len(values):
        raise ValueError(f"{len(values)} values and {len(groups)} groups: give each value one")
    position: dict[Hashable, int] = {}
    index = [position.setdefault(group, len(position)) for group in groups]
    return np.bincount(index, weights=values), np.bincount(index).astype(np.float64)
