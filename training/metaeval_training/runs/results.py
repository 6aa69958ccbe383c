"""Compute the task results and means of results.json, in the same form for every method.

The task results are plain JSON values; ``metaeval_hub.results.comparison`` compares those of several runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_datasets.metric.scores import accuracy
from metaeval_hub import TaskEmbeddings
from metaeval_hub.results.intervals import mean_interval, wilson
from metaeval_training.data.encoding import TaskData

Scores = Mapping[str, float]  # "accuracy", "macro_f1", "matthews"; see metaeval_datasets.metric.scores.scores


def predict_majority(train_labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Predict the most frequent class of the training labels for every row, (count,); in a tie, the first class."""
    return np.full(count, np.bincount(train_labels).argmax())


def majority_accuracy(train_labels: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Return the accuracy of ``predict_majority`` on ``labels``."""
    return accuracy(labels, predict_majority(train_labels, len(labels)))


def labels_digest(labels: NDArray[np.int64]) -> str:
    """Return 16 hex digits of the labels of a split; if they agree, two runs scored rows with the same labels."""
    return hashlib.sha256(np.ascontiguousarray(labels, dtype="<i8").tobytes()).hexdigest()[:16]


def task_result(
    labels: Mapping[str, NDArray[np.int64]],
    available: Mapping[str, int],
    origin: Mapping[str, Any],
    classes: int,
    found: Mapping[str, Scores],
) -> dict[str, Any]:
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
    return {
        "rows": {
            split: {"kept": len(labels[split]), "available": count, "labels": labels_digest(labels[split])}
            for split, count in available.items()
        },
        "origin": {key: origin[key] for key in ("source", "commit", "edition")},
        "classes": classes,
        "majority": None if scored is None else majority_accuracy(labels["train"], scored),
        **{
            split: {
                **found[split],
                "accuracy_interval": list(wilson(found[split]["accuracy"], len(labels[split]))),
            }
            if split in found
            else None
            for split in ("validation", "test")
        },
    }


def means(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return unweighted means over the tasks that have the value, as in Sileo & Moens 2022, table 1.

    Args:
        results: of ``task_result``.

    Returns:
        "majority", "validation" and "test" (accuracies), "test_macro_f1", "test_matthews" and "over_majority" (test
        accuracy minus that of the majority class); "test_interval" and "over_majority_interval" of ``mean_interval``.
        None if no task has the value, or if there are too few tasks for an interval.
    """
    results = list(results)
    tested = [result for result in results if result["test"]]
    accuracies = [result["test"]["accuracy"] for result in tested]
    gains = [result["test"]["accuracy"] - result["majority"] for result in tested]
    return {
        "majority": mean(result["majority"] for result in results),
        "validation": mean((result["validation"] or {}).get("accuracy") for result in results),
        "test": mean(accuracies),
        "test_interval": mean_interval(accuracies, least=0.0),
        "test_macro_f1": mean(result["test"]["macro_f1"] for result in tested),
        "test_matthews": mean(result["test"]["matthews"] for result in tested),
        "over_majority": mean(gains),
        "over_majority_interval": mean_interval(gains),
    }


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if there are none."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


def card_results(results: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the accuracies for the model card, by task."""
    return {
        name: {
            "majority": task["majority"],
            "validation": (task["validation"] or {}).get("accuracy"),
            "test": (task["test"] or {}).get("accuracy"),
        }
        for name, task in results["tasks"].items()
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
    found: Mapping[str, Mapping[str, Scores]],
    cosines: NDArray[np.float64] | None,
) -> dict[str, Any]:
    """Return the parts "tasks" and "mean" of results.json.

    Args:
        tasks: in the order of their ids in the model.
        found: task -> split -> scores.
        cosines: of ``start_cosines``, (n,); None for a method without z.
    """
    results: dict[str, dict[str, Any]] = {}
    for number, task in enumerate(tasks):
        labels = {split: encoded.labels for split, encoded in task.splits.items()}
        result = task_result(labels, task.available, task.origin, len(task.labels), found[task.name])
        for split, facts in result["rows"].items():
            facts["digest"] = task.splits[split].digest()
        results[task.name] = {**result, "cos_z_z0": None if cosines is None else float(cosines[number])}
    return {
        "tasks": results,
        "mean": {**means(results.values()), "cos_z_z0": mean(result["cos_z_z0"] for result in results.values())},
    }
