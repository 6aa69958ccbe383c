"""Score tasks from one confusion matrix per split, with scikit-learn.

Accuracy, macro-F1 and Matthews' coefficient need only the confusion matrix, and the matrices of several processes add
up exactly, however the rows were distributed.

The library `evaluate` is not used: ``evaluate.load("accuracy")`` downloads a script from the Hub and executes it. That
needs the network at the end of a run, and this package executes no downloaded code (SECURITY.md). For these metrics,
the script calls the same functions of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from torch import Tensor, nn

from metaeval_hub.results.schema import SplitScores
from metaeval_training.data.encoding import EncodedRows, TaskData, collate
from metaeval_training.data.sampling import Batch


def scores(confusion: NDArray[np.int64]) -> SplitScores:
    """Compute accuracy, macro-F1 and Matthews' correlation.

    Args:
        confusion: counts by true class (first axis) and predicted class (second axis), (C, C), not all zero.

    Returns:
        The scores. Macro-F1 is the mean over the classes that occur as truth or prediction, because any other class
        has no F1. Matthews' correlation (Gorodkin 2004) is 0 if truth or prediction is constant.
    """
    true, predicted = np.nonzero(confusion)
    weighted: Any = {"y_true": true, "y_pred": predicted, "sample_weight": confusion[true, predicted]}
    return SplitScores(
        accuracy=float(accuracy_score(**weighted)),
        macro_f1=float(f1_score(**weighted, average="macro")),
        matthews=float(matthews_corrcoef(**weighted)) if len(true) > 1 else 0.0,  # it warns about a single cell
    )


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
    """Predict all rows of a split, distributed over the processes.

    Args:
        model: the prepared model, without its wrapper for several processes; set to evaluation mode by the caller.
        rows: the split.
        task_id: id of the task in the model.
        classes: number of classes of the task, C.
        batch_size: examples per batch and process.
        pad: token id for padding.
        accelerator: of the run.

    Returns:
        (C, C) counts by true and predicted class, the same on every process.
    """
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=accelerator.device)
    task = np.array([task_id], dtype=np.int64)
    order = np.argsort(rows.lengths, kind="stable")[accelerator.process_index :: accelerator.num_processes]
    for start in range(0, len(order), batch_size):
        batch = collate({task_id: rows}, Batch(task, order[start : start + batch_size]), pad, accelerator.device)
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
) -> dict[str, dict[str, SplitScores]]:
    """Score all tasks.

    Args:
        model: the prepared model, without its wrapper for several processes; left in training mode.
        tasks: in the order of their ids in the model.
        splits: among "validation" and "test".
        batch_size: examples per batch and process.
        pad: token id for padding.
        accelerator: of the run.
        on_task: called before each task, with the number of tasks done.

    Returns:
        Task -> split -> scores, for the splits that the task has.
    """
    model.eval()
    found: dict[str, dict[str, SplitScores]] = {}
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
