"""Score a task of a model on labelled rows, with the scores that the metric of `evaluate` returns."""

from __future__ import annotations

from typing import Any

from metaeval_datasets.metric.scores import score_predictions
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.labelled_rows import read_rows
from metaeval_hub.model.prediction import checked_logits


def evaluate_task(
    model: ModelCore, name: str, data: Any, *, batch_size: int = 32, progress: bool | None = None
) -> dict[str, float]:
    """Return accuracy, macro-F1 and Matthews' correlation of a task on labelled rows.

    Args:
        model: a model with the task.
        name: name of the task.
        data: a ``datasets.Dataset``, a data frame, a list of dictionaries, or (text, class) tuples, as ``fit_task``
            takes them. Classes are given by name or by number; numbers of a ClassLabel refer to its own order.
        batch_size: texts per batch.
        progress: whether to show a progress bar; None shows one for more than 50 batches.

    Returns:
        "accuracy", 0..1; "macro_f1", 0..1; "matthews", -1..1, as ``metaeval_datasets.load_metric`` computes them.

    Raises:
        KeyError: the model has no such task.
        ValueError: there are no rows, or a class is missing or is not one of the task.
        TypeError: the data has the wrong type, or texts are given to a task over pairs, or the other way round.
    """
    model.task_id(name)  # raises an error that suggests the nearest name
    rows = read_rows(name, data, model.labels[name])
    logits = checked_logits(model, [name], rows.texts, batch_size, progress)[name]
    return score_predictions(rows.classes, logits.argmax(dim=-1).numpy(), len(rows.names))
