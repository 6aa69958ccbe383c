"""Compute confidence intervals: of one task's accuracy from its rows, of a mean over tasks from groups. Needs no torch.

Tasks of one group share their source, such as the 18 tasks of PragmEval, so they are not independent. Intervals and
p-values of means over tasks therefore treat groups as independent, not tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
LEVEL = 0.95
FEW_GROUPS = 10  # with fewer groups, intervals by bootstrap are too narrow
# For people. Means are over tasks, and the intervals describe tasks of other groups.
INTERVALS = (
    f"95 %, by bootstrap over groups of tasks; with fewer than {FEW_GROUPS} groups, or if few groups have most of the "
    "tasks, at least as wide as Student's t; with a single group, by Student's t over its tasks, for that group only"
)


def group_of(task: str) -> str:
    """Return the group of a task: the part of its name before the slash.

    >>> group_of("pragmeval/emergent"), group_of("own_task")
    ('pragmeval', 'own_task')
    """
    return task.partition("/")[0]


def wilson(accuracy: float, rows: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of a task's accuracy on other rows of the same task (Wilson 1927).

    Unlike accuracy +- z * standard error, it stays within 0..1 and does not shrink to a point at 0 or 1.

    Args:
        accuracy: share of correct rows, 0..1.
        rows: number of scored rows, at least 1.
        level: share of intervals that contain the true accuracy.

    Returns:
        Lower and upper bound, 0..1.

    Raises:
        ValueError: an argument is out of range.
    """
    if not (0 <= accuracy <= 1 and rows >= 1 and 0 < level < 1):
        raise ValueError(
            f"expected accuracy in 0..1, rows >= 1, level between 0 and 1; got {accuracy}, {rows}, {level}"
        )
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (accuracy + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z / (1 + z**2 / rows) * (accuracy * (1 - accuracy) / rows + z**2 / (4 * rows**2)) ** 0.5
    return max(centre - half, 0.0), min(centre + half, 1.0)


def paired_difference(only_first: int, only_second: int, rows: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of the difference of two accuracies on the same rows (Agresti & Min 2005).

    Half a row is added to each cell of the 2 x 2 table, so that the interval is not a point if no row decides.

    Args:
        only_first: number of rows that only the first model predicts correctly.
        only_second: number of rows that only the second model predicts correctly.
        rows: number of scored rows, at least 1.
        level: share of intervals that contain the true difference.

    Returns:
        Lower and upper bound of the accuracy of the first minus that of the second, -1..1.

    Raises:
        ValueError: the numbers do not fit each other.
    """
    if min(only_first, only_second) < 0 or not 1 <= rows >= only_first + only_second or not 0 < level < 1:
        raise ValueError(f"expected two counts that add up to at most {rows}; got {only_first} and {only_second}")
    first, second, total = only_first + 0.5, only_second + 0.5, rows + 2
    difference = (first - second) / total
    half = NormalDist().inv_cdf((1 + level) / 2) * (first + second - (first - second) ** 2 / total) ** 0.5 / total
    return max(difference - half, -1.0), min(difference + half, 1.0)


def mean_interval(
    values: Mapping[str, float],
    *,
    least: float = -1.0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the interval of an unweighted mean over tasks, which describes other samples of such groups of tasks.

    With ten or more groups, this is the percentile bootstrap over groups (Efron 1979; Field & Welsh 2007): groups are
    drawn with replacement, and the mean is over the tasks of the drawn groups. These intervals are too narrow for fewer
    groups, or if few groups have most of the tasks: if the effective number of groups, (sum of sizes)^2 / sum of
    squared sizes, is below ten, the bounds are at least those of Student's t with one degree of freedom less than
    groups. Its standard error is the larger of that of the mean by the jackknife over groups, and that of the mean of
    group means. With fewer than ten groups, the interval is Student's t alone; with one group, Student's t over its
    tasks, which describes other tasks of this group only.

    In simulations in which the effects of groups are as large as those of tasks, these 95 % intervals contain the true
    mean in 94 to 97 % of cases with few groups, and in 92 % with 40 groups of one task. For the sizes of the report's
    22 groups of 57 tasks it is 94 %; there, the bootstrap over groups alone reaches 89 %, and intervals that treat
    tasks as independent 63 %.

    To compare two runs, pass the difference for each task. The interval is then a paired one, in which the difficulty
    of the tasks cancels. It does not describe other seeds of training.

    Args:
        values: task -> its share, 0..1, or difference of shares, -1..1; finite.
        least: lowest possible bound: 0 for shares. The highest is 1.
        resamples: number of samples of groups, drawn with replacement.
        level: share of intervals that contain the mean of all such tasks.
        seed: seed of the samples; the same values give the same interval.

    Returns:
        Lower and upper bound; None for fewer than two tasks, which do not describe others.

    Raises:
        ValueError: a value is not finite.
    """
    sums, sizes = _groups(values)
    if sizes.sum() < 2:
        return None
    bounds = []
    if len(sizes) >= FEW_GROUPS:
        drawn = _resampled_means(sums, sizes, resamples, seed)
        bounds.append(np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    if _few(sizes):
        from scipy.special import stdtrit  # here, because the dataset commands import this module and need no scipy

        half = float(stdtrit(len(sizes) - 1, (1 + level) / 2)) * _standard_error(sums, sizes)
        mean = sums.sum() / sizes.sum()
        bounds.append(np.array([mean - half, mean + half]))
    return max(float(min(low for low, _ in bounds)), least), min(float(max(high for _, high in bounds)), 1.0)


def mean_p_value(values: Mapping[str, float], *, resamples: int = RESAMPLES, seed: int = 0) -> float | None:
    """Return the two-sided p-value of a mean difference over tasks, if the true one were 0.

    It belongs to ``mean_interval``: p is below 0.05 where the 95 % interval does not contain 0, up to the resolution of
    the bootstrap. By bootstrap, p is twice the share of resampled means on the other side of 0, with 1 added to both
    counts; where the interval is that of Student's t, or the wider of the two, p is that of the t-test, or the larger.

    Args:
        values: task -> difference of shares; finite.
        resamples: number of samples of groups; the smallest p is 2 / (1 + resamples).
        seed: seed of the samples.

    Returns:
        p in 0..1; None for fewer than two tasks.

    Raises:
        ValueError: a value is not finite.
    """
    sums, sizes = _groups(values)
    if sizes.sum() < 2:
        return None
    found = []
    if len(sizes) >= FEW_GROUPS:
        drawn = _resampled_means(sums, sizes, resamples, seed)
        found.append(min(1.0, 2 * (1 + min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))) / (1 + resamples)))
    if _few(sizes):
        from scipy.special import stdtr

        mean, error = abs(float(sums.sum() / sizes.sum())), _standard_error(sums, sizes)
        found.append(2 * float(stdtr(len(sizes) - 1, -mean / error)) if error > 0 else float(mean == 0))
    return max(found)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for the number of tests (Holm 1979), so that all rejections at a level are right at that level.

    Args:
        p_values: p-values of all tests; None for a test without one, which does not count.

    Returns:
        The adjusted values in the same order, at most 1.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    order = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    found: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (value, place) in enumerate(order):
        largest = max(largest, min(1.0, value * (len(order) - rank)))
        found[place] = largest
    return found


def _groups(values: Mapping[str, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of the values and the number of tasks of each of G groups; of each task if they share a group.

    Raises:
        ValueError: a value is not finite.
    """
    if not np.isfinite(list(values.values())).all():
        raise ValueError(f"expected one finite value per task, got {dict(values)}")
    groups: dict[str, list[float]] = {}
    for task, value in values.items():
        groups.setdefault(group_of(task), []).append(float(value))
    if len(groups) == 1:
        groups = {task: [float(value)] for task, value in values.items()}
    sums, sizes = [sum(group) for group in groups.values()], [len(group) for group in groups.values()]
    return np.array(sums, np.float64), np.array(sizes, np.float64)


def _few(sizes: NDArray[np.float64]) -> bool:
    """Return whether the effective number of groups is below ten."""
    return bool(sizes.sum() ** 2 / (sizes**2).sum() < FEW_GROUPS - 1e-9)


def _resampled_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Return the mean over the tasks of G groups drawn with replacement, (resamples,)."""
    count = len(sums)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.asarray((drawn @ sums) / (drawn @ sizes))


def _standard_error(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """Return the larger standard error: of the mean over tasks by the jackknife over groups, or of group means."""
    count = len(sums)
    without_each = (sums.sum() - sums) / (sizes.sum() - sizes)
    jackknife = ((count - 1) / count * ((without_each - sums.sum() / sizes.sum()) ** 2).sum()) ** 0.5
    return float(max(jackknife, (sums / sizes).std(ddof=1) / count**0.5))
