"""Choose the tasks and rows of each step, as pure functions of the seed and the step.

No state has to be saved: a run resumed at step s draws the same rows as an uninterrupted one, on any number of
processes. The shuffles of a task depend neither on the other tasks nor on their order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metaeval_training.config import Sampling


def task_probabilities(rows: Sequence[int], sampling: Sampling, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the probability of drawing each task.

    Source: Sileo & Moens 2022, section 5.1 (square root of the size, after Stickland & Murray 2019); the temperature
    is that of Arivazhagan et al. 2019.

    Args:
        rows: number of training rows per task, (n,), each at least 1.
        sampling: "sqrt", "proportional" or "uniform" in the rows, or "temperature".
        temperature: T of "temperature", which draws in proportion to rows^(1/T): 1 is "proportional", 2 is "sqrt",
            infinity would be "uniform".

    Returns:
        (n,) float64, sums to 1.
    """
    powers = {"sqrt": 0.5, "proportional": 1.0, "uniform": 0.0, "temperature": 1 / temperature}
    weights = np.asarray(rows, dtype=np.float64) ** powers[sampling]
    return weights / weights.sum()


def key(*parts: object) -> int:
    """Return a 128-bit key for any texts and numbers; unlike ``hash``, it is the same on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def generator(*parts: object) -> np.random.Generator:
    """Return a random generator that depends only on the given parts."""
    return np.random.Generator(np.random.Philox(key=key(*parts)))


def draw_tasks(probabilities: NDArray[np.float64], seed: int, draws: int) -> NDArray[np.int64]:
    """Return the task of each draw; entry i depends only on the seed, i and the probabilities.

    Args:
        probabilities: (n,), sums to 1.
        seed: seed of the run.
        draws: number of entries; a larger number continues the sequence.

    Returns:
        (draws,) int64, each in 0..n-1.
    """
    words = np.random.Philox(key=key(seed, "tasks")).random_raw(draws)
    uniform = (words >> np.uint64(11)) * 2.0**-53  # (draws,) in [0, 1)
    return np.minimum(np.searchsorted(np.cumsum(probabilities), uniform, side="right"), len(probabilities) - 1)


def count_draws(tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often the task of each draw was drawn before: (draws,) -> (draws,)."""
    order = np.argsort(tasks, kind="stable")
    ranks = np.arange(len(tasks)) - np.searchsorted(tasks[order], tasks[order], side="left")
    draws = np.empty(len(tasks), dtype=np.int64)
    draws[order] = ranks
    return draws


def count_batches(rows: int, batch_size: int) -> int:
    """Return the number of batches of at most ``batch_size`` in one pass over ``rows`` rows."""
    return -(-rows // batch_size)


def epoch_batches(
    lengths: NDArray[np.int64], batch_size: int, bucket_batches: int, *seed_parts: object
) -> list[NDArray[np.int64]]:
    """Return one pass over a task's rows, in batches of rows of similar length and of nearly equal size.

    The rows are shuffled, cut into pools of ``bucket_batches`` batches, sorted by length within a pool and cut into
    batches, whose order is shuffled again.

    Args:
        lengths: number of tokens per row, (rows,).
        batch_size: maximum number of rows per batch; sizes differ by at most one, so there is no small remainder.
        bucket_batches: batches in a pool; 1 leaves the rows in their shuffled order.
        seed_parts: values that the shuffles depend on, such as the seed, the task's name and the number of the pass.

    Returns:
        Row numbers of each batch; together they contain each row once.
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
    """The examples of one step, over all processes.

    Attributes:
        tasks: ids of the tasks, one per example (B,), or (1,) if all examples are of one task.
        rows: row numbers within the training rows of their tasks, (B,).
        draws: index of the task embedding to use, in the shape of ``tasks``; None if tasks have one embedding each.
    """

    tasks: NDArray[np.int64]
    rows: NDArray[np.int64]
    draws: NDArray[np.int64] | None = None

    def share(self, process: int, processes: int) -> Batch:
        """Return the examples of one of several processes: every ``processes``-th one, possibly none."""
        dealt = slice(process, None, processes)
        if len(self.tasks) == 1:
            return Batch(self.tasks, self.rows[dealt], self.draws)
        return Batch(self.tasks[dealt], self.rows[dealt], None if self.draws is None else self.draws[dealt])

    def draw(self, seed: int, step: int, embeddings_per_task: int) -> Batch:
        """Return the batch with a randomly drawn embedding for each of its tasks (Sileo & Moens 2022, section 5.4)."""
        if embeddings_per_task == 1:
            return self
        return replace(
            self, draws=generator("embeddings", seed, step).integers(embeddings_per_task, size=len(self.tasks))
        )


class BatchPlan(Protocol):
    """The batches of a run: ``plan[step]`` is a pure function of the seed and the step."""

    def __len__(self) -> int:
        """Steps of the run."""
        ...

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        ...


class OneTaskPlan:
    """Each step uses one task and one of its batches (Sileo & Moens 2022, section 5.1).

    Args:
        names: task names, (n,); they seed the shuffles.
        lengths: number of tokens per training row, for each task.
        probabilities: probability of drawing each task, (n,).
        steps: steps of the run.
        seed: seed of the run.
        batch_size: maximum number of rows per batch.
        bucket_batches: see ``epoch_batches``.
    """

    def __init__(
        self,
        names: Sequence[str],
        lengths: Sequence[NDArray[np.int64]],
        probabilities: NDArray[np.float64],
        *,
        steps: int,
        seed: int,
        batch_size: int,
        bucket_batches: int,
    ) -> None:
        self.names, self.lengths = tuple(names), tuple(lengths)
        self.seed, self.batch_size, self.bucket_batches = seed, batch_size, bucket_batches
        self.tasks = draw_tasks(probabilities, seed, steps)
        self.draws = count_draws(self.tasks)
        self._passes: dict[int, tuple[int, list[NDArray[np.int64]]]] = {}  # caches the current pass of each task

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, step: int) -> Batch:
        task = int(self.tasks[step])
        number, place = divmod(int(self.draws[step]), count_batches(len(self.lengths[task]), self.batch_size))
        if self._passes.get(task, (-1,))[0] != number:
            shuffle = (self.seed, self.names[task], number)
            batches = epoch_batches(self.lengths[task], self.batch_size, self.bucket_batches, *shuffle)
            self._passes[task] = (number, batches)
        return Batch(self.tasks[step : step + 1], self._passes[task][1][place])


class MixedPlan:
    """The task of each example of a step is drawn separately, with the same probabilities.

    The examples of ``bucket_batches`` steps are drawn together, sorted by length and cut into batches, which are
    shuffled. A batch therefore contains texts of similar length, from the tasks that have such texts. The rows of a
    task follow its shuffled passes: each row is used once before any is used twice. Arguments: see ``OneTaskPlan``.
    """

    def __init__(
        self,
        names: Sequence[str],
        lengths: Sequence[NDArray[np.int64]],
        probabilities: NDArray[np.float64],
        *,
        steps: int,
        seed: int,
        batch_size: int,
        bucket_batches: int,
    ) -> None:
        self.names, self.lengths = tuple(names), tuple(lengths)
        self.steps, self.seed, self.batch_size, self.bucket_batches = steps, seed, batch_size, bucket_batches
        # whole pools are drawn, so that a longer run starts with the batches of a shorter one
        pools = -(-steps // bucket_batches)
        self.tasks = draw_tasks(probabilities, seed, pools * bucket_batches * batch_size)
        self.draws = count_draws(self.tasks)
        self._passes: dict[tuple[int, int], NDArray[np.int64]] = {}  # caches, like _pool
        self._pool: tuple[int, list[Batch]] = (-1, [])

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} is outside 0..{self.steps - 1}")
        number, place = divmod(step, self.bucket_batches)
        if self._pool[0] != number:
            self._pool = (number, self._make_pool(number))
        return self._pool[1][place]

    def _make_pool(self, number: int) -> list[Batch]:
        size = self.bucket_batches * self.batch_size
        drawn = slice(number * size, (number + 1) * size)
        tasks = self.tasks[drawn]
        rows, lengths = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
        needed = {}
        for task in np.unique(tasks).tolist():
            places = np.flatnonzero(tasks == task)
            passes, within = np.divmod(self.draws[drawn][places], len(self.lengths[task]))
            for turn in np.unique(passes).tolist():
                order = self._passes.get((task, turn))
                if order is None:
                    shuffle = generator("rows of a mixed pass", self.seed, self.names[task], turn)
                    order = shuffle.permutation(len(self.lengths[task])).astype(np.int32)
                needed[task, turn] = order
                rows[places[passes == turn]] = order[within[passes == turn]]
            lengths[places] = self.lengths[task][rows[places]]
        # a task continues with its newest pass; tasks that were not drawn here keep theirs
        self._passes = {**{at: order for at, order in self._passes.items() if at[0] not in tasks}, **needed}
        order = np.argsort(lengths, kind="stable")
        batches = order.reshape(self.bucket_batches, self.batch_size)
        shuffled = generator("batches of a pool", self.seed, number).permutation(self.bucket_batches)
        return [Batch(tasks[batch], rows[batch]) for batch in batches[shuffled]]
