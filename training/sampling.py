"""Which task a step takes, and which of its rows: pure functions of the seed and the step.

Nothing here has a state to save. A run that goes on from step s draws what it would have drawn, on any number of
processes, and the shuffles of a task depend neither on the other tasks nor on their order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.config import Sampling

POWERS: dict[Sampling, float] = {"sqrt": 0.5, "proportional": 1.0, "uniform": 0.0}


def task_probabilities(rows: Sequence[int], sampling: Sampling) -> NDArray[np.float64]:
    """How likely a step takes each task.

    Source: Sileo & Moens 2022, section 5.1 (square root of the size, after Stickland & Murray 2019).

    Args:
        rows: training rows of every task, (n,), each at least 1.
        sampling: "sqrt", "proportional" or "uniform" in the rows.

    Returns:
        (n,) float64, sums to 1.
    """
    weights = np.asarray(rows, dtype=np.float64) ** POWERS[sampling]
    return weights / weights.sum()


def key(*parts: object) -> int:
    """A 128-bit key from any texts and numbers: the same on every machine, unlike ``hash``."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def generator(*parts: object) -> np.random.Generator:
    """A random generator of its own for the given parts."""
    return np.random.Generator(np.random.Philox(key=key(*parts)))


def draw_tasks(probabilities: NDArray[np.float64], seed: int, steps: int) -> NDArray[np.int64]:
    """The task of every step: entry s depends on the seed, s and the probabilities alone.

    Args:
        probabilities: (n,), sums to 1.
        seed: of the run.
        steps: how many entries; more steps continue the sequence and change no earlier entry.

    Returns:
        (steps,) int64, each in 0..n-1.
    """
    words = np.random.Philox(key=key(seed, "tasks")).random_raw(steps)
    uniform = (words >> np.uint64(11)) * 2.0**-53  # (steps,) in [0, 1)
    return np.minimum(np.searchsorted(np.cumsum(probabilities), uniform, side="right"), len(probabilities) - 1)


def count_draws(tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    """For every step, how often its task was taken before: (steps,) -> (steps,)."""
    order = np.argsort(tasks, kind="stable")
    ranks = np.arange(len(tasks)) - np.searchsorted(tasks[order], tasks[order], side="left")
    draws = np.empty(len(tasks), dtype=np.int64)
    draws[order] = ranks
    return draws


def count_batches(rows: int, batch_size: int) -> int:
    """Batches of one pass over ``rows`` rows, none larger than ``batch_size``."""
    return -(-rows // batch_size)


def epoch_batches(
    lengths: NDArray[np.int64], batch_size: int, bucket_batches: int, *seed_parts: object
) -> list[NDArray[np.int64]]:
    """One pass over a task's rows, in batches of similar length and nearly equal size.

    The rows are shuffled, cut into pools of ``bucket_batches`` batches, sorted by length within a pool and cut into
    batches, whose order is shuffled again.

    Args:
        lengths: tokens of every row, (rows,).
        batch_size: most rows of a batch; batches differ by at most one row, so that none is a small remainder.
        bucket_batches: batches in a pool; 1 leaves the rows in their shuffled order.
        seed_parts: what the shuffles depend on, such as the seed, the task's name and the number of the pass.

    Returns:
        Row numbers of every batch; together they hold each row once.
    """
    random = generator("rows of a pass", *seed_parts)
    rows = random.permutation(len(lengths))
    batches = count_batches(len(rows), batch_size)
    edges = np.linspace(0, len(rows), batches + 1).round().astype(np.int64)
    for first in range(0, batches, bucket_batches):
        pool = slice(edges[first], edges[min(first + bucket_batches, batches)])
        rows[pool] = rows[pool][np.argsort(lengths[rows[pool]], kind="stable")]
    return [rows[edges[i] : edges[i + 1]] for i in random.permutation(batches)]


@dataclass(frozen=True)
class Batch:
    """Rows ``rows`` of task number ``task``, for one step over all processes."""

    task: int
    rows: NDArray[np.int64]


class BatchPlan:
    """The batches of a run: ``plan[step]`` is a pure function of the seed and the step.

    Args:
        names: task names, (n,); they seed the shuffles.
        lengths: for every task the tokens of its training rows.
        steps: steps of the run.
        seed: of the run.
        sampling: how tasks are drawn, by their number of rows.
        batch_size: most rows of a batch.
        bucket_batches: see ``epoch_batches``.
    """

    def __init__(
        self,
        names: Sequence[str],
        lengths: Sequence[NDArray[np.int64]],
        *,
        steps: int,
        seed: int,
        sampling: Sampling,
        batch_size: int,
        bucket_batches: int,
    ) -> None:
        self.names, self.lengths = tuple(names), tuple(lengths)
        self.seed, self.batch_size, self.bucket_batches = seed, batch_size, bucket_batches
        self.tasks = draw_tasks(task_probabilities([len(rows) for rows in lengths], sampling), seed, steps)
        self.draws = count_draws(self.tasks)
        self._passes: dict[int, tuple[int, list[NDArray[np.int64]]]] = {}  # only saves work: the pass a task is in

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, step: int) -> Batch:
        task = int(self.tasks[step])
        number, place = divmod(int(self.draws[step]), count_batches(len(self.lengths[task]), self.batch_size))
        if self._passes.get(task, (-1,))[0] != number:
            shuffle = (self.seed, self.names[task], number)
            batches = epoch_batches(self.lengths[task], self.batch_size, self.bucket_batches, *shuffle)
            self._passes[task] = (number, batches)
        return Batch(task, self._passes[task][1][place])
