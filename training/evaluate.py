"""Scores of a task, from one matrix of counts a split.

A confusion matrix holds all that accuracy, macro-F1 and Matthews' coefficient need, and matrices of several processes
add up exactly: no row is gathered twice, however the rows were dealt out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data import EncodedRows, TaskData, collate


def majority_accuracy(train_labels: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Accuracy of always answering the most frequent class of the training rows (the first one, where two tie)."""
    return float(np.mean(labels == np.bincount(train_labels).argmax()))


def scores(confusion: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, macro-F1 and Matthews' correlation.

    Args:
        confusion: rows counted by true class (first axis) and predicted class (second), (C, C), not all zero.

    Returns:
        "accuracy" in 0..1; "macro_f1" in 0..1, over the classes that occur as truth or prediction (a class that
        occurs as neither has no F1); "matthews" in -1..1 (Gorodkin 2004), 0 where truth or prediction is constant.
    """
    counts = confusion.astype(np.float64)
    total, right = counts.sum(), np.trace(counts)
    true, predicted = counts.sum(axis=1), counts.sum(axis=0)
    present = (true + predicted) > 0
    f1 = 2 * np.diag(counts)[present] / (true + predicted)[present]
    spread = np.sqrt((total**2 - (true**2).sum()) * (total**2 - (predicted**2).sum()))
    matthews = (right * total - true @ predicted) / spread if spread else 0.0
    return {"accuracy": float(right / total), "macro_f1": float(f1.mean()), "matthews": float(matthews)}


@torch.no_grad()
def count_predictions(
    model: nn.Module,
    rows: EncodedRows,
    task_id: int,
    classes: int,
    *,
    batch_size: int,
    pad: int,
    accelerator: Accelerator,
) -> NDArray[np.int64]:
    """Predict all rows of a split, shared out over the processes.

    Args:
        model: the prepared model, without its wrapper for several processes; set to evaluation mode by the caller.
        rows: the split.
        task_id: number of the task in the model.
        classes: C, classes of the task.
        batch_size: examples of a batch of one process.
        pad: token id that fills up short texts.
        accelerator: of the run.

    Returns:
        (C, C) counts by true and predicted class, the same on every process.
    """
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=accelerator.device)
    order = np.argsort(rows.lengths, kind="stable")[accelerator.process_index :: accelerator.num_processes]
    for start in range(0, len(order), batch_size):
        batch = collate(rows, order[start : start + batch_size], task_id, pad, accelerator.device)
        labels = batch.pop("labels")
        predicted = model(**batch).argmax(dim=-1)
        counts += torch.bincount(labels * classes + predicted, minlength=classes * classes)
    total: Any = accelerator.reduce(counts, reduction="sum")
    result: Tensor = total.reshape(classes, classes)
    return result.cpu().numpy()


def evaluate_tasks(
    model: nn.Module,
    tasks: Sequence[TaskData],
    splits: Sequence[str],
    *,
    batch_size: int,
    pad: int,
    accelerator: Accelerator,
    on_task: Callable[[int], None] = lambda done: None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Score all tasks.

    Args:
        model: the prepared model, without its wrapper for several processes; left in training mode.
        tasks: in the order of their numbers in the model.
        splits: among "validation" and "test".
        batch_size: examples of a batch of one process.
        pad: token id that fills up short texts.
        accelerator: of the run.
        on_task: called with the number of tasks done, before each task.

    Returns:
        Task -> split -> scores; splits a task lacks are left out.
    """
    model.eval()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for number, task in enumerate(tasks):
        on_task(number)
        found[task.name] = {
            split: scores(
                count_predictions(
                    model, task.splits[split], number, len(task.labels),
                    batch_size=batch_size, pad=pad, accelerator=accelerator,
                )
            )
            for split in splits
            if split in task.splits
        }  # fmt: skip
    model.train()
    return found


def row_cosines(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of every row of two tables (n, Z), (n,); how far each z turned from its random start z0."""
    a, b = before.astype(np.float64), after.astype(np.float64)
    return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def summarise(
    tasks: Sequence[TaskData], found: dict[str, dict[str, dict[str, float]]], cosines: NDArray[np.float64]
) -> dict[str, Any]:
    """The parts "tasks" and "mean" of results.json.

    The majority is that of the training rows, scored on the test rows (on validation where there is no test split).
    Means are unweighted, over the tasks that have the figure, as in Sileo & Moens 2022, table 1.
    """
    rows: dict[str, dict[str, Any]] = {}
    for task, cosine in zip(tasks, cosines, strict=True):
        scored = next((task.splits[split] for split in ("test", "validation") if split in task.splits), None)
        rows[task.name] = {
            "rows": {
                split: {"kept": len(task.splits[split]), "available": available, "digest": task.splits[split].digest()}
                for split, available in task.available.items()
            },
            "origin": {key: task.origin[key] for key in ("source", "commit", "edition")},
            "classes": len(task.labels),
            "majority": None if scored is None else majority_accuracy(task.train.labels, scored.labels),
            "validation": found[task.name].get("validation"),
            "test": found[task.name].get("test"),
            "cos_z_z0": float(cosine),
        }
    return {
        "tasks": rows,
        "mean": {
            "majority": _mean(row["majority"] for row in rows.values()),
            "validation": _mean((row["validation"] or {}).get("accuracy") for row in rows.values()),
            "test": _mean((row["test"] or {}).get("accuracy") for row in rows.values()),
            "cos_z_z0": _mean(row["cos_z_z0"] for row in rows.values()),
        },
    }


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None
