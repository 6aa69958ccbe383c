"""Tasks that come and go: what is there of the others stays as it is, bit by bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from metaeval_hub.conditional.conditioning import Features, feature_matrix
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.record import check_record, check_size
from metaeval_hub.model.task_values import check_fields, check_known, checked_labels, checked_rows
from metaeval_hub.safe_files.names import list_of_names
from metaeval_hub.task_data.origins import TaskOrigin


def add_tasks(
    model: ModelCore,
    labels: Mapping[str, Sequence[str]],
    *,
    task_embeddings: Mapping[str, ArrayLike] | None = None,
    task_features: Features | None = None,
    label_rows: Mapping[str, Sequence[str]] | None = None,
    fields: Mapping[str, int] | None = None,
    origins: Mapping[str, TaskOrigin] | None = None,
) -> None:
    """Add tasks to a model. Optimisers made before must be made anew.

    Args:
        model: any model.
        labels: task name -> class names; names not used before.
        task_embeddings: task name -> (Z,), as the adapters are to get it, or (K, Z) with several a task; for all of
            ``labels``, or None: then each gets what ``expected_embeddings`` gives, the best guess without examples.
        task_features: (m, F) in the order of ``labels``, or task name -> (F,), where z is made of features.
        label_rows: task name -> name of the label row of each class. A row that the model has keeps its weights, so
            that a task of known labels can be answered untrained; a new one starts at zero. Tasks that are missing
            have rows of their own, at zero.
        fields: task name -> 1 for a task over texts, 2 for one over pairs; missing ones take both.
        origins: task name -> where its rows come from; tasks may be missing.

    Raises:
        ValueError: a name is taken, classes or rows make no task, embeddings or features are missing, have another
            shape or no meaning for this model; names the task. Nothing has changed then.
    """
    labels, rows, known = check_new(model, labels, label_rows, fields, origins)
    if not labels:
        return
    if model.config.has_task_embeddings or task_embeddings is not None or task_features is not None:
        conditioning = model.conditioning  # raises for a method without z
        matrix = None if task_features is None else feature_matrix(task_features, tuple(labels))
        vectors = None
        if task_embeddings is not None:
            shape = (conditioning.embeddings_per_task, conditioning.dim_z)
            vectors = torch.stack([_embedding(task, task_embeddings, shape, model.dtype) for task in labels])
        try:
            conditioning.append(len(labels), vectors, matrix)
        except ValueError as error:
            raise ValueError(f"{next(iter(labels))}: {error}") from error
    model.heads.append(labels, rows)
    model.label_rows.update(rows)
    model.fields.update(known)
    model.origins.update(origins or {})
    model.set_tasks({**model.labels, **labels})


def check_new(
    model: ModelCore,
    labels: Mapping[str, Sequence[str]],
    label_rows: Mapping[str, Sequence[str]] | None = None,
    fields: Mapping[str, int] | None = None,
    origins: Mapping[str, TaskOrigin] | None = None,
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]], dict[str, int]]:
    """Check all that is said of new tasks before anything is fitted or changed; arguments as for ``add_tasks``.

    Returns:
        Classes, label rows and fields of the tasks, by task.

    Raises:
        ValueError: a name is taken, or the model could not be stored with the tasks; names the task.
        TypeError: one string was given for a list of names.
    """
    labels = checked_labels(labels)
    if taken := [name for name in labels if name in model.labels]:
        raise ValueError(f"the model has a task {taken[0]!r} already")
    rows = checked_rows(labels, label_rows)
    known = {task: check_fields(task, number) for task, number in (fields or {}).items()}
    for given in (known, origins or {}):
        check_known(given, labels)
    if labels:
        check_record(model.record(labels=labels, fields=known, origins=origins or {}, label_rows=rows))
        check_size(len(model.labels) + len(labels), max(map(len, (*model.labels.values(), *labels.values()))))
    return labels, rows, known


def remove_tasks(model: ModelCore, names: Iterable[str]) -> None:
    """Remove tasks; the ids of those after them move up. Label rows that other tasks use stay.

    Raises:
        KeyError: there is no such task.
        ValueError: no task would be left.
    """
    ids = {name: model.task_id(name) for name in list_of_names(names)}
    if len(ids) == len(model.labels):
        raise ValueError(f"{', '.join(ids)}: no task would be left; a model needs at least one")
    if model.config.has_task_embeddings:
        model.conditioning.remove(list(ids.values()))
    model.heads.remove(ids)
    for of_task in (model.label_rows, model.fields, model.origins):
        for name in ids:
            of_task.pop(name, None)  # type: ignore[attr-defined]
    model.set_tasks({task: labels for task, labels in model.labels.items() if task not in ids})


def _embedding(task: str, given: Mapping[str, ArrayLike], shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    if task not in given:
        raise ValueError(f"{task}: task_embeddings lacks it; give those of all new tasks, or none")
    values = np.asarray(given[task], np.float64)
    if values.shape not in (shape, shape[1:]):
        raise ValueError(f"{task}: task_embedding has shape {values.shape}; expected {shape[1:]}")
    vectors = torch.tensor(np.broadcast_to(values, shape))
    if not torch.isfinite(vectors.to(dtype)).all():
        raise ValueError(f"{task}: task_embedding holds values that are not finite in {dtype}, the type of the weights")
    return vectors
