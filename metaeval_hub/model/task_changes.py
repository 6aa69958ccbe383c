"""Add tasks to a model and remove them; the other tasks stay bit-identical."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from metaeval_hub.conditional.feature_matrix import Features, feature_matrix
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.record import check_record, check_size
from metaeval_hub.model.task_values import check_fields, check_known, checked_label_vectors, checked_labels
from metaeval_hub.safe_files.names import list_of_names
from metaeval_hub.task_data.origins import TaskOrigin


def add_tasks(
    model: ModelCore,
    labels: Mapping[str, Sequence[str]],
    *,
    task_embeddings: Mapping[str, ArrayLike] | None = None,
    task_features: Features | None = None,
    label_vectors: Mapping[str, Sequence[str]] | None = None,
    fields: Mapping[str, int] | None = None,
    origins: Mapping[str, TaskOrigin] | None = None,
    frozen: Collection[str] = (),
    layered: Collection[str] = (),
) -> None:
    """Add tasks to a model. Recreate optimizers afterwards.

    Args:
        model: any model.
        labels: task name -> class names; no task of the model may have the name.
        task_embeddings: task name -> (Z,), the embedding that the adapters receive, or (K, Z) with several per task.
            Give it for all of ``labels``, or None: then each gets ``expected_embeddings``, the best estimate without
            examples.
        task_features: (m, F) in the order of ``labels``, or task name -> (F,), if z is computed from features.
        label_vectors: task name -> name of the shared label vector of each class. An existing vector keeps its weights,
            so that a task with known labels can be answered without training; a new one starts at zero. Tasks that
            are missing get their own vectors, at zero.
        fields: task name -> 1 for a task over texts, 2 for a task over pairs; missing tasks accept both.
        origins: task name -> the source of its rows; tasks may be missing.
        frozen: those of ``labels`` whose classifiers read the encoder without adapters.
        layered: those of ``labels`` whose classifiers read all layers; their readouts start at 0.

    Raises:
        ValueError: a name is taken, classes or label vectors are invalid, or embeddings or features are missing, have
            the wrong shape or are not used by this model; the message names the task. The model is then unchanged.
    """
    check_known(frozen, labels)
    check_known(layered, labels)
    labels, rows, known = check_new(model, labels, label_vectors, fields, origins)
    if not labels:
        return
    readouts = {name: len(names) for name, names in labels.items() if name in layered}
    model.readouts.check(readouts)
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
    if model.adapter is not None and model.adapter.private is not None:
        model.adapter.private.append(len(labels))
    model.readouts.append(readouts, model.heads.weight)
    model.heads.append(labels, rows)
    model.label_vectors.update(rows)
    model.fields.update(known)
    model.origins.update(origins or {})
    model.frozen_tasks.update(frozen)
    model.set_tasks({**model.labels, **labels})


def check_new(
    model: ModelCore,
    labels: Mapping[str, Sequence[str]],
    label_vectors: Mapping[str, Sequence[str]] | None = None,
    fields: Mapping[str, int] | None = None,
    origins: Mapping[str, TaskOrigin] | None = None,
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]], dict[str, int]]:
    """Check new tasks before anything is fitted or changed; the arguments are those of ``add_tasks``.

    Returns:
        Class names, names of label vectors, and fields, each by task name.

    Raises:
        ValueError: a name is taken, or the model could not be stored with the tasks; the message names the task.
        TypeError: a string was given instead of a list of names.
    """
    labels = checked_labels(labels)
    if taken := [name for name in labels if name in model.labels]:
        raise ValueError(f"the model has a task {taken[0]!r} already")
    rows = checked_label_vectors(labels, label_vectors)
    known = {task: check_fields(task, number) for task, number in (fields or {}).items()}
    for given in (known, origins or {}):
        check_known(given, labels)
    if labels:
        check_record(
            model.record(labels=labels, fields=known, origins=origins or {}, label_vectors=rows, frozen=(), layered=())
        )
        check_size(len(model.labels) + len(labels), max(map(len, (*model.labels.values(), *labels.values()))))
    return labels, rows, known


def remove_tasks(model: ModelCore, names: Iterable[str]) -> None:
    """Remove tasks; the ids of later tasks move up. Label vectors shared with other tasks are unchanged.

    Raises:
        KeyError: the model has no such task.
        ValueError: the model would have no task left.
    """
    ids = {name: model.task_id(name) for name in list_of_names(names)}
    if len(ids) == len(model.labels):
        raise ValueError(f"removing {', '.join(ids)} would leave no task; keep at least one")
    if model.config.has_task_embeddings:
        model.conditioning.remove(list(ids.values()))
    model.heads.remove(ids)
    for of_task in (model.label_vectors, model.fields, model.origins):
        for name in ids:
            of_task.pop(name, None)  # type: ignore[attr-defined]
    if model.adapter is not None and model.adapter.private is not None:
        model.adapter.private.remove(list(ids.values()))
    model.readouts.remove(ids)
    model.frozen_tasks.difference_update(ids)
    model.private_tasks.difference_update(ids)
    model.set_tasks({task: labels for task, labels in model.labels.items() if task not in ids})


def _embedding(task: str, given: Mapping[str, ArrayLike], shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    if task not in given:
        raise ValueError(f"{task}: task_embeddings has no entry; give one for every new task, or none at all")
    values = np.asarray(given[task], np.float64)
    if values.shape not in (shape, shape[1:]):
        raise ValueError(f"{task}: task_embedding has shape {values.shape}; expected {shape[1:]}")
    vectors = torch.tensor(np.broadcast_to(values, shape))
    if not torch.isfinite(vectors.to(dtype)).all():
        raise ValueError(
            f"{task}: task_embedding contains values that are not finite in {dtype}, the dtype of the weights"
        )
    return vectors
