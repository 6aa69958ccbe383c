"""One softmax classifier per task, stored in one matrix with one label vector per class.

A table lists the label vectors of each task. It allows batches that mix tasks, and tasks that share label vectors.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from metaeval_hub.safe_files.names import class_names

HEAD_STD = 0.02  # initial standard deviation of classifier weights, as in BERT and RoBERTa
NO_VECTOR = -1  # in the table, for classes beyond those of a task
VectorKey: TypeAlias = str | tuple[str, int]  # the name of a shared vector, or a task and a class number


class TaskHeads(nn.Module):
    """Linear classifiers of all tasks (the g and gamma_i of Sileo & Moens 2022, section 3).

    The label vectors are ordered by their first use, task by task and class by class.

    Args:
        hidden_size: H, units of the pooled text.
        labels: task name -> class names, in the order of the task ids.
        label_vectors: task name -> name of the label vector of each class. Classes of any tasks that give the same
            name share a vector (section 5.6). Tasks that are missing share none.

    Raises:
        ValueError: a task has fewer than two classes, a repeated class name, or names of label vectors that do not
            fit its classes.
    """

    table: Tensor

    def __init__(
        self,
        hidden_size: int,
        labels: Mapping[str, Sequence[str]],
        label_vectors: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        if not labels:
            raise ValueError("a model needs at least one task; labels is empty")
        self._keys = vector_keys(labels, label_vectors or {})
        n_vectors = len(self._order())
        self.weight = nn.Parameter(torch.randn(n_vectors, hidden_size) * HEAD_STD)
        self.bias = nn.Parameter(torch.zeros(n_vectors))
        self._set_table()

    def _order(self) -> dict[VectorKey, int]:
        """Return the position of every label vector in the matrix."""
        return {
            key: position
            for position, key in enumerate(dict.fromkeys(key for keys in self._keys.values() for key in keys))
        }

    def _set_table(self) -> None:
        """Build the table of label vectors per task, (n, C)."""
        order = self._order()
        self.sizes = tuple(len(keys) for keys in self._keys.values())
        table = np.full((len(self.sizes), max(self.sizes)), NO_VECTOR)
        for task, keys in enumerate(self._keys.values()):
            table[task, : len(keys)] = [order[key] for key in keys]
        # Not stored, because it follows from the names.
        self.register_buffer("table", torch.from_numpy(table).to(self.weight.device), persistent=False)

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the label vectors that tasks can share, in the order of the matrix."""
        return tuple(key for key in self._order() if isinstance(key, str))

    def find(self, name: str) -> int:
        """Return the position of a label vector that tasks can share.

        Raises:
            ValueError: no label vector has this name; the message names the closest.
        """
        order = self._order()
        if name not in order:
            near = difflib.get_close_matches(name, self.shared, n=3)
            raise ValueError(
                f"no label vector {name!r} among the {len(self.shared)} that tasks share; closest: "
                f"{', '.join(near) or 'none'}"
            )
        return order[name]

    @torch.no_grad()
    def append(self, labels: Mapping[str, Sequence[str]], label_vectors: Mapping[str, Sequence[str]]) -> None:
        """Add classifiers. New label vectors start at zero; the others are unchanged. Recreate optimizers afterwards.

        Raises:
            ValueError: as for the constructor; the classifiers are then unchanged.
        """
        before = len(self._order())
        self._keys |= vector_keys(labels, label_vectors)
        added = len(self._order()) - before
        self.weight = nn.Parameter(torch.cat([self.weight, self.weight.new_zeros(added, self.weight.shape[1])]))
        self.bias = nn.Parameter(torch.cat([self.bias, self.bias.new_zeros(added)]))
        self._set_table()

    @torch.no_grad()
    def remove(self, tasks: Iterable[str]) -> None:
        """Remove classifiers. Label vectors shared with other tasks are unchanged. Recreate optimizers afterwards."""
        before = self._order()
        for task in tasks:
            del self._keys[task]
        keep = torch.tensor([before[key] for key in self._order()], device=self.weight.device)
        self.weight = nn.Parameter(self.weight[keep])
        self.bias = nn.Parameter(self.bias[keep])
        self._set_table()

    def forward(self, pooled: Tensor, task_ids: Tensor) -> Tensor:
        """Classify each text among the classes of its task.

        Args:
            pooled: (B, H).
            task_ids: (B,), or (1,) if all texts belong to one task.

        Returns:
            Logits (B, C), where C is the largest class count among the given tasks. Classes that a text's task does
            not have get -inf, so that they receive no probability.
        """
        if task_ids.shape[0] == 1:
            task = int(task_ids)
            vectors = self.table[task, : self.sizes[task]]
            return F.linear(pooled, self.weight[vectors], self.bias[vectors])
        columns = max(self.sizes[task] for task in task_ids.unique().tolist())
        vectors = self.table[task_ids, :columns]  # (B, C)
        logits = F.linear(pooled, self.weight, self.bias).gather(1, vectors.clamp(min=0))
        return logits.masked_fill(vectors == NO_VECTOR, -torch.inf)


def vector_keys(
    labels: Mapping[str, Sequence[str]], label_vectors: Mapping[str, Sequence[str]]
) -> dict[str, tuple[VectorKey, ...]]:
    """Return the key of each class's label vector: a shared name, or the task and the number of the class.

    Args:
        labels: task name -> class names.
        label_vectors: task name -> name of the label vector of each class; tasks may be missing.

    Raises:
        ValueError: class names are not distinct, or label vectors do not fit them; the message names the task.
    """
    if odd := sorted(set(label_vectors) - set(labels)):
        raise ValueError(f"{odd[0]!r} has label_vectors but no labels; add it to labels")
    keys: dict[str, tuple[VectorKey, ...]] = {}
    for task, names in labels.items():
        class_names(task, names)
        vectors = label_vectors.get(task)
        if vectors is None:
            keys[task] = tuple((task, i) for i in range(len(names)))
            continue
        if (
            isinstance(vectors, str)
            or len(vectors) != len(names)
            or not all(isinstance(vector, str) for vector in vectors)
        ):
            raise ValueError(f"{task}: label_vectors is {vectors!r}; expected a name for each of {list(names)}")
        first: dict[str, str] = {}
        for name, vector in zip(names, vectors, strict=True):
            if vector in first:
                raise ValueError(
                    f"{task}: label_vectors gives {first[vector]!r} and {name!r} the same vector {vector!r}; give each "
                    "class of a task a different one"
                )
            first[vector] = name
        keys[task] = tuple(vectors)
    return keys
