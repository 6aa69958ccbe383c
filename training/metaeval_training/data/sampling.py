"""Which tasks a step takes, and which of their rows: pure functions of the seed and the step.

Nothing here has a state to save. A run that goes on from step s draws what it would have drawn, on any number of
processes, and the shuffles of a task depend neither on the other tasks nor on their order.
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
    """How likely a draw takes each task.

    Source: Sileo & Moens 2022, section 5.1 (square root of the size, after Stickland & Murray 2019); the temperature
    is that of Arivazhagan et al. 2019.

    Args:
        rows: training rows of every task, (n,), each at least 1.
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
    """A 128-bit key from any texts and numbers: the same on every machine, unlike ``hash``."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def generator(*parts: object) -> np.random.Generator:
    """A random generator of its own for the given parts."""
    return np.random.Generator(np.random.Philox(key=key(*parts)))


def draw_tasks(probabilities: NDArray[np.float64], seed: int, draws: int) -> NDArray[np.int64]:
    """The task of every draw: entry i depends on the seed, i and the probabilities alone.

    Args:
        probabilities: (n,), sums to 1.
        seed: of the run.
        draws: how many entries; more of them continue the sequence and change no earlier entry.

    Returns:
        (draws,) int64, each in 0..n-1.
    """
    words = np.random.Philox(key=key(seed, "tasks")).random_raw(draws)
    uniform = (words >> np.uint64(11)) * 2.0**-53  # (draws,) in [0, 1)
    return np.minimum(np.searchsorted(np.cumsum(probabilities), uniform, side="right"), len(probabilities) - 1)


def count_draws(tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    """For every draw, how often its task was drawn before: (draws,) -> (draws,)."""
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
    """The examples of one step, over all processes.

    Attributes:
        tasks: numbers of the tasks: (B,), one an example, or (1,) where all examples are of one task.
        rows: row numbers within the training rows of their tasks, (B,).
        draws: which of the embeddings of its task each uses, of the shape of ``tasks``; None where tasks have one.
    """

    tasks: NDArray[np.int64]
    rows: NDArray[np.int64]
    draws: NDArray[np.int64] | None = None

    def share(self, process: int, processes: int) -> Batch:
        """The examples that one of several processes takes, every ``processes``-th of them; perhaps none."""
        dealt = slice(process, None, processes)
        if len(self.tasks) == 1:
            return Batch(self.tasks, self.rows[dealt], self.draws)
        return Batch(self.tasks[dealt], self.rows[dealt], None if self.draws is None else self.draws[dealt])

    def draw(self, seed: int, step: int, embeddings_per_task: int) -> Batch:
        """The same batch with an embedding drawn for each of its tasks (Sileo & Moens 2022, section 5.4)."""
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
    """Each step takes one task and one of its batches (Sileo & Moens 2022, section 5.1).

    Args:
        names: task names, (n,); they seed the shuffles.
        lengths: for every task the tokens of its training rows.
        probabilities: of drawing each task, (n,).
        steps: steps of the run.
        seed: of the run.
        batch_size: most rows of a batch.
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
        return Batch(self.tasks[step : step + 1], self._passes[task][1][place])


class MixedPlan:
    """Each example of a step is of a task of its own, drawn with the same probabilities.

    The examples of ``bucket_batches`` steps are drawn together, sorted by length, cut into batches, and the batches
    shuffled: a batch holds texts of similar length, and so more of the tasks that have texts of that length.
    A task's rows come in the order of its shuffled passes: each once before any twice. Arguments: see ``OneTaskPlan``.
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
        # whole pools are drawn, so that a longer run begins with the batches of a shorter one
        pools = -(-steps // bucket_batches)
        self.tasks = draw_tasks(probabilities, seed, pools * bucket_batches * batch_size)
        self.draws = count_draws(self.tasks)
        self._passes: dict[tuple[int, int], NDArray[np.int64]] = {}  # these two only save work
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
        # the newest pass of a task is the one that goes on; tasks not drawn here keep theirs
        self._passes = {**{at: order for at, order in self._passes.items() if at[0] not in tasks}, **needed}
        order = np.argsort(lengths, kind="stable")
        batches = order.reshape(self.bucket_batches, self.batch_size)
        shuffled = generator("batches of a pool", self.seed, number).permutation(self.bucket_batches)
        return [Batch(tasks[batch], rows[batch]) for batch in batches[shuffled]]
