"""Compute confidence intervals: of one task's accuracy from its rows, of a mean from its tasks. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
LEVEL = 0.95
FEW_TASKS = 10  # with fewer tasks, intervals by bootstrap are too narrow
INTERVALS = f"95 % over tasks, by bootstrap, with fewer than {FEW_TASKS} tasks by Student's t"  # for people


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


def mean_interval(
    values: Sequence[float] | NDArray[np.floating],
    *,
    least: float = -1.0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the interval of a mean over tasks, which describes other samples of such tasks.

    Ten or more tasks use the percentile bootstrap (Efron 1979). With fewer tasks its intervals are too narrow: with
    three tasks, their bounds are the lowest and the highest value. Fewer tasks therefore use Student's t.

    To compare two runs, pass the difference for each task. The interval is then a paired one, in which the difficulty
    of the tasks cancels. It does not describe other seeds of training.

    Args:
        values: one share per task, 0..1, or one difference of shares, -1..1: (n,), finite.
        least: lowest possible bound: 0 for shares. The highest is 1.
        resamples: number of samples of n tasks, drawn with replacement.
        level: share of intervals that contain the mean of all such tasks.
        seed: seed of the samples; the same values give the same interval.

    Returns:
        Lower and upper bound; None for fewer than two tasks, which do not describe others.

    Raises:
        ValueError: a value is not finite, or there is more than one axis.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"expected one finite value per task, got {array.tolist()}")
    if len(array) < 2:
        return None
    if len(array) < FEW_TASKS:
        from scipy.special import stdtrit  # here, because the dataset commands import this module and need no scipy

        half = float(stdtrit(len(array) - 1, (1 + level) / 2)) * array.std(ddof=1) / len(array) ** 0.5
        low, high = array.mean() - half, array.mean() + half
    else:
        drawn = np.random.default_rng(seed).integers(len(array), size=(resamples, len(array)))
        low, high = np.quantile(array[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return max(float(low), least), min(float(high), 1.0)
