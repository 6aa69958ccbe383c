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
        if source.adapter is not None and source.adapter.private is not None:
            private, others = target.adapter.private, source.adapter.private  # type: ignore[union-attr]
            private.down[new], private.up[new] = others.down[old].to(private.down), others.up[old].to(private.up)  # type: ignore[union-attr]
    target.find_private_tasks()


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
