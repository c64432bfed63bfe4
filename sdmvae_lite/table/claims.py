"""The paper's table and what the paper concludes from it, as comparisons with fixed margins.

Fixed on 2026-11-26, before any record of the recipe was made. Nothing here is changed to suit a
record; a mistake is mended with a date beside it.

*Rows and seeds.* By the paper's protocol every row has the seeds 0 to 4; these were made earlier,
and looked at before the claims 8 to 11 and the margins below were written. Further seeds, in their
order, go to the rows of the claims 1, 2, 3 and 6 first, as far as time allows. By the recipe (names
end in ``RECIPE``: log-power input, batches of 128, Adam with a cosine from 4e-3 over 20 epochs, or
60 on the quarter of an hour of synthetic speech) all fourteen rows have the seeds 0 to 9, made in
the order of the seeds, all rows alike. No training is dropped. A verdict from fewer than ``ENOUGH``
trainings of a row is called preliminary. Trials of the recipe, one or two trainings of six of the
rows, had been scored on sixty test utterances, and looked at.

*Rules.* A comparison is of means over test utterances and trainings, or, for measures of a run, of
means over trainings. It holds where its 95 % interval lies above minus its tolerance, and fails
where the interval, widened for the number of comparisons of its claim, lies wholly below. Rows are
equivalent where the 90 % interval of their difference lies within the margin (two one-sided tests
at 5 %). Everything else is undecided. How comparisons make a verdict is said in `verdicts.judge`.

*Margins.* The paper calls a step of PESQ from 3.29 to 3.26 a loss, and prints two digits of STOI.
The others are set here: 0.02 of Hoyer's score, a tenth of the time of an epoch, 2 nats a frame.

*Changed from the first seven claims*, which were judged before: claim 1 excepts, as the paper does,
the undercomplete dictionary of 32 atoms for m = 64, whose STOI is .01 below the VAE's in its table.
"""

from __future__ import annotations

import math
from typing import NamedTuple

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
RECIPE = "-log-cosine"
ENOUGH = 10
MARGINS = {
    "pesq_raw": 0.03,
    "estoi": 0.01,
    "hoyer": 0.02,
    "cost": math.log(1.1),  # of the logarithm of seconds an epoch, see `records.of_runs`
    "overfitting": 2.0,  # nats a frame
}
VSC = ("vsc-0.05", "vsc-0.5", "vsc-0.9")
SDM = ("sdm-identity", "sdm-dct32", "sdm-dct64")
SPARSE = VSC + SDM


class Comparison(NamedTuple):
    """The best of some rows is above the best of others, or at most ``tolerance`` below.

    With ``statistic`` "range", what is compared is how far the rows of a side are from each other.
    """

    measure: str
    above: tuple[str, ...]
    below: tuple[str, ...]
    tolerance: float = 0.0
    statistic: str = "best"


class Claim(NamedTuple):
    """What the paper concludes, as comparisons that must all be true."""

    text: str
    comparisons: tuple[Comparison, ...]
    sentence: str = ""  # of the paper, Section 4.2 unless another is named


def _no_loss(measure: str, above: str, below: str) -> Comparison:
    return Comparison(measure, (above,), (below,), MARGINS[measure])


def _sized(rows: tuple[str, ...], m: int) -> tuple[str, ...]:
    return tuple(f"{row}-{m}" for row in rows)


CLAIMS = (
    Claim(
        "Sparsity comes without loss of quality",
        sentence=(
            '"it promotes sparsity while not deteriorating the output speech quality" (abstract)'
        ),
        comparisons=tuple(
            Comparison("hoyer", (f"{row}-{m}",), (f"vae-{m}",))
            if measure == "hoyer"
            else _no_loss(measure, f"{row}-{m}", f"vae-{m}")
            for m in (32, 64)
            for row in SDM
            if (row, m) != ("sdm-dct32", 64)  # undercomplete
            for measure in MEASURES
        ),
    ),
    Claim(
        "The VAE loses PESQ from m = 32 to 64",
        sentence='"for the classical VAE, the PESQ decreases when going from m = 32 to 64"',
        comparisons=(Comparison("pesq_raw", ("vae-32",), ("vae-64",)),),
    ),
    Claim(
        "The sparse models do not lose PESQ from m = 32 to 64",
        sentence=(
            '"for the sparse VAE models, for which increasing the latent space dimension does '
            "not sacrifice the reconstruction quality (except for SDM-VAE when using a DCT "
            'dictionary with k = 32 atoms"'
        ),
        comparisons=tuple(
            _no_loss("pesq_raw", f"{row}-64", f"{row}-32") for row in SPARSE if row != "sdm-dct32"
        ),
    ),
    Claim(
        "A smaller α costs PESQ at m = 32",
        sentence=(
            '"increasing sparsity (i.e., decreasing α) results in sacrificing the '
            'reconstruction quality in terms of PESQ when m = 32"'
        ),
        comparisons=tuple(
            Comparison("pesq_raw", (f"{row}-32",), ("vsc-0.05-32",)) for row in VSC[1:]
        ),
    ),
    Claim(
        "More atoms give a higher Hoyer score",
        sentence=(
            '"increasing the number of atoms in the dictionary results in an increased '
            'sparsity score"'
        ),
        comparisons=tuple(
            Comparison("hoyer", (f"sdm-dct64-{m}",), (f"sdm-dct32-{m}",)) for m in (32, 64)
        ),
    ),
    Claim(
        "I is better than DCT at m = 64, and DCT than I at m = 32",
        sentence=(
            '"the best SDM-VAE results are obtained when using an identity dictionary rather '
            'than the DCT"; "the DCT dictionary remains the best performing option when m = '
            '32"'
        ),
        comparisons=(
            Comparison("pesq_raw", _sized(SDM[:1], 64), _sized(SDM[1:], 64)),
            Comparison("pesq_raw", _sized(SDM[1:], 32), _sized(SDM[:1], 32)),
        ),
    ),
    Claim(
        "SDM-VAE is best in all three scores",
        sentence=(
            '"SDM-VAE yields the best results in terms of both reconstruction quality (PESQ '
            'and STOI) and sparsity (Hoyer score)"'
        ),
        comparisons=tuple(
            Comparison(measure, _sized(SDM, m), _sized(("vae", *VSC), m))
            for m in (32, 64)
            for measure in MEASURES
        ),
    ),
    Claim(
        "As many atoms as dimensions, k = m, lose nothing to other numbers",
        sentence=(
            '"using k = m would be an appropriate and simple guideline, since it maximizes '
            'reconstruction quality"'
        ),
        comparisons=tuple(
            _no_loss(measure, f"sdm-dct{m}-{m}", f"sdm-dct{96 - m}-{m}")
            for m in (32, 64)
            for measure in MEASURES[:2]
        ),
    ),
    Claim(  # the paper's own table says so at m = 32, and the contrary at m = 64
        "STOI moves less between DCT dictionaries than between values of α",
        sentence=(
            '"SDM-VAE model using the DCT dictionary is less sensitive to the sparsity level, '
            'since it exhibits more stable STOI values"'
        ),
        comparisons=tuple(
            Comparison("estoi", _sized(VSC, m), _sized(SDM[1:], m), statistic="range")
            for m in (32, 64)
        ),
    ),
    Claim(
        "An epoch of the SDM-VAE takes at most a tenth longer than one of the VAE",
        sentence=(
            '"with a negligible extra computational burden compared to a plain VAE" (Section 1)'
        ),
        comparisons=tuple(
            _no_loss("cost", f"vae-{m}", f"{row}-{m}") for m in (32, 64) for row in SDM
        ),
    ),
    Claim(
        "The VAE overfits more at m = 64 than at 32, and more than the SDM-VAE with D = I",
        sentence=(
            '"These results confirm a known advantage of sparsity as a regularizer for the '
            'model to avoid overfitting"'
        ),
        comparisons=(
            Comparison("overfitting", ("vae-64",), ("vae-32",)),
            *(Comparison("overfitting", (f"vae-{m}",), (f"sdm-identity-{m}",)) for m in (32, 64)),
        ),
    ),
)

NOT_TESTED = (
    ("A code that is easier to interpret", "no measure of it is defined, and nobody was asked"),
    ("No parameter to tune", "true by construction: the prior has none that a user sets"),
    ("An increasing PESQ when sparsity increases", "its table has it at m = 64 alone, see claim 8"),
    ("The scores on TCD-TIMIT", "the speech is under licence; the code can read it"),
    ("The authors' VSC", "it is not among the released code; the rows here are another VSC"),
    ("The spread of .01 of PESQ that the table states", "it does not say over what it was taken"),
)
