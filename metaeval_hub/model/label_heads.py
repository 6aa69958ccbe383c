"""One softmax classifier a task, as rows of one matrix.

A table says which rows belong to which task. With it a batch may mix tasks, and two tasks can share a label's row.
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

HEAD_STD = 0.02  # as the classifiers of BERT and RoBERTa start
NO_ROW = -1
RowKey: TypeAlias = str | tuple[str, int]  # a name that tasks share, or a task and the number of its class


class TaskHeads(nn.Module):
    """Linear classifiers of all tasks (the g and gamma_i of Sileo & Moens 2022, section 3).

    The rows of the matrix stand in the order in which tasks and classes name them first.

    Args:
        hidden_size: H, units of the pooled text.
        labels: task name -> class names, in the order of the task ids.
        label_rows: task name -> name of the row of each class; classes of any tasks with the same name there share a
            row (section 5.6). Tasks that are missing have rows of their own.

    Raises:
        ValueError: a task has fewer than two classes, a class name twice, or row names that do not fit its classes.
    """

    rows: Tensor

    def __init__(
        self,
        hidden_size: int,
        labels: Mapping[str, Sequence[str]],
        label_rows: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        if not labels:
            raise ValueError("a model needs at least one task; labels is empty")
        self._keys = row_keys(labels, label_rows or {})
        n_rows = len(self._order())
        self.weight = nn.Parameter(torch.randn(n_rows, hidden_size) * HEAD_STD)
        self.bias = nn.Parameter(torch.zeros(n_rows))
        self._set_table()

    def _order(self) -> dict[RowKey, int]:
        """Return the number of every row."""
        return {key: row for row, key in enumerate(dict.fromkeys(key for keys in self._keys.values() for key in keys))}

    def _set_table(self) -> None:
        """Make the table of rows (n, C)."""
        order = self._order()
        self.sizes = tuple(len(keys) for keys in self._keys.values())
        table = np.full((len(self.sizes), max(self.sizes)), NO_ROW)
        for task, keys in enumerate(self._keys.values()):
            table[task, : len(keys)] = [order[key] for key in keys]
        # not stored: it follows from the names
        self.register_buffer("rows", torch.from_numpy(table).to(self.weight.device), persistent=False)

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the rows that tasks can share, in the order of the rows."""
        return tuple(key for key in self._order() if isinstance(key, str))

    def find(self, name: str) -> int:
        """Return the number of a row that tasks can share.

        Raises:
            ValueError: there is none of that name; names the closest.
        """
        order = self._order()
        if name not in order:
            near = difflib.get_close_matches(name, self.shared, n=3)
            raise ValueError(
                f"no label row {name!r} among the {len(self.shared)} that tasks share; closest: "
                f"{', '.join(near) or 'none'}"
            )
        return order[name]

    @torch.no_grad()
    def append(self, labels: Mapping[str, Sequence[str]], label_rows: Mapping[str, Sequence[str]]) -> None:
        """Add classifiers; the others keep their bits. Rows that are new start at zero. Optimisers must be made anew.

        Raises:
            ValueError: as on creation; nothing has changed then.
        """
        before = len(self._order())
        self._keys |= row_keys(labels, label_rows)
        grown = len(self._order()) - before
        self.weight = nn.Parameter(torch.cat([self.weight, self.weight.new_zeros(grown, self.weight.shape[1])]))
        self.bias = nn.Parameter(torch.cat([self.bias, self.bias.new_zeros(grown)]))
        self._set_table()

    @torch.no_grad()
    def remove(self, tasks: Iterable[str]) -> None:
        """Take classifiers away; rows that other tasks use stay, to the bit. Optimisers must be made anew."""
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
            task_ids: (B,), or (1,) where all rows are of one task.

        Returns:
            Logits (B, C), C the largest class count among the tasks given; classes that a row's task does not have
            are -inf, so that no probability leaks to them.
        """
        if task_ids.shape[0] == 1:
            task = int(task_ids)
            rows = self.rows[task, : self.sizes[task]]
            return F.linear(pooled, self.weight[rows], self.bias[rows])
        columns = max(self.sizes[task] for task in task_ids.unique().tolist())
        rows = self.rows[task_ids, :columns]  # (B, C)
        logits = F.linear(pooled, self.weight, self.bias).gather(1, rows.clamp(min=0))
        return logits.masked_fill(rows == NO_ROW, -torch.inf)


def row_keys(
    labels: Mapping[str, Sequence[str]], label_rows: Mapping[str, Sequence[str]]
) -> dict[str, tuple[RowKey, ...]]:
    """Return what names the row of each class of each task: a shared name, or the task and the number of the class.

    Args:
        labels: task name -> class names.
        label_rows: task name -> name of the row of each class; tasks may be missing.

    Raises:
        ValueError: classes cannot be told apart, or row names do not fit them; names the task.
    """
    if odd := sorted(set(label_rows) - set(labels)):
        raise ValueError(f"{odd[0]!r} has label_rows and no labels")
    keys: dict[str, tuple[RowKey, ...]] = {}
    for task, names in labels.items():
        class_names(task, names)
        rows = label_rows.get(task)
        if rows is None:
            keys[task] = tuple((task, i) for i in range(len(names)))
            continue
        if isinstance(rows, str) or len(rows) != len(names) or not all(isinstance(row, str) for row in rows):
            raise ValueError(f"{task}: label_rows is {rows!r}; expected a name for each of {list(names)}")
        first: dict[str, str] = {}
        for name, row in zip(names, rows, strict=True):
            if row in first:
                raise ValueError(
                    f"{task}: label_rows gives {first[row]!r} and {name!r} the same row {row!r}; classes of one task "
                    "need rows of their own"
                )
            first[row] = name
        keys[task] = tuple(rows)
    return keys
