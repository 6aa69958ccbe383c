"""Copy trained tasks from one model into another one with the same encoder and adapters, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.task_changes import add_tasks
from metaeval_hub.task_data.task_features import TaskFeatures


@torch.no_grad()
def copy_tasks(source: ModelCore, target: ModelCore, names: Sequence[str]) -> None:
    """Add tasks of a model to another model, with their embeddings, classifiers and private parts.

    If encoder and adapters of both are equal, the tasks give the same logits in both. The label vectors become the
    tasks' own.

    Args:
        source: the model with the tasks. Its z is not computed from features.
        target: a model with the same configuration, without tasks of these names.
        names: the tasks to copy.

    Raises:
        ValueError: the configurations differ, or the target has a task of one of the names.
    """
    if source.config != target.config:
        raise ValueError(f"the models have different configurations: {source.config} and {target.config}")
    add_tasks(
        target,
        {name: source.labels[name] for name in names},
        fields={name: source.fields[name] for name in names if name in source.fields},
        origins={name: source.origins[name] for name in names if name in source.origins},
        frozen=[name for name in names if name in source.frozen_tasks],
        layered=[name for name in names if name in source.layered_tasks],
    )
    for name in names:
        old, new = source.task_id(name), target.task_id(name)
        vectors = [model.heads.table[place, : len(source.labels[name])]
                   for model, place in ((source, old), (target, new))]  # fmt: skip
        target.heads.weight[vectors[1]] = source.heads.weight[vectors[0]].to(target.heads.weight)
        target.heads.bias[vectors[1]] = source.heads.bias[vectors[0]].to(target.heads.bias)
        if source.config.has_task_embeddings:
            count = source.conditioning.embeddings_per_task
            for mine, other in zip(target.conditioning.table(), source.conditioning.table(), strict=True):
                mine[new * count : (new + 1) * count] = other[old * count : (old + 1) * count].to(mine)
        if name in source.layered_tasks:
            target.readouts.of_task(name).copy_(source.readouts.of_task(name))
        if name in source.private_tasks:
            copy_private_part(source, name, target, name)


@torch.no_grad()
def copy_private_part(source: ModelCore, old: str, target: ModelCore, new: str) -> None:
    """Copy the private part of a task to another task, which may belong to another model of the same configuration.

    Args:
        source: the model with the private part.
        old: the task that has it.
        target: the model of the other task; may be ``source``.
        new: the task that gets it.
    """
    parts, copies = (model.adapter.private for model in (source, target))  # type: ignore[union-attr]
    one, other = source.task_id(old), target.task_id(new)
    copies.down[other], copies.up[other] = parts.down[one].to(copies.down), parts.up[one].to(copies.up)  # type: ignore[union-attr,index]
    target.private_tasks.add(new)


def join_features(known: TaskFeatures | None, new: TaskFeatures | None) -> TaskFeatures | None:
    """Return the features of the tasks of two tables; the clusters of domains stay those of the first.

    Args:
        known: features of the tasks of a model; None if it does not store them.
        new: features of other tasks, computed with the same encoder; None if they are not known.

    Returns:
        The joint table; the only one if the other is None. TextEmb and cosines only if both tables have them.
    """
    if known is None or new is None:
        return new if known is None else known

    def joined(name: str) -> Any:
        values = [getattr(known, name), getattr(new, name)]
        return None if any(each is None for each in values) else np.concatenate(values)

    return replace(
        known,
        aspects=(*known.aspects, *new.aspects),
        words=joined("words"),
        texts=joined("texts"),
        cosine_with_start=joined("cosine_with_start"),
    )
