import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sdmvae_lite.scoring.statistics import (
    bootstrap_interval,
    crossed_error,
    crossed_interval,
    factors_error,
    mean_error,
    variance_components,
    welch_error,
)


def test_a_large_sample_has_the_interval_of_normal_theory():
    values = np.random.default_rng(0).exponential(size=4000)
    error = values.std(ddof=1) / np.sqrt(len(values))
    expected = stats.norm(values.mean(), error).interval(0.95)
    np.testing.assert_allclose(bootstrap_interval(values), expected, atol=0.1 * error)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_without_groups_it_is_that_of_scipy(level):
    values = np.random.default_rng(1).gamma(2.0, size=30)
    error = values.std(ddof=1) / np.sqrt(len(values))
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    np.testing.assert_allclose(bootstrap_interval(values, level=level), theirs, atol=0.1 * error)


def test_groups_of_equal_size_are_as_good_as_their_means():
    values = np.random.default_rng(3).normal(size=(9, 20))
    speakers = np.repeat(list("abcdefghi"), 20)
    expected = bootstrap_interval(values.mean(axis=1))
    assert bootstrap_interval(values.ravel(), speakers) == pytest.approx(expected, abs=1e-12)


def test_groups_of_unequal_size_are_kept_whole():
    # Two groups: a resample holds one of them alone, or both, in the proportion 1 : 2 : 1.
    low, high = bootstrap_interval([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"])
    assert (low, high) == (0.0, 1.0)
    low, high = bootstrap_interval([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"], level=0.4)
    assert (low, high) == (0.75, 0.75)


def test_the_order_of_the_values_within_and_the_names_of_groups_do_not_matter():
    values, groups = [1.0, 5.0, 2.0, 6.0], ["x", "y", "x", "y"]
    assert bootstrap_interval(values, groups) == bootstrap_interval(
        [2.0, 5.0, 1.0, 6.0], [7, 9, 7, 9]
    )


numbers = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


@given(numbers, st.integers(0, 100))
def test_a_group_for_each_value_is_no_grouping(values, seed):
    groups = range(len(values))
    ungrouped = bootstrap_interval(values, resamples=50, seed=seed)
    assert bootstrap_interval(values, groups, resamples=50, seed=seed) == ungrouped


@given(numbers, st.floats(0.01, 0.99), st.integers(2, 5))
def test_the_interval_lies_within_the_values(values, level, size):
    groups = [position % size for position in range(len(values))]
    low, high = bootstrap_interval(values, groups, level, resamples=100)
    slack = 1e-9 * max(abs(value) for value in values)
    assert min(values) - slack <= low <= high <= max(values) + slack


@given(numbers, st.floats(-100, 100))
def test_the_interval_moves_with_the_values(values, shift):
    low, high = bootstrap_interval(values, resamples=50)
    moved = bootstrap_interval(np.array(values) + shift, resamples=50)
    assert moved == pytest.approx((low + shift, high + shift), abs=1e-6, rel=1e-9)


def test_a_higher_level_is_a_wider_interval():
    values = np.random.default_rng(4).normal(size=50)
    narrow, wide = bootstrap_interval(values, level=0.8), bootstrap_interval(values, level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_seed_decides():
    values = np.random.default_rng(5).normal(size=50)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_any_number_of_resamples_will_do():
    values = np.random.default_rng(6).normal(size=20)
    error = values.std() / np.sqrt(20)
    expected = bootstrap_interval(values)
    for resamples in (2_500, 3_999):
        found = bootstrap_interval(values, resamples=resamples)
        np.testing.assert_allclose(found, expected, atol=0.2 * error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": []}, "at least two values, not 0"),
        ({"values": [1.0]}, "at least two values, not 1"),
        ({"values": [1.0, 2.0], "groups": ["a", "a"]}, "at least two groups, not 1"),
        ({"values": [1.0, np.nan]}, "NaN or infinite"),
        ({"values": [1.0, np.inf]}, "NaN or infinite"),
        ({"values": [[1.0, 2.0]]}, "one dimension, not 2"),
        ({"values": [1.0, 2.0], "groups": ["a"]}, "2 values and 1 groups"),
        ({"values": [1.0, 2.0], "level": 0.0}, "level must lie between 0 and 1, not 0.0"),
        ({"values": [1.0, 2.0], "level": 95}, "level must lie between 0 and 1, not 95"),
        ({"values": [1.0, 2.0], "level": float("nan")}, "level must lie between 0 and 1"),
        ({"values": [1.0, 2.0], "resamples": 0}, "resamples must be at least 1, not 0"),
    ],
)
def test_what_has_no_interval_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(**arguments)


def rows_like(effect, trainings, spreads, rng, n_speakers=9):
    """Two rows of scores on the same speakers, the first better by ``effect``."""
    people = 0.3 * rng.standard_normal(n_speakers)
    for shift, number, spread in zip((effect, 0.0), trainings, spreads, strict=True):
        own = people + shift + 0.04 * rng.standard_normal(n_speakers)
        trained = spread * rng.standard_normal((number, 1))
        noise = 0.1 * rng.standard_normal((number, 10 * n_speakers))
        yield trained + own.repeat(10) + noise


def gain(means):
    return means[0] - means[1]


@pytest.mark.parametrize(
    ("trainings", "spreads"),
    [
        ((2, 2), (0.05, 0.05)),
        ((5, 5), (0.05, 0.05)),
        ((4, 5), (0.05, 0.05)),
        ((5, 5), (0.4, 0.01)),  # one row makes all of the doubt
    ],
)
def test_crossed_intervals_hold_the_truth_as_often_as_they_say(trainings, spreads):
    rng, groups = np.random.default_rng(0), np.arange(9).repeat(10)
    held = 0
    for _ in range(500):
        rows = list(rows_like(0.1, trainings, spreads, rng))
        found = crossed_interval(rows, groups, gain, resamples=300)
        held += found.low <= 0.1 <= found.high
    assert 0.93 < held / 500 < 0.985


def test_the_degrees_of_freedom_are_those_of_whoever_makes_the_doubt():
    """Welch's t-test is the special case of two rows whose speakers do not matter."""
    rng = np.random.default_rng(5)
    rows = [spread * rng.standard_normal(n) for spread, n in ((0.4, 4), (0.1, 6))]
    expected = stats.ttest_ind(*rows, equal_var=False).confidence_interval(0.95)
    alike = [row[:, None].repeat(2, axis=1) for row in rows]
    found = crossed_interval(alike, ["a", "b"], gain, resamples=100_000)
    np.testing.assert_allclose(found[1:], expected, rtol=0.02)


def test_a_crossed_interval_of_one_factor_is_that_of_students_t():
    """Trainings that do not differ leave the means of the speakers alone."""
    speakers = np.random.default_rng(1).normal(size=30)
    found = crossed_interval([np.tile(speakers, (40, 1))], range(30), resamples=40_000)
    expected = stats.t(29, speakers.mean(), stats.sem(speakers)).interval(0.95)
    np.testing.assert_allclose(found[1:], expected, atol=0.02 * stats.sem(speakers) * 2)


def test_speakers_pair_and_trainings_do_not():
    rng, groups = np.random.default_rng(2), np.arange(9).repeat(4)
    people = rng.standard_normal(9).repeat(4)
    pair = crossed_interval([people + np.ones((3, 1)), np.tile(people, (3, 1))], groups, gain)
    assert pair.low == pytest.approx(1) == pair.high
    trained = people + rng.standard_normal((3, 1))
    found = crossed_interval([trained, trained], groups, gain)
    assert found.value == pytest.approx(0)
    assert found.high > 0.5


def test_weights_count():
    found = crossed_interval([[[1.0, 5.0]] * 2], ["a", "b"], weights=[3, 1])
    assert found.value == pytest.approx(2.0)


def test_one_training_leaves_the_interval_unbounded():
    found = crossed_interval([[[1.0, 2.0]]], ["a", "b"])
    assert found == (1.5, -np.inf, np.inf)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": []}, "no rows"),
        ({"rows": [[[1.0, 2.0, 3.0]]]}, "shape .1, 3., wanted is .n_trainings, 2 utterances"),
        ({"rows": [[[1.0, np.nan]] * 2]}, "NaN or infinite"),
        ({"groups": ["a", "a"]}, "at least two speakers"),
        ({"level": 1.0}, "level must lie between 0 and 1"),
    ],
)
def test_what_has_no_crossed_interval_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        crossed_interval(**{"rows": [[[1.0, 2.0]] * 2], "groups": ["a", "b"]} | arguments)


def test_single_numbers_have_welchs_interval():
    first, second = [3.0, 4.0, 5.0], [1.0, 2.0, 2.5, 3.0]
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.9)
    assert welch_error(first, second).interval(0.9)[1:] == pytest.approx(expected)
    assert welch_error([3.0], second).interval() == pytest.approx((0.875, -np.inf, np.inf))
    assert np.isnan(welch_error([], second).value)
    assert welch_error([], second).error == np.inf


def test_one_set_of_redraws_has_intervals_of_every_level():
    rows = list(rows_like(0.1, (5, 5), (0.05, 0.05), np.random.default_rng(7)))
    groups = np.arange(9).repeat(10)
    found = crossed_error(rows, groups, gain)
    for level in (0.5, 0.9, 0.95):
        assert found.interval(level) == crossed_interval(rows, groups, gain, level=level)
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        found.interval(1.0)


def crossed_rows(rng, trainings, sentences, spreads):
    """Rows of scores (n_trainings, n_utterances), with the four sources of chance."""
    groups = np.arange(len(sentences)).repeat(sentences)
    shared = rng.standard_normal(len(sentences))[groups] + rng.standard_normal(len(groups))

    def chance(spread, *shape):
        return spread * rng.standard_normal(shape)

    training, speaker_row, training_speaker, rest = spreads
    return groups, [
        shared
        + rng.standard_normal()
        + chance(training, n, 1)
        + chance(speaker_row, len(sentences))[groups]
        + chance(training_speaker, n, len(sentences))[:, groups]
        + chance(rest, n, len(groups))
        for n in trainings
    ]


@pytest.mark.parametrize("sentences", [(6,) * 8, (2, 3, 4, 5, 6, 7, 10, 11)])
@pytest.mark.parametrize("trainings", [(4, 4, 4, 4), (1, 2, 3, 10)])
def test_variance_components_are_found_again(trainings, sentences):
    """Without a bias, also where speakers and rows differ in number."""
    rng, spreads = np.random.default_rng(0), (0.3, 0.5, 0.4, 1.0)
    found = [
        variance_components(rows, groups)
        for groups, rows in (crossed_rows(rng, trainings, sentences, spreads) for _ in range(600))
    ]
    assert np.mean(found, axis=0) == pytest.approx(np.square(spreads), rel=0.1)


def test_components_that_are_not_there_are_zero_or_nearly():
    groups, rows = crossed_rows(np.random.default_rng(1), (5,) * 6, (9,) * 9, (0.5, 0, 0, 0.1))
    found = variance_components(rows, groups)
    assert min(found) >= 0
    assert found.training == pytest.approx(0.25, rel=0.5)
    assert max(found.speaker_row, found.training_speaker) < 1e-3
    assert found.rest == pytest.approx(0.01, rel=0.1)


def test_the_components_of_a_balanced_table_are_those_of_an_analysis_of_variance():
    """Mean squares of the textbook, from sums over the full array."""
    rng, (R, T, G, n) = np.random.default_rng(2), (3, 4, 5, 6)
    y = rng.standard_normal((R, T, G, n)) + 2 * rng.standard_normal((R, T, 1, 1))
    y += rng.standard_normal((R, T, G, 1)) + 2 * rng.standard_normal((R, 1, G, 1))
    mean = y.mean
    within_row = y - mean(axis=1, keepdims=True)
    interaction = mean(axis=3) - mean(axis=(1, 3))[:, None] - mean(axis=(2, 3))[..., None]
    interaction += mean(axis=(1, 2, 3))[:, None, None]
    of_cells = n * (interaction**2).sum() / (R * (T - 1) * (G - 1))
    rest = (within_row - within_row.mean(axis=3, keepdims=True)) ** 2
    of_rest = rest.sum() / (R * (T - 1) * G * (n - 1))
    of_training = G * n * mean(axis=(2, 3)).var(axis=1, ddof=1).mean()
    rows = mean(axis=(1, 3)) - mean(axis=(1, 2, 3))[:, None] - mean(axis=(0, 1, 3)) + mean()
    of_rows = T * n * (rows**2).sum() / ((R - 1) * (G - 1))
    found = variance_components(y.reshape(R, T, G * n), np.arange(G).repeat(n))
    assert found.speaker_row == pytest.approx((of_rows - of_cells) / (T * n))
    assert found.rest == pytest.approx(of_rest)
    assert found.training_speaker == pytest.approx((of_cells - of_rest) / n)
    assert found.training == pytest.approx((of_training - of_cells) / (G * n))


@pytest.mark.parametrize(
    ("rows", "groups"),
    [
        ([[[1.0, 2.0]] * 2], "ab"),
        ([[[1.0, 2.0]] * 2] * 2, "aa"),
        ([[[1.0, 2.0]]] * 2, "ab"),
    ],
)
def test_what_has_no_components_is_refused(rows, groups):
    with pytest.raises(ValueError, match="two rows, two speakers, and two trainings"):
        variance_components(rows, groups)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=9).filter(lambda x: np.std(x) > 1e-3))
def test_the_interval_of_a_mean_is_that_of_students_test(values):
    found = mean_error(values).interval()
    ends = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(found[1:], ends, rtol=1e-9, atol=1e-12)


def test_a_factor_of_one_member_leaves_no_interval():
    assert mean_error([3.1]).error == math.inf
    assert factors_error(1.0, [[1.0, 2.0], [3.0]]).error == math.inf
