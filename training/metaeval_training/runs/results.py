"""Compute the result of each task, in the same form for every method; ``metaeval_hub.results`` stores them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_datasets.metric.scores import accuracy
from metaeval_hub import TaskEmbeddings
from metaeval_hub.results.schema import Details, Finish, SplitRows, SplitScores, TaskResult
from metaeval_training.data.encoding import TaskData
from metaeval_training.runs.finished import Finished


def predict_majority(train_labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Predict the most frequent class of the training labels for every row, (count,); in a tie, the first class."""
    return np.full(count, np.bincount(train_labels).argmax())


def majority_accuracy(train_labels: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Return the accuracy of ``predict_majority`` on ``labels``."""
    return accuracy(labels, predict_majority(train_labels, len(labels)))


def labels_digest(labels: NDArray[np.int64]) -> str:
    """Return 16 hex digits of the labels of a split; they are equal if two runs scored rows with the same labels."""
    return hashlib.sha256(np.ascontiguousarray(labels, dtype="<i8").tobytes()).hexdigest()[:16]


def task_result(
    labels: Mapping[str, NDArray[np.int64]],
    available: Mapping[str, int],
    origin: Mapping[str, Any],
    classes: int,
    found: Mapping[str, SplitScores],
) -> TaskResult:
    """Return the result of one task.

    The majority class is that of the training rows, scored on the test rows (on validation if there is no test split).

    Args:
        labels: split -> labels of the rows that are kept; includes "train".
        available: split -> number of rows before the limits were applied.
        origin: the report of the task's source, as JSON values.
        classes: number of classes, C.
        found: split -> scores, for "validation" and "test" if the task has them.
    """
    scored = next((labels[split] for split in ("test", "validation") if split in labels), None)
    return TaskResult(
        majority=None if scored is None else majority_accuracy(labels["train"], scored),
        validation=found.get("validation"),
        test=found.get("test"),
        rows={
            split: SplitRows(len(labels[split]), count, labels_digest(labels[split]))
            for split, count in available.items()
        },
        classes=classes,
        source=origin["source"],
        commit=origin["commit"],
        edition=origin["edition"],
    )


def card_results(tasks: Mapping[str, TaskResult]) -> dict[str, dict[str, float | None]]:
    """Return the accuracies for the model card, by task; see ``ConditionalAdapterModel.save_pretrained``."""
    return {
        name: {
            "majority": task.majority,
            **{
                split: None if scores is None else scores.accuracy
                for split, scores in (("validation", task.validation), ("test", task.test))
            },
        }
        for name, task in tasks.items()
    }


def vector_cosines(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosines (n, ...) of the vectors of two arrays (n, ..., Z), such as each z and its random start z0."""
    a, b = before.astype(np.float64), after.astype(np.float64)
    return (a * b).sum(axis=-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


def start_cosines(start: TaskEmbeddings, end: TaskEmbeddings) -> NDArray[np.float64]:
    """Return the cosine of each task's z with its start, (n,); the mean over a task's embeddings if it has several."""
    if start.copies is None or end.copies is None:
        return vector_cosines(start.values, end.values)
    return vector_cosines(start.copies, end.copies).mean(axis=1)


def summarise(
    tasks: Sequence[TaskData],
    found: Mapping[str, Mapping[str, SplitScores]],
    cosines: NDArray[np.float64] | None,
    finished: Mapping[str, Finished] | None = None,
) -> dict[str, TaskResult]:
    """Return the results of the tasks of a multitask run, by name.

    Args:
        tasks: the tasks, in the order of their ids in the model.
        found: task -> split -> scores.
        cosines: result of ``start_cosines``, (n,); None for a method without z.
        finished: task -> its finish; tasks may be missing.
    """
    results = {}
    for number, task in enumerate(tasks):
        labels = {split: encoded.labels for split, encoded in task.splits.items()}
        result = task_result(labels, task.available, task.origin, len(task.labels), found[task.name])
        rows = {split: replace(facts, digest=task.splits[split].digest()) for split, facts in result.rows.items()}
        cosine = None if cosines is None else float(cosines[number])
        more = finish_details((finished or {}).get(task.name))
        results[task.name] = replace(result, rows=rows, cos_z_z0=cosine, more=more)
    return results


def finish_details(finished: Finished | None) -> Details:
    """Return the values to store about the finish of a task; None for a task without one."""
    if finished is None:
        return Details()
    before = {split: scores.accuracy for split, scores in finished.before.items()}
    return Details(finish=Finish(before, finished.strength, finished.private))
