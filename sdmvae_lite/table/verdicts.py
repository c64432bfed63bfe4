"""What run records say of each claim, and what more trainings could say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..scoring.statistics import (
    Estimate,
    Measured,
    crossed_error,
    satterthwaite,
    variance_components,
    welch_error,
)
from .claims import ENOUGH, MARGINS, PAPER, Claim, Comparison
from .records import Record, of_runs, row_means, scores_of, weights_of

OUTCOMES = ("holds", "does not hold", "equivalent within the margin", "undecided")
OF_RUNS = ("cost", "overfitting")
NUMBERS = (5, 10, 20, 40, 80)
Power = dict[int, dict[str, float]]  # for numbers of trainings, the chance of each outcome


class Verdict(NamedTuple):
    """What records say of a claim."""

    claim: Claim
    text: str  # one of OUTCOMES
    effects: tuple[Estimate, ...]  # of each comparison, at 95 %
    outcomes: tuple[str, ...]  # of each comparison
    trainings: int  # of the row that has the fewest
    power: Power  # of more trainings; empty where it is decided, or a row was trained once only

    def __str__(self) -> str:
        """Say all of it in a few words."""
        if self.power:
            needed = enough(self.power)
            if needed is None:
                number = f"{max(self.power)} trainings would not decide"
            elif needed <= self.trainings:
                number = f"{needed} trainings were expected to decide"
            else:
                number = f"{needed} trainings would decide"
        said = f"{self.text} ({number})" if self.power else self.text
        return said if self.trainings >= ENOUGH else f"{said}, preliminary"


def effect(
    comparison: Comparison,
    records: Mapping[str, Sequence[Record]],
    level: float = 0.95,
    decoded: str = "posterior mean",
) -> Estimate:
    """Return how far one side is above the other, with its interval, see `measured`.

    See :doc:`16_rebuild_table_1`.
    """
    return measured(comparison, records, decoded).interval(level)


def measured(
    comparison: Comparison,
    records: Mapping[str, Sequence[Record]],
    decoded: str = "posterior mean",
) -> Measured:
    """Return how far one side is above the other, and its error.

    The best are chosen anew in each redraw of speakers and trainings, see
    `statistics.crossed_interval`, so that the error covers the choice too. An utterance that one of
    the runs could not score is left out for all. Measures of trainings, `records.of_runs`, are
    compared by `statistics.welch_error`. Raise ValueError, naming the row, where it has no records,
    and as these do.
    """
    names = (*comparison.above, *comparison.below)
    if missing := [name for name in names if name not in records]:
        raise ValueError(f"there are no records of {', '.join(missing)}")
    if comparison.measure in OF_RUNS:
        return welch_error(*(of_runs(records[name], comparison.measure) for name in names))
    first = records[names[0]]
    scores = [scores_of(records[name], comparison.measure, decoded) for name in names]
    scored = np.flatnonzero(~np.isnan(np.concatenate(scores)).any(axis=0))
    return crossed_error(
        [row[:, scored] for row in scores],
        [first[0].utterances["speaker"][utterance] for utterance in scored],
        difference(comparison),
        weights_of(first, comparison.measure)[scored],
    )


def difference(comparison: Comparison) -> Callable[[np.ndarray], np.ndarray]:
    """Return what the comparison computes from the means of its rows: (n_rows, n) to (n,)."""
    split = len(comparison.above)
    of_side = np.ptp if comparison.statistic == "range" else np.max
    return lambda means: of_side(means[:split], axis=0) - of_side(means[split:], axis=0)


def judge(claim: Claim, records: Mapping[str, Sequence[Record]]) -> Verdict:
    """Return whether a claim holds of the models behind the records, by the rules of `claims`.

    It holds if all of its comparisons do, which needs no correction. It does not hold if one fails,
    by an interval that is widened for their number (Bonferroni). If neither is so, and every
    comparison that does not hold is equivalent within its margin, then so is the claim. Else it is
    undecided, and `power` tells how many trainings would decide. A comparison that holds by less
    than its margin holds. Raises as `effect` does. See :doc:`16_rebuild_table_1`.
    """
    found = [measured(comparison, records) for comparison in claim.comparisons]
    codes = _outcomes(claim, found)
    text = OUTCOMES[int(_together(codes))]
    names = {name for each in claim.comparisons for name in (*each.above, *each.below)}
    unsure = text == OUTCOMES[-1] and all(math.isfinite(each.error) for each in found)
    return Verdict(
        claim,
        text,
        tuple(each.interval() for each in found),
        tuple(OUTCOMES[code] for code in codes),
        min(len(records[name]) for name in names),
        power(claim, records) if unsure else {},
    )


def _outcomes(claim: Claim, found: Sequence[Measured]) -> np.ndarray:
    """Return the outcome of each comparison, by its place in OUTCOMES: (n_comparisons, ...)."""
    codes = []
    for comparison, each in zip(claim.comparisons, found, strict=True):
        levels = 0.9, 0.95, 1 - 0.05 / len(claim.comparisons)
        narrow, usual, wide = map(each.interval, levels)
        margin = MARGINS.get(comparison.measure, 0.0)
        within = (narrow.low > -margin) & (narrow.high < margin)
        bound = -comparison.tolerance
        codes.append(np.select([usual.low > bound, wide.high < bound, within], [0, 1, 2], 3))
    return np.stack(codes)


def _together(codes: np.ndarray) -> np.ndarray:
    """Return the outcome of a claim from those of its comparisons: (...)."""
    rules = (codes == 0).all(axis=0), (codes == 1).any(axis=0), (codes != 3).all(axis=0)
    return np.select(rules, [0, 1, 2], 3)


def power(
    claim: Claim,
    records: Mapping[str, Sequence[Record]],
    numbers: Sequence[int] = NUMBERS,
    repetitions: int = 500,
    seed: int = 0,
) -> Power:
    """Return the chance of each outcome for numbers of trainings, if the paper's table were true.

    Made-up tables have the paper's means, as many speakers as the records, and their variances
    (`statistics.variance_components`), those of the rows that a comparison rests on. For a measure
    that the paper does not give, the means are those of the records. Which rows are the best is
    taken for known in each table, which makes an error a little too large.
    See :doc:`16_rebuild_table_1`.
    """
    rng = np.random.default_rng(seed)
    wanted = [
        [(each.measure, name) for name in (*each.above, *each.below)] for each in claim.comparisons
    ]
    rows = list(dict.fromkeys(row for each in wanted for row in each))
    places = [[rows.index(row) for row in each] for each in wanted]
    truths = [_truth(comparison, records) for comparison in claim.comparisons]
    found: Power = {}
    for number in numbers:
        shape = len(rows), repetitions
        made = [
            rng.standard_normal(shape) / number**0.5,  # how far means are off
            rng.chisquare(number - 1, shape) / (number - 1),  # variances between trainings
            rng.standard_normal((*shape, truths[0].n_speakers)),
        ]
        drawn = [
            _drawn(each, truth, [part[place] for part in made], number)
            for each, truth, place in zip(claim.comparisons, truths, places, strict=True)
        ]
        codes = _together(_outcomes(claim, drawn))
        found[number] = {text: float(np.mean(codes == code)) for code, text in enumerate(OUTCOMES)}
    return found


def enough(chances: Power, chance: float = 0.8) -> int | None:
    """Return the smallest number of trainings that decides so often; None where none does."""
    deciding = (number for number in chances if 1 - chances[number][OUTCOMES[-1]] >= chance)
    return min(deciding, default=None)


class _Truth(NamedTuple):
    means: np.ndarray  # (n_rows, 1)
    trained: float  # variance of the mean of a training
    suited: float  # of a row's speakers
    n_speakers: int


def _truth(comparison: Comparison, records: Mapping[str, Sequence[Record]]) -> _Truth:
    """Return what made-up tables are drawn from."""
    measure, names = comparison.measure, (*comparison.above, *comparison.below)
    of_each = of_runs if measure in OF_RUNS else row_means
    trainings = [of_each(records[name], measure) for name in names]
    given = all(measure in PAPER.get(name, {}) for name in names)
    means = [PAPER[name][measure] for name in names] if given else [row.mean() for row in trainings]
    truth = np.array(means)[:, None]
    counting = np.flatnonzero(_slopes(difference(comparison), truth))
    apart = [trainings[row] - trainings[row].mean() for row in counting]
    trained = sum((row**2).sum() for row in apart) / sum(len(row) - 1 for row in apart)
    speakers, suited = np.array(records[names[0]][0].utterances["speaker"]), 0.0
    if measure not in OF_RUNS:
        scores = [scores_of(records[names[row]], measure) for row in counting]
        scored = ~np.isnan(np.concatenate(scores)).any(axis=0)
        whose = speakers[scored].tolist()
        suited = variance_components([row[:, scored] for row in scores], whose).speaker_row
    return _Truth(truth, trained, suited, len(set(speakers)))


def _slopes(statistic: Callable[[np.ndarray], np.ndarray], means: np.ndarray) -> np.ndarray:
    """Return by how much the statistic follows each row, which is -1, 0 or 1: (n_rows, n)."""
    step = 1e-6
    nudged = (means + step * unit[:, None] for unit in np.eye(len(means)))
    return np.stack([np.round((statistic(each) - statistic(means)) / step) for each in nudged])


def _drawn(
    comparison: Comparison, truth: _Truth, rows: Sequence[np.ndarray], number: int
) -> Measured:
    """Return what `measured` would of made-up tables, whose rows have unit variances."""
    off, spread, people = rows
    people = truth.suited**0.5 * people
    means = truth.means + truth.trained**0.5 * off + people.mean(axis=-1)
    slopes = _slopes(difference(comparison), means)
    of_rows = slopes**2 * truth.trained * spread / number
    of_people = (slopes[..., None] * people).sum(axis=0).var(axis=1, ddof=1) / truth.n_speakers
    parts, counts = np.stack([*of_rows, of_people]), [number] * len(means) + [truth.n_speakers]
    value, error = difference(comparison)(means), np.sqrt(parts.sum(axis=0))
    return Measured(value, error, satterthwaite(parts, counts))


def paper_effect(comparison: Comparison) -> float:
    """Return the same difference in the paper's own table, NaN for a measure that it does not have.

    See :doc:`16_rebuild_table_1`.

    >>> from sdmvae_lite.table.claims import CLAIMS
    >>> round(paper_effect(CLAIMS[1].comparisons[0]), 2)
    0.03
    """
    names = (*comparison.above, *comparison.below)
    means = np.array([[PAPER[name].get(comparison.measure, np.nan)] for name in names])
    return difference(comparison)(means).item()
