"""The paper's table, what the paper concludes from it, and what run records say of each claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..scoring.statistics import Estimate, crossed_interval
from .records import Record, scores_of, weights_of

# Table 1 of the paper: PESQ, STOI and Hoyer of each row, by the measures that records hold. The
# authors' code computes raw narrow-band PESQ, and extended STOI.
MEASURES = ("pesq_raw", "estoi", "hoyer")
PAPER = {
    f"{row}-{m}": dict(zip(MEASURES, scores, strict=True))
    for row, both in {
        "vae": {32: (3.29, 0.85, 0.40), 64: (3.26, 0.85, 0.56)},
        "vsc-0.05": {32: (3.00, 0.81, 0.57), 64: (3.25, 0.84, 0.51)},
        "vsc-0.5": {32: (3.25, 0.84, 0.54), 64: (3.32, 0.85, 0.65)},
        "vsc-0.9": {32: (3.25, 0.84, 0.47), 64: (3.26, 0.85, 0.60)},
        "sdm-identity": {32: (3.33, 0.86, 0.64), 64: (3.45, 0.87, 0.73)},
        "sdm-dct32": {32: (3.37, 0.86, 0.66), 64: (3.28, 0.84, 0.66)},
        "sdm-dct64": {32: (3.32, 0.86, 0.87), 64: (3.33, 0.86, 0.76)},
    }.items()
    for m, scores in both.items()
}
# What counts as no loss: the paper calls 3.29 to 3.26 a loss of PESQ, and prints two digits.
TOLERANCE = {"pesq_raw": 0.03, "estoi": 0.01, "hoyer": 0.0}
SPARSE = ("vsc-0.05", "vsc-0.5", "vsc-0.9", "sdm-identity", "sdm-dct32", "sdm-dct64")
SDM = SPARSE[3:]


class Comparison(NamedTuple):
    """The best of some rows is above the best of others, or at most ``tolerance`` below."""

    measure: str
    above: tuple[str, ...]
    below: tuple[str, ...]
    tolerance: float = 0.0


class Claim(NamedTuple):
    """What the paper concludes, as comparisons that must all be true."""

    text: str
    comparisons: tuple[Comparison, ...]


class Verdict(NamedTuple):
    """What records say of a claim."""

    claim: Claim
    text: str  # holds, does not hold, or not decided
    effects: tuple[Estimate, ...]  # of each comparison: best above less best below


COMPARISONS = {
    "Sparsity comes without loss of quality": [
        Comparison(measure, (f"{row}-{m}",), (f"vae-{m}",), TOLERANCE[measure])
        for m in (32, 64)
        for row in SDM
        for measure in MEASURES
    ],
    "The VAE loses PESQ from m = 32 to 64": [Comparison("pesq_raw", ("vae-32",), ("vae-64",))],
    "The sparse models do not lose PESQ from m = 32 to 64": [
        Comparison("pesq_raw", (f"{row}-64",), (f"{row}-32",), TOLERANCE["pesq_raw"])
        for row in SPARSE
        if row != "sdm-dct32"  # the paper's exception: it spans half of 64 dimensions
    ],
    "A smaller α costs PESQ at m = 32": [
        Comparison("pesq_raw", (f"vsc-{alpha}-32",), ("vsc-0.05-32",)) for alpha in (0.5, 0.9)
    ],
    "More atoms give a higher Hoyer score": [
        Comparison("hoyer", (f"sdm-dct64-{m}",), (f"sdm-dct32-{m}",)) for m in (32, 64)
    ],
    "I is better than DCT at m = 64, and DCT than I at m = 32": [
        Comparison("pesq_raw", ("sdm-identity-64",), ("sdm-dct32-64", "sdm-dct64-64")),
        Comparison("pesq_raw", ("sdm-dct32-32", "sdm-dct64-32"), ("sdm-identity-32",)),
    ],
    "SDM-VAE is best in all three scores": [
        Comparison(
            measure,
            tuple(f"{row}-{m}" for row in SDM),
            tuple(f"{row}-{m}" for row in ("vae", *SPARSE[:3])),
        )
        for m in (32, 64)
        for measure in MEASURES
    ],
}
CLAIMS = tuple(Claim(text, tuple(comparisons)) for text, comparisons in COMPARISONS.items())


def effect(
    comparison: Comparison,
    records: Mapping[str, Sequence[Record]],
    level: float = 0.95,
    decoded: str = "posterior mean",
) -> Estimate:
    """Return how far the best row of one side is above the best of the other, with its interval.

    The best are chosen anew in each redraw of speakers and trainings, see
    `statistics.crossed_interval`, so that the interval covers the choice too. An utterance that
    one of the runs could not score is left out for all. Raise ValueError, naming the row, where
    it has no records, and as `crossed_interval` does. See :doc:`13_rebuild_table_1`.
    """
    names = (*comparison.above, *comparison.below)
    if missing := [name for name in names if name not in records]:
        raise ValueError(f"there are no records of {', '.join(missing)}")
    first = records[names[0]]
    scores = [scores_of(records[name], comparison.measure, decoded) for name in names]
    scored = np.flatnonzero(~np.isnan(np.concatenate(scores)).any(axis=0))
    split = len(comparison.above)
    return crossed_interval(
        [row[:, scored] for row in scores],
        [first[0].utterances["speaker"][utterance] for utterance in scored],
        lambda means: means[:split].max(axis=0) - means[split:].max(axis=0),
        weights_of(first, comparison.measure)[scored],
        level,
    )


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
    """Return the same difference in the paper's own table. See :doc:`13_rebuild_table_1`.

    >>> round(paper_effect(CLAIMS[1].comparisons[0]), 2)
    0.03
    """
    sides = (comparison.above, comparison.below)
    above, below = (max(PAPER[row][comparison.measure] for row in rows) for rows in sides)
    return above - below
