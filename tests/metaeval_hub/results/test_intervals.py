import inspect
from itertools import product

import numpy as np
import pytest
from scipy import stats

from metaeval_hub.results.intervals import RESAMPLES, holm, mean_interval, mean_p_value, paired_difference, wilson


@pytest.mark.parametrize(("right", "rows"), [(0, 7), (1, 1), (33, 50), (210, 300), (300, 300)])
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_wilson_agrees_with_scipy(right, rows, level):
    expected = stats.binomtest(right, rows).proportion_ci(level, method="wilson")
    assert wilson(right / rows, rows, level) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize("arguments", [(1.2, 10), (0.5, 0), (0.5, 10, 1.0), (float("nan"), 10)])
def test_wilson_refuses_invalid_proportions(arguments):
    with pytest.raises(ValueError, match="expected accuracy"):
        wilson(*arguments)


# tasks per group as in the report: 57 tasks in 22 groups, of which one has 18 tasks
OF_REPORT = (18, 7, 4, 4, 4, 3, 2, *(1,) * 15)


def alone(values):
    """Return the values of tasks that are each the only one of their group."""
    return {f"group{i}/task": value for i, value in enumerate(values)}


def grouped(groups):
    return {f"group{i}/task{j}": value for i, group in enumerate(groups) for j, value in enumerate(group)}


def coverage(sizes, draws=300, spread=0.1):
    """Return the share of intervals that contain the true mean, with equal effects of groups and of tasks."""
    random = np.random.default_rng(0)
    found = [
        mean_interval(grouped(random.normal(0, spread) + random.normal(0, spread, n) for n in sizes), resamples=300)
        for _ in range(draws)
    ]
    return np.mean([low <= 0 <= high for low, high in found])


def test_the_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(1).normal(0.6, 0.15, 40)
    seed = {"rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state": 2}
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, **seed).confidence_interval
    assert mean_interval(alone(values)) == pytest.approx(tuple(expected), abs=2e-3)
    assert mean_interval(alone(values)) == mean_interval(alone(values))


def test_bootstrap_over_groups_by_hand():
    """Ten groups of two equal tasks: one has the value 1, the others 0. A sample draws it k times of ten, k binomial.

    The mean of a sample is k / 10; P(k <= 2) = 0.930, P(k <= 3) = 0.987: the bounds are 0 and 0.3. Tasks treated as
    independent would have an upper bound of 0.25.
    """
    values = grouped([(1.0, 1.0), *[(0.0, 0.0)] * 9])
    assert mean_interval(values) == (0.0, pytest.approx(0.3))
    assert stats.binom.ppf(0.975, 20, 0.1) / 20 == 0.25
    # P(k = 0) = 0.9^10 of the samples have a mean of 0; twice that share is the p-value
    assert mean_p_value(values) == pytest.approx(2 * 0.9**10, abs=0.02)
    # the mean is over tasks, not over groups
    uneven = grouped([(1.0,) * 3, *[(0.0,)] * 9])
    low, high = mean_interval({task: 1.0 - value for task, value in uneven.items()})
    assert low < 1 - 3 / 12 < high


def test_two_groups_have_students_t_by_hand():
    """Group means 0.2 and 0.4, of one and three tasks: the mean over tasks is 0.35.

    Without one of the groups it is 0.4 or 0.2, so the jackknife's standard error is sqrt(1/2 (0.05^2 + 0.15^2)); that
    of the mean of group means, sqrt(0.02 / 2) = 0.1, is smaller.
    """
    values = grouped([(0.2,), (0.3, 0.4, 0.5)])
    error = (0.5 * (0.05**2 + 0.15**2)) ** 0.5
    low, high = mean_interval(values)
    assert (low, high) == (pytest.approx(max(0.35 - 12.706 * error, -1), abs=1e-3), 1.0)
    assert mean_p_value(values) == pytest.approx(2 * stats.t.sf(0.35 / error, 1))


def test_groups_of_equal_size_have_students_t_of_their_means():
    values = np.random.default_rng(1).normal(0.3, 0.1, (4, 3))
    means = values.mean(axis=1)
    expected = stats.t.interval(0.95, 3, means.mean(), stats.sem(means))
    assert mean_interval(grouped(values)) == pytest.approx(expected)
    assert mean_p_value(grouped(values)) == pytest.approx(stats.ttest_1samp(means, 0).pvalue)


@pytest.mark.parametrize("sizes", [(7, 3), (16, 6, 3, 1, 1), OF_REPORT, (1,) * 40], ids=str)
def test_intervals_contain_the_true_mean_as_often_as_stated(sizes):
    """+- 3 standard errors of 300 draws; intervals that treat tasks as independent contain it in 48 to 63 % of cases
    unless every task is the only one of its group.
    """
    assert 0.91 <= coverage(sizes) <= 0.995


def test_p_values_agree_with_intervals():
    random = np.random.default_rng(3)
    for shift, sizes in product((0.0, 0.04, 0.06, 0.1), (OF_REPORT, (1,) * 30, (3, 2, 2))):
        values = grouped(shift + random.normal(0, 0.05) + random.normal(0, 0.1, n) for n in sizes)
        low, high = mean_interval(values)
        p_value = mean_p_value(values)
        assert p_value == pytest.approx(0.05, abs=0.004) or (p_value < 0.05) == (not low <= 0 <= high)
    assert mean_p_value(alone([0.1] * 12)) == pytest.approx(2 / (1 + RESAMPLES))
    assert mean_p_value(alone([0.1])) is None


def test_holm_by_hand():
    """Sorted 0.01, 0.03, 0.04, times 3, 2, 1, none below the one before it."""
    assert holm([0.04, 0.01, None, 0.03]) == pytest.approx([0.06, 0.03, None, 0.06], nan_ok=True)
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_pairing_removes_what_both_runs_share():
    """Tasks differ by 0.2, two runs by 0.02 everywhere: the difference is certain, the means are not."""
    random = np.random.default_rng(0)
    first = random.normal(0.6, 0.2, 30)
    second = first + random.normal(0.02, 0.01, 30)
    low, high = mean_interval(alone(second - first))
    assert 0.01 < low < high < 0.03
    assert mean_interval(alone(second))[0] < mean_interval(alone(first))[1]


def test_few_tasks_or_a_single_group_have_the_interval_of_students_t():
    values = np.random.default_rng(1).normal(0.6, 0.15, 5)
    expected = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert mean_interval(alone(values)) == pytest.approx(expected, abs=1e-9)
    assert mean_interval(grouped([values])) == pytest.approx(expected, abs=1e-9)
    assert mean_interval(alone([0.1, 0.9]), least=0.0) == (0.0, 1.0)  # intervals of shares are clipped
    random = np.random.default_rng(0)
    held = [low <= 0.6 <= high for low, high in (mean_interval(alone(row)) for row in random.beta(6, 4, size=(400, 5)))]
    assert 0.91 <= np.mean(held) <= 0.99  # the bootstrap would contain it in a share of 0.83


def test_one_task_has_no_interval():
    assert mean_interval({"a/b": 0.7}) is None
    assert mean_interval({}) is None


def test_a_missing_value_is_refused():
    with pytest.raises(ValueError, match="one finite value per task"):
        mean_interval({"a/b": 0.1, "a/c": float("nan")})


def test_paired_difference_of_agresti_and_min():
    """Half a row is added to every cell, and Wald's interval is computed from these."""
    low, high = paired_difference(59, 16, 144)
    first, second, total = 59.5, 16.5, 146
    centre, error = (first - second) / total, (first + second - (first - second) ** 2 / total) ** 0.5 / total
    assert (low, high) == pytest.approx((centre - 1.959964 * error, centre + 1.959964 * error))
    low, high = paired_difference(0, 0, 20)
    assert low == -high < 0
    with pytest.raises(ValueError, match="expected two counts that add up to at most 3; got 2 and 2"):
        paired_difference(2, 2, 3)
