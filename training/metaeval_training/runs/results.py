"""What results.json says of tasks, the same for every method: a row a task, and means with their intervals.

The rows are plain JSON values. ``metaeval_hub.results.comparison`` reads them and puts several runs side by side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.results.intervals import mean_interval, wilson

Scores = Mapping[str, float]  # "accuracy", "macro_f1", "matthews"; see metaeval_training.engine.evaluation.scores


def majority_accuracy(train_labels: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Accuracy of always answering the most frequent class of the training rows (the first one, where two tie)."""
    return float(np.mean(labels == np.bincount(train_labels).argmax()))


def labels_digest(labels: NDArray[np.int64]) -> str:
    """16 hex digits of the labels of a split: two runs scored the same rows where they agree (tokens aside)."""
    return hashlib.sha256(np.ascontiguousarray(labels, dtype="<i8").tobytes()).hexdigest()[:16]


def task_row(
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
        rows: of ``task_row``.

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
