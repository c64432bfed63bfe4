from dataclasses import replace

import numpy as np
import pytest
from toc import ROOT

from sdmvae_lite.table.claims import CLAIMS, MEASURES, PAPER, Claim, Comparison
from sdmvae_lite.table.records import read_record
from sdmvae_lite.table.verdicts import effect, judge
from sdmvae_lite.training.fit import History

RECORD = read_record(ROOT / "results" / "synthetic-vae-32-seed0.json")
SPEAKERS = [f"speaker {number}" for number in range(9) for _ in range(4)]
FIRST_AND_SECOND = Claim("first above second", (Comparison("pesq_raw", ("a",), ("b",)),))


def made_up(means, trainings=5, spread=0.01, seed=0):
    """Records whose scores, gaps and seconds scatter a little around the given means."""
    rng = np.random.default_rng(seed)
    people = {measure: 0.1 * rng.standard_normal(9).repeat(4) for measure in MEASURES}
    said = {"speaker": SPEAKERS, "n_frames": [100] * len(SPEAKERS)}

    def scattered(measure, mean):
        run, each = rng.standard_normal(), rng.standard_normal(len(SPEAKERS))
        return list(mean + people[measure] + spread * run + spread * each)

    def trained(scores):
        gap, cost = (
            scores.get(measure, 0.0) + spread * rng.standard_normal()
            for measure in ("overfitting", "cost")
        )
        return replace(
            RECORD,
            utterances=said,
            posterior_mean={m: scattered(m, scores[m]) for m in MEASURES if m in scores},
            history=History([7.0, 0.0], [0.0, 0.0], [7.0, gap], [0.0, 0.0]),
            best_epoch=2,
            seconds_of_training=2 * np.exp(cost),
        )

    return {name: [trained(scores) for _ in range(trainings)] for name, scores in means.items()}


def two(first, second, **options):
    return made_up({"a": {"pesq_raw": first}, "b": {"pesq_raw": second}}, **options)


def clearly(claim, sign):
    """Means of all rows that bear every comparison out, or, with sign -1, none."""
    means = {row: dict.fromkeys((*MEASURES, "overfitting", "cost"), 0.0) for row in PAPER}
    for comparison in claim.comparisons:
        for side, names in ((sign, comparison.above), (-sign, comparison.below)):
            for number, name in enumerate(names):
                apart = number * (side > 0) if comparison.statistic == "range" else side
                means[name][comparison.measure] += apart
    return means


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.text)
def test_a_claim_holds_of_models_that_are_clearly_so_and_not_of_the_contrary(claim):
    assert judge(claim, made_up(clearly(claim, 1))).text == "holds"
    assert judge(claim, made_up(clearly(claim, -1))).text == "does not hold"


def test_what_is_within_chance_is_not_decided():
    assert judge(FIRST_AND_SECOND, two(3.0, 3.0, spread=0.2)).text == "not decided"


def test_of_many_comparisons_one_may_fail_by_chance():
    """Each is at a level of 95 %; that one of twenty lies below its bound says little."""
    scores = two(3.0, 3.07, spread=0.025)
    bound = FIRST_AND_SECOND.comparisons[0]
    high = effect(bound, scores).high
    assert high < 0 < effect(bound, scores, level=1 - 0.05 / 20).high
    assert judge(FIRST_AND_SECOND, scores).text == "does not hold"
    won = Comparison("pesq_raw", ("b",), ("a",))
    assert judge(Claim("", (bound, *[won] * 19)), scores).text == "not decided"


def test_one_training_decides_nothing():
    verdict = judge(FIRST_AND_SECOND, two(4.0, 1.0, trainings=1))
    assert verdict.text == "not decided"
    assert verdict.effects[0].value == pytest.approx(3, abs=0.1)
    assert np.isinf(verdict.effects[0].high)


def test_a_tolerance_forgives_as_much_and_no_more():
    scores = two(3.00, 3.02, spread=1e-4)
    for tolerance, text in ((0.03, "holds"), (0.01, "does not hold")):
        claim = Claim("", (Comparison("pesq_raw", ("a",), ("b",), tolerance),))
        assert judge(claim, scores).text == text


def test_the_best_of_several_is_taken():
    records = made_up({n: {"hoyer": h} for n, h in {"a": 0.1, "b": 0.5, "c": 0.3}.items()})
    found = effect(Comparison("hoyer", ("a", "b"), ("c",)), records)
    assert found.value == pytest.approx(0.2, abs=0.02)
    assert found.low < found.value < found.high


def test_what_one_run_could_not_score_is_left_out_for_all():
    records = two(3.0, 2.9)
    expected = records["a"][0].posterior_mean["pesq_raw"][1:]
    records["a"][0].posterior_mean["pesq_raw"][0] = None
    assert np.isfinite(effect(FIRST_AND_SECOND.comparisons[0], records)).all()
    alone = {name: [record] for name, (record, *_) in records.items()}
    below = np.mean(records["b"][0].posterior_mean["pesq_raw"][1:])
    found = effect(FIRST_AND_SECOND.comparisons[0], alone)
    assert found.value == pytest.approx(np.mean(expected) - below)


def test_rows_without_records_are_named():
    with pytest.raises(ValueError, match="no records of b"):
        judge(FIRST_AND_SECOND, made_up({"a": {"pesq_raw": 3.0}}))
