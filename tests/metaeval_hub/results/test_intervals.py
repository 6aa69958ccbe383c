import numpy as np
import pytest
from scipy import stats

from metaeval_hub.results.intervals import mean_interval, wilson


@pytest.mark.parametrize(("right", "rows"), [(0, 7), (1, 1), (33, 50), (210, 300), (300, 300)])
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_wilson_agrees_with_scipy(right, rows, level):
    expected = stats.binomtest(right, rows).proportion_ci(level, method="wilson")
    assert wilson(right / rows, rows, level) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize("arguments", [(1.2, 10), (0.5, 0), (0.5, 10, 1.0), (float("nan"), 10)])
def test_wilson_refuses_invalid_proportions(arguments):
    with pytest.raises(ValueError, match="expected accuracy"):
        wilson(*arguments)


def test_the_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(1).normal(0.6, 0.15, 40)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=2).confidence_interval
    assert mean_interval(values) == pytest.approx(tuple(expected), abs=2e-3)
    assert mean_interval(values) == mean_interval(values)


def test_bootstrap_intervals_contain_the_true_mean_as_often_as_stated():
    """300 draws of 40 tasks from a population of mean 0.6: 95 % of the intervals hold it, +- 3 standard errors."""
    random = np.random.default_rng(0)
    drawn = random.beta(6, 4, size=(300, 40))
    held = [low <= 0.6 <= high for low, high in (mean_interval(values, resamples=500) for values in drawn)]
    assert 0.90 <= np.mean(held) <= 0.99


def test_pairing_removes_what_both_runs_share():
    """Tasks differ by 0.2, two runs by 0.02 everywhere: the difference is certain, the means are not."""
    random = np.random.default_rng(0)
    first = random.normal(0.6, 0.2, 30)
    second = first + random.normal(0.02, 0.01, 30)
    low, high = mean_interval(second - first)
    assert 0.01 < low < high < 0.03
    assert mean_interval(second)[0] < mean_interval(first)[1]


def test_few_tasks_have_the_interval_of_students_t():
    values = np.random.default_rng(1).normal(0.6, 0.15, 5)
    expected = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected, abs=1e-9)
    assert mean_interval([0.1, 0.9], least=0.0) == (0.0, 1.0)  # intervals of shares are clipped; Student's t is wide
    random = np.random.default_rng(0)
    held = [low <= 0.6 <= high for low, high in (mean_interval(row) for row in random.beta(6, 4, size=(400, 5)))]
    assert 0.91 <= np.mean(held) <= 0.99  # the bootstrap would contain it in a share of 0.83


def test_one_task_has_no_interval():
    assert mean_interval([0.7]) is None
    assert mean_interval([]) is None


def test_a_missing_value_is_refused():
    with pytest.raises(ValueError, match="one finite value per task"):
        mean_interval([0.1, float("nan")])
