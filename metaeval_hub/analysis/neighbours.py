"""Compare the neighbours of tasks within a run and across runs (Sileo & Moens 2022, section 5.4).

Rates are returned per task; `by_type` averages them for tables 2 and 3. The chance level depends on the number of
tasks: with few tasks, ten neighbours overlap a lot by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 10  # section 5.4
ALL = "all"  # stands for all task types
BLOCK_VECTORS = 512  # vectors compared with all others at a time: 40 MB of cosines for 10,000 tasks


def nearest_vectors(values: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Return the indices of the ``k`` nearest other vectors of each vector by cosine, nearest first, ties by index.

    Args:
        values: (m, Z). A zero vector has cosine 0 with all others.
        k: 1 to m - 1.

    Returns:
        (m, k) indices.

    Raises:
        ValueError: there are fewer than ``k`` other vectors.
    """
    if not 1 <= k < len(values):
        raise ValueError(
            f"cannot find {k} neighbours among {len(values)} points; expected 1 to {len(values) - 1} neighbours"
        )
    values = np.asarray(values, np.float64)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    unit = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)
    near = np.empty((len(unit), k), np.int64)
    for start in range(0, len(unit), BLOCK_VECTORS):
        block = unit[start : start + BLOCK_VECTORS] @ unit.T
        own = np.arange(len(block))
        block[own, start + own] = -np.inf
        least = np.partition(block, len(unit) - k, axis=1)[:, len(unit) - k]  # k-th largest cosine of each vector
        for i in own:
            able = np.flatnonzero(block[i] >= least[i])  # k of them, or more with ties
            near[start + i] = able[np.argsort(-block[i, able], kind="stable")[:k]]
    return near


def kept_within(values: NDArray[np.floating], k: int = NEIGHBOURS) -> NDArray[np.float64]:
    """Return how often the ``k`` nearest neighbours of z_{i,k} include another embedding of the same task (table 2).

    Args:
        values: (n, K, Z), K embeddings of each of n tasks, K at least 2.
        k: number of neighbours among the n * K - 1 other embeddings.

    Returns:
        (n,) share of each task's K embeddings, in 0..1.

    Raises:
        ValueError: there is one embedding per task, or there are too few embeddings for ``k`` neighbours.
    """
    n, copies, size = values.shape
    if copies < 2:
        raise ValueError(
            "stability within a run needs two or more embeddings per task, got one; train with --embeddings-per-task 3"
        )
    near = nearest_vectors(values.reshape(n * copies, size), k) // copies  # (n * K, k) task of each neighbour
    own = np.repeat(np.arange(n), copies)[:, None]
    return (near == own).any(axis=1).reshape(n, copies).mean(axis=1)


def chance_within(n: int, copies: int, k: int = NEIGHBOURS) -> float:
    """Return the expected `kept_within` of n tasks if the embeddings were assigned to the tasks at random.

    The K - 1 others of a task are then any of the n * K - 1 other embeddings: 1 - C(m - K + 1, k) / C(m, k) with
    m = n * K - 1, whatever the embeddings are.
    """
    others = n * copies - 1
    return 1 - comb(others - copies + 1, k) / comb(others, k)


def kept_across(one: NDArray[np.floating], other: NDArray[np.floating], k: int = NEIGHBOURS) -> NDArray[np.float64]:
    """Return the Jaccard overlap of each task's ``k`` nearest other tasks in two spaces (table 3).

    Args:
        one: (n, Z), the tasks in the first space.
        other: (n, Z'), the same tasks, in the same order, in the second.
        k: number of neighbours in each space.

    Returns:
        (n,) in 0..1: neighbours in both over neighbours in either.

    Raises:
        ValueError: the spaces have different numbers of tasks, or too few for ``k`` neighbours.
    """
    if len(one) != len(other):
        raise ValueError(f"{len(one)} tasks in one space and {len(other)} in the other; expected the same tasks")
    near = zip(nearest_vectors(one, k).tolist(), nearest_vectors(other, k).tolist(), strict=True)
    return np.array([len(set(a) & set(b)) / len(set(a) | set(b)) for a, b in near])


def chance_across(n: int, k: int = NEIGHBOURS) -> float:
    """Return the expected `kept_across` of two unrelated spaces: random sets of k out of n - 1 tasks."""
    ways = [comb(k, shared) * comb(n - 1 - k, k - shared) for shared in range(k + 1)]
    return sum(count * shared / (2 * k - shared) for shared, count in enumerate(ways)) / comb(n - 1, k)


@dataclass(frozen=True)
class TypeRate:
    """A line of table 2 or 3.

    Args:
        kind: task type, or "all".
        tasks: number of tasks of this type.
        mean: mean rate over tasks and then over runs, in 0..1.
        std_runs: sample standard deviation over runs of the mean over tasks; None for one run or one task.
        std_tasks: sample standard deviation over tasks of the mean over runs; None for one task.
    """

    kind: str
    tasks: int
    mean: float
    std_runs: float | None
    std_tasks: float | None


def by_type(rates: NDArray[np.float64], kinds: Sequence[str]) -> list[TypeRate]:
    """Average rates by task type, highest first, then types with one task, then the average over all tasks.

    Args:
        rates: (R, n), for R runs or pairs of runs.
        kinds: n task types.

    Raises:
        ValueError: the shape of ``rates`` does not match ``kinds``.
    """
    if rates.ndim != 2 or rates.shape[1] != len(kinds) or not rates.size:
        raise ValueError(f"rates has shape {rates.shape}; expected (runs, {len(kinds)}), not empty")
    of_types = [
        _rate(kind, rates[:, [i for i, other in enumerate(kinds) if other == kind]]) for kind in sorted(set(kinds))
    ]
    return [*sorted(of_types, key=lambda rate: (rate.tasks == 1, -rate.mean)), _rate(ALL, rates)]


def _rate(kind: str, rates: NDArray[np.float64]) -> TypeRate:
    tasks = rates.shape[1]
    std_runs = _std(rates.mean(axis=1)) if tasks > 1 else None
    return TypeRate(kind, tasks, float(rates.mean()), std_runs, _std(rates.mean(axis=0)))


def _std(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
