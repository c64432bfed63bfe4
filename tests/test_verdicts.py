from dataclasses import replace

import numpy as np
import pytest
from toc import ROOT

from sdmvae_lite.table import verdicts
from sdmvae_lite.table.claims import CLAIMS, MARGINS, MEASURES, PAPER, Claim, Comparison
from sdmvae_lite.table.records import read_record
from sdmvae_lite.table.verdicts import OUTCOMES, effect, enough, judge, measured, power
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
    assert judge(FIRST_AND_SECOND, two(3.0, 3.0, spread=0.2)).text == "undecided"


def test_of_many_comparisons_one_may_fail_by_chance():
    """Each is at a level of 95 %; that one of twenty lies below its bound says little."""
    scores = two(3.0, 3.07, spread=0.025)
    bound = FIRST_AND_SECOND.comparisons[0]
    high = effect(bound, scores).high
    assert high < 0 < effect(bound, scores, level=1 - 0.05 / 20).high
    assert judge(FIRST_AND_SECOND, scores).text == "does not hold"
    won = Comparison("pesq_raw", ("b",), ("a",))
    assert judge(Claim("", (bound, *[won] * 19)), scores).text == "undecided"


def test_what_differs_by_nothing_that_matters_is_equivalent():
    """By two one-sided tests at 5 %: the 90 % interval lies within the margin, and no other."""
    assert (
        judge(FIRST_AND_SECOND, two(3.0, 3.0, spread=1e-3)).text == "equivalent within the margin"
    )
    assert judge(FIRST_AND_SECOND, two(3.01, 3.0, spread=1e-4)).text == "holds"


def test_the_margin_is_held_against_the_interval_of_90_per_cent(monkeypatch):
    scores = two(3.0, 3.0, spread=0.1)
    found = measured(FIRST_AND_SECOND.comparisons[0], scores)
    narrow, usual = (max(map(abs, found.interval(level)[1:])) for level in (0.9, 0.95))
    for margin, text in (
        (0.5 * (narrow + usual), "equivalent within the margin"),
        (0.99 * narrow, "undecided"),
    ):
        monkeypatch.setitem(MARGINS, "pesq_raw", margin)
        assert judge(FIRST_AND_SECOND, scores).text == text


def test_how_the_comparisons_of_a_claim_make_its_verdict():
    pairs = {"wins": (1, 0), "level": (0, 0), "loses": (0, 1)}
    means = {f"{n}-{i}": {"pesq_raw": v} for n, both in pairs.items() for i, v in enumerate(both)}
    records = made_up(means, spread=1e-3)
    records |= made_up({f"open-{i}": {"pesq_raw": 0} for i in (0, 1)}, spread=0.5)
    assert judged(records, "open").text == "undecided"
    for names, text in {
        ("wins", "level"): "equivalent within the margin",
        ("level", "level"): "equivalent within the margin",
        ("wins", "wins"): "holds",
        ("wins", "open"): "undecided",
        ("level", "open"): "undecided",
        ("open", "loses"): "does not hold",
        ("wins", "level", "open", "loses"): "does not hold",
    }.items():
        verdict = judged(records, *names)
        assert verdict.text == text, names
        assert verdict.outcomes == tuple(judged(records, name).text for name in names)


def judged(records, *names):
    pairs = (Comparison("pesq_raw", (f"{name}-0",), (f"{name}-1",)) for name in names)
    return judge(Claim("", tuple(pairs)), records)


def test_a_verdict_in_words():
    many = two(3.0, 3.0, trainings=10, spread=0.3)
    assert str(judge(FIRST_AND_SECOND, two(4.0, 3.0, trainings=10))) == "holds"
    assert str(judge(FIRST_AND_SECOND, two(4.0, 3.0, trainings=9))) == "holds, preliminary"
    assert str(judge(FIRST_AND_SECOND, many)) == "undecided (80 trainings would not decide)"
    few = judge(FIRST_AND_SECOND, two(3.1, 3.0, trainings=3, spread=0.07))
    number = enough(few.power)
    assert str(few) == f"undecided ({number} trainings would decide), preliminary"
    reason = f"{number} trainings were expected to decide"
    assert str(few._replace(trainings=max(number, 10))) == f"undecided ({reason})"


def test_the_power_is_how_often_made_up_tables_are_judged_so(monkeypatch):
    truth = two(3.1, 3.0, trainings=40, spread=0.06, seed=1)
    apart = effect(FIRST_AND_SECOND.comparisons[0], truth).value
    expected = power(FIRST_AND_SECOND, truth, numbers=(4,), repetitions=2_000)[4]
    monkeypatch.setattr(verdicts, "power", lambda *_: {})
    tables = (two(3 + apart, 3.0, trainings=4, spread=0.06, seed=seed) for seed in range(2, 122))
    found = [judge(FIRST_AND_SECOND, table).text for table in tables]
    assert 0.2 < expected["holds"] < 0.6
    assert sum(expected.values()) == pytest.approx(1)
    for text in OUTCOMES:
        assert found.count(text) / len(found) == pytest.approx(expected[text], abs=0.12)


def test_the_papers_table_is_the_truth_of_power_where_it_has_the_measure():
    """It has a loss of .03 of PESQ from m = 32 to 64, these records the contrary."""
    records = made_up({"vae-32": {"pesq_raw": 3.0}, "vae-64": {"pesq_raw": 3.5}}, spread=1e-3)
    assert judge(CLAIMS[1], records).text == "does not hold"
    assert power(CLAIMS[1], records, numbers=(5,))[5]["holds"] > 0.99
    means = {"vae-32": {"overfitting": 0.0}, "vae-64": {"overfitting": -5.0}}
    gap = Claim("", (Comparison("overfitting", ("vae-64",), ("vae-32",)),))
    assert power(gap, made_up(means), numbers=(5,))[5]["does not hold"] > 0.99


def test_the_smallest_number_that_decides_four_times_of_five():
    chances = {5: {"undecided": 0.5}, 10: {"undecided": 0.2}, 20: {"undecided": 0.1}}
    assert enough(chances) == 10
    assert enough({5: {"undecided": 0.21}}) is None


def test_one_training_decides_nothing():
    verdict = judge(FIRST_AND_SECOND, two(4.0, 1.0, trainings=1))
    assert verdict.text == "undecided"
    assert verdict.effects[0].value == pytest.approx(3, abs=0.1)
    assert np.isinf(verdict.effects[0].high)


def test_trainings_that_were_not_timed_decide_nothing():
    timed = made_up({name: {"cost": 0.0} for name in "ab"})
    untimed = [replace(record, seconds_of_training=None) for record in timed["b"]]
    claim = Claim("", (Comparison("cost", ("a",), ("b",)),))
    verdict = judge(claim, timed | {"b": untimed})
    assert (verdict.text, verdict.power) == ("undecided", {})


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
