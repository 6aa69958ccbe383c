"""Measure whether task embeddings describe tasks, by the control tasks of a run.

A run can train each task as two twins on disjoint halves of its rows, and further copies of tasks whose labels were
permuted (see ``metaeval_training.data.controls``). The names of the twins of a task end in ``~1`` and ``~2``, those of
permuted tasks in ``~permuted``.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, mannwhitneyu

from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

TWINS = ("~1", "~2")
PERMUTED = "~permuted"
LEAST_TASKS = 5  # with fewer tasks, a rate says nothing
SIGNIFICANT = 0.05


class NoInformationError(ValueError):
    """Task embeddings are noise, so an analysis would show noise."""


@dataclass(frozen=True)
class TwinRates:
    """How near the two embeddings of each task are to each other.

    Args:
        tasks: n tasks with twins.
        nearest: (n,) share of a task's two twins whose nearest embedding of another name is the other twin.
        ranks: (n,) mean rank of the other twin among the other embeddings, 1 the nearest.
        others: number of other embeddings that each twin is compared with.
        p_value: of as many or more nearest twins if the embeddings were assigned to the twins at random (binomial).
    """

    tasks: tuple[str, ...]
    nearest: NDArray[np.float64]
    ranks: NDArray[np.float64]
    others: int
    p_value: float

    @property
    def rate(self) -> float:
        """Mean share over tasks, 0..1."""
        return float(self.nearest.mean())

    @property
    def chance(self) -> float:
        """Expected rate of random embeddings."""
        return 1 / self.others


@dataclass(frozen=True)
class PermutedTasks:
    """Where tasks without information end.

    Args:
        tasks: m tasks that have a permuted copy.
        ranks: (m,) rank of the permuted copy among the neighbours of the task, 1 the nearest.
        others: number of other embeddings that each is compared with.
        permuted_distances: (m,) distance of each permuted copy from the centre of all other tasks.
        task_distances: (n,) distance of each other task from that centre.
        p_value: of distances that differ as much or more by chance (Mann-Whitney, two-sided).
    """

    tasks: tuple[str, ...]
    ranks: NDArray[np.float64]
    others: int
    permuted_distances: NDArray[np.float64]
    task_distances: NDArray[np.float64]
    p_value: float

    @property
    def farther(self) -> float:
        """Share of the other tasks that are farther from the centre than the median permuted task, 0..1."""
        return float((self.task_distances > median(self.permuted_distances.tolist())).mean())


def base_name(task: str) -> str:
    """Return the name of the task that a control task was made of; other names are returned as they are."""
    for suffix in (*TWINS, PERMUTED):
        if task.endswith(suffix):
            return task.removesuffix(suffix)
    return task


def twin_rates(emb: TaskEmbeddings) -> TwinRates | None:
    """Compare each twin with all other embeddings of a run, except permuted tasks, by cosine.

    Returns:
        None if fewer than five tasks have twins.
    """
    names = [name for name in emb.names if not name.endswith(PERMUTED)]
    position = {name: i for i, name in enumerate(names)}
    pairs = [
        (name.removesuffix(TWINS[0]), position[name], position[name.removesuffix(TWINS[0]) + TWINS[1]])
        for name in names
        if name.endswith(TWINS[0]) and name.removesuffix(TWINS[0]) + TWINS[1] in position
    ]
    if len(pairs) < LEAST_TASKS:
        return None
    cosines = emb.select(names).cosine()
    np.fill_diagonal(cosines, -np.inf)
    both = np.array([(_rank(cosines, a, b), _rank(cosines, b, a)) for _, a, b in pairs], np.float64)
    nearest = both == 1
    others = len(names) - 1
    p_value = binomtest(int(nearest.sum()), nearest.size, 1 / others, alternative="greater").pvalue
    return TwinRates(
        tuple(task for task, _, _ in pairs), nearest.mean(axis=1), both.mean(axis=1), others, float(p_value)
    )


def permuted_tasks(emb: TaskEmbeddings) -> PermutedTasks | None:
    """Compare permuted tasks with the tasks that they were made of, and with all others.

    Returns:
        None if fewer than five tasks have a permuted copy.
    """
    real = [name for name in emb.names if not name.endswith(PERMUTED)]
    permuted = [name for name in emb.names if name.endswith(PERMUTED)]
    if len(permuted) < LEAST_TASKS or len(real) < LEAST_TASKS:
        return None
    ordered = emb.select([*real, *permuted])
    cosines = ordered.cosine()
    np.fill_diagonal(cosines, -np.inf)
    bases = [base_name(name) for name in permuted]
    ranks = np.array(
        [_rank_of_bases(cosines, ordered.names, i, base) for i, base in enumerate(bases, len(real))], np.float64
    )
    values = ordered.values.astype(np.float64)
    centre = values[: len(real)].mean(axis=0)
    distances = np.linalg.norm(values - centre, axis=1)
    p_value = mannwhitneyu(distances[len(real) :], distances[: len(real)]).pvalue
    return PermutedTasks(
        tuple(bases), ranks, len(ordered) - 1, distances[len(real) :], distances[: len(real)], float(p_value)
    )


def _rank(cosines: NDArray[np.float64], one: int, other: int) -> float:
    """Return the rank of ``other`` among the neighbours of ``one``, 1 the nearest; ties count half."""
    row = cosines[one]
    return float(1 + (row > row[other]).sum() + 0.5 * ((row == row[other]).sum() - 1))


def _rank_of_bases(cosines: NDArray[np.float64], names: tuple[str, ...], one: int, base: str) -> float:
    """Return the rank of the task that a permuted task was made of; of twins, the nearer."""
    found = [i for i, name in enumerate(names) if i != one and base_name(name) == base]
    return min((_rank(cosines, one, i) for i in found), default=float("nan"))


def describe_controls(emb: TaskEmbeddings) -> str:
    """Say in a sentence or two what the control tasks of a run show; without control tasks, say how to add them."""
    twins, permuted = twin_rates(emb), permuted_tasks(emb)
    if twins is None:
        return (
            "it was not measured whether z describes tasks: the run has no twins. A run of the same settings with "
            "--twins measures it"
        )
    verdict = f"z {'tells' if twins.p_value < SIGNIFICANT else 'does not tell'} tasks apart better than chance"
    text = (
        f"{verdict}: the nearest embedding of a task trained on one half of its rows is that of the other half for "
        f"{twins.rate:.0%} of tasks (chance {twins.chance:.1%}, p = {twins.p_value:.2g})"
    )
    return text if permuted is None else f"{text}; {describe_distances(permuted)}"


def describe_distances(permuted: PermutedTasks) -> str:
    """Say whether the distance from the centre tells tasks from tasks without information."""
    return (
        f"{permuted.farther:.0%} of the tasks are farther from the centre than the median task with permuted labels "
        f"(p = {permuted.p_value:.2g})"
    )


def check_controls(emb: TaskEmbeddings, name: str, *, force: bool = False) -> str:
    """Refuse embeddings whose twins are not near each other.

    Args:
        emb: task embeddings of a run.
        name: name of the run, for the messages.
        force: whether to return a warning instead of raising an error.

    Returns:
        A sentence on what the control tasks show, to go with the results.

    Raises:
        NoInformationError: the twins are no nearer to each other than by chance, and ``force`` is False.
    """
    text = f"{name}: {describe_controls(emb)}"
    twins = twin_rates(emb)
    if twins is not None and twins.p_value >= SIGNIFICANT and not force:
        raise NoInformationError(f"{text}. Train longer or with a higher --z-lr, or pass --force to analyse it anyway")
    return text
