"""What results.json says of tasks, the same for every method: a row a task, and means with their intervals.

The rows are plain JSON values. ``metaeval_hub.results.comparison`` reads them and puts several runs side by side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub import TaskEmbeddings
from metaeval_hub.results.intervals import mean_interval, wilson
from metaeval_training.data.encoding import TaskData

Scores = Mapping[str, float]  # "accuracy", "macro_f1", "matthews"; see metaeval_training.engine.evaluation.scores


def predict_majority(train_labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Predict the most frequent class of the training labels for every row, (count,); in a tie, the first class."""
    return np.full(count, np.bincount(train_labels).argmax())


def majority_accuracy(train_labels: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Return the accuracy of ``predict_majority`` on ``labels``."""
    return float(np.mean(labels == predict_majority(train_labels, len(labels))))


def labels_digest(labels: NDArray[np.int64]) -> str:
    """16 hex digits of the labels of a split: two runs scored the same rows where they agree (tokens aside)."""
    return hashlib.sha256(np.ascontiguousarray(labels, dtype="<i8").tobytes()).hexdigest()[:16]


def task_result(
    labels: Mapping[str, NDArray[np.int64]],
    available: Mapping[str, int],
    origin: Mapping[str, Any],
    classes: int,
    found: Mapping[str, Scores],
) -> dict[str, Any]:
    """The row of one task.

    The majority is that of the training rows, scored on the test rows (on validation where there is no test split).

    Args:
        labels: labels of the rows that are kept, by split; "train" is among them.
        available: rows of each split before they were cut.
        origin: where the rows come from: the report of the task as JSON values.
        classes: C.
        found: scores by split, "validation" and "test" as far as there are such splits.
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


def means(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Unweighted means over the tasks that have the figure, as in Sileo & Moens 2022, table 1.

    Args:
        rows: of ``task_result``.

    Returns:
        "majority", "validation" and "test" (accuracies), "test_macro_f1", "test_matthews" and "over_majority" (test
        accuracy less the majority's); "test_interval" and "over_majority_interval" are those of ``mean_interval``.
        None where no task has the figure, or where there are too few tasks for an interval.
    """
    rows = list(rows)
    tested = [row for row in rows if row["test"]]
    accuracies = [row["test"]["accuracy"] for row in tested]
    gains = [row["test"]["accuracy"] - row["majority"] for row in tested]
    return {
        "majority": mean(row["majority"] for row in rows),
        "validation": mean((row["validation"] or {}).get("accuracy") for row in rows),
        "test": mean(accuracies),
        "test_interval": mean_interval(accuracies, least=0.0),
        "test_macro_f1": mean(row["test"]["macro_f1"] for row in tested),
        "test_matthews": mean(row["test"]["matthews"] for row in tested),
        "over_majority": mean(gains),
        "over_majority_interval": mean_interval(gains),
    }


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are there; None where none is."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


def card_results(results: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Accuracies for the model's card."""
    return {
        name: {
            "majority": task["majority"],
            "validation": (task["validation"] or {}).get("accuracy"),
            "test": (task["test"] or {}).get("accuracy"),
        }
        for name, task in results["tasks"].items()
    }


def vector_cosines(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of every row of two tables (n, ..., Z), (n, ...); how far each z turned from its random start z0."""
    a, b = before.astype(np.float64), after.astype(np.float64)
    return (a * b).sum(axis=-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


def start_cosines(start: TaskEmbeddings, end: TaskEmbeddings) -> NDArray[np.float64]:
    """Cosine of each task's z with its start, (n,); the mean over its embeddings where it has several."""
    if start.copies is None or end.copies is None:
        return vector_cosines(start.values, end.values)
    return vector_cosines(start.copies, end.copies).mean(axis=1)


def summarise(
    tasks: Sequence[TaskData],
    found: Mapping[str, Mapping[str, Scores]],
    cosines: NDArray[np.float64] | None,
) -> dict[str, Any]:
    """The parts "tasks" and "mean" of results.json; see ``metaeval_training.runs.results``.

    Args:
        tasks: in the order of their numbers in the model.
        found: of ``evaluate_tasks``.
        cosines: of each z with its start, (n,), of ``start_cosines``; None where the method has no z.
    """
    rows: dict[str, dict[str, Any]] = {}
    for number, task in enumerate(tasks):
        labels = {split: encoded.labels for split, encoded in task.splits.items()}
        row = task_result(labels, task.available, task.origin, len(task.labels), found[task.name])
        for split, facts in row["rows"].items():
            facts["digest"] = task.splits[split].digest()
        rows[task.name] = {**row, "cos_z_z0": None if cosines is None else float(cosines[number])}
    return {
        "tasks": rows,
        "mean": {**means(rows.values()), "cos_z_z0": mean(row["cos_z_z0"] for row in rows.values())},
    }
