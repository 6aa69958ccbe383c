"""Control tasks, which show whether task embeddings contain information about tasks.

A distance from the random start shows nothing: random gradients move an embedding as far as learning does. Two kinds of
control tasks can tell the difference.

- Twins: each task is trained twice, as ``TASK~1`` and ``TASK~2``, on disjoint halves of its training rows. If z
  describes the task, each twin is near the other; if z is noise, the twin is as far away as any other task.
- Permuted tasks: ``TASK~permuted`` has the texts of a task and its labels in random order. Its classifier has nothing
  to learn, so its z shows where training moves a task without information, and how far.

``metaeval_hub.analysis.controls`` measures both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from datasets import Dataset

from metaeval_hub.analysis.controls import PERMUTED, TWINS
from metaeval_training.config import TrainConfig
from metaeval_training.data.rows import DataError, TaskRows, rows_digest
from metaeval_training.data.sampling import generator


def add_controls(tasks: Sequence[TaskRows], config: TrainConfig) -> list[TaskRows]:
    """Return the tasks of a run with the control tasks that its settings ask for; ``config.rows_seed`` draws them."""
    permuted = make_permuted(tasks, config.permuted_tasks, config.rows_seed) if config.permuted_tasks else []
    return [*(make_twins(tasks, config.rows_seed) if config.twins else tasks), *permuted]


def make_twins(tasks: Sequence[TaskRows], seed: int) -> list[TaskRows]:
    """Return two tasks for each task, with disjoint random halves of its training rows and the same other splits.

    Args:
        tasks: n tasks, whose training rows are limited already.
        seed: of the halves.

    Returns:
        2n tasks; the twins of a task follow each other.

    Raises:
        DataError: a task has only one training row.
    """
    return [twin for task in tasks for twin in _twins(task, seed)]


def _twins(task: TaskRows, seed: int) -> list[TaskRows]:
    train = task.splits["train"]
    if len(train) < 2:
        raise DataError(f"{task.name} has one training row, which cannot be divided between twins; leave the task out")
    order = generator("twins", seed, task.name).permutation(len(train))
    halves = [np.sort(order[: len(train) // 2]), np.sort(order[len(train) // 2 :])]
    return [
        _with_train(task, f"{task.name}{suffix}", train.select(half))
        for suffix, half in zip(TWINS, halves, strict=True)
    ]


def make_permuted(tasks: Sequence[TaskRows], count: int, seed: int) -> list[TaskRows]:
    """Return copies of randomly chosen tasks whose training labels are in random order.

    Args:
        tasks: to choose from.
        count: number of tasks to copy; all of them if there are fewer.
        seed: of the choice and of the order.

    Returns:
        The copies, in the order of ``tasks``.
    """
    chosen = sorted(generator("permuted tasks", seed).permutation(len(tasks))[:count].tolist())
    return [_permuted(tasks[i], seed) for i in chosen]


def _permuted(task: TaskRows, seed: int) -> TaskRows:
    train = task.splits["train"]
    order = generator("permuted labels", seed, task.name).permutation(len(train))
    labels = np.asarray(train["label"][:])[order]
    features = train.features
    shuffled = train.remove_columns("label").add_column("label", labels).cast_column("label", features["label"])
    return _with_train(task, f"{task.name}{PERMUTED}", shuffled)


def _with_train(task: TaskRows, name: str, train: Dataset) -> TaskRows:
    splits = {**{split: task.splits[split] for split in task.splits if split != "train"}, "train": train}
    ordered = {split: splits[split] for split in task.splits}
    digests = {**dict(task.digests), "train": rows_digest(train)}
    return replace(task, name=name, splits=ordered, digests=digests, prepared="", made_of=task.catalogue_name)
