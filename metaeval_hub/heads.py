"""One softmax classifier a task, as rows of one matrix.

A table says which rows belong to which task. With it a batch may mix tasks, and two tasks can share a label's row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

HEAD_STD = 0.02  # as the classifiers of BERT and RoBERTa start
NO_ROW = -1


class TaskHeads(nn.Module):
    """Linear classifiers of all tasks (the g and gamma_i of Sileo & Moens 2022, section 3).

    Args:
        hidden_size: H, units of the pooled text.
        labels: task name -> class names, in the order of the task ids.

    Raises:
        ValueError: a task has fewer than two classes, or a class name twice.
    """

    rows: Tensor

    def __init__(self, hidden_size: int, labels: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        if not labels:
            raise ValueError("a model needs at least one task; labels is empty")
        for task, names in labels.items():
            check_classes(task, names)
        n_rows = sum(len(names) for names in labels.values())
        self._lay_out([len(names) for names in labels.values()])
        self.weight = nn.Parameter(torch.randn(n_rows, hidden_size) * HEAD_STD)
        self.bias = nn.Parameter(torch.zeros(n_rows))

    def _lay_out(self, sizes: Sequence[int]) -> None:
        """Make the table of rows (n, C) for tasks of these sizes, one after the other."""
        self.sizes = tuple(sizes)
        table = torch.full((len(sizes), max(sizes)), NO_ROW)
        start = 0
        for i, size in enumerate(sizes):
            table[i, :size] = torch.arange(start, start + size)
            start += size
        device = self.weight.device if hasattr(self, "weight") else None
        self.register_buffer("rows", table.to(device), persistent=False)  # follows from the labels

    @torch.no_grad()
    def append(self, weight: Tensor, bias: Tensor) -> None:
        """Add a task's classifier, (C, H) and (C,); the others keep their bits. Optimisers must be made anew."""
        self.weight = nn.Parameter(torch.cat([self.weight, weight.to(self.weight)]))
        self.bias = nn.Parameter(torch.cat([self.bias, bias.to(self.bias)]))
        self._lay_out([*self.sizes, weight.shape[0]])

    @torch.no_grad()
    def remove(self, task_id: int) -> None:
        """Take a task's classifier away; the others keep their bits. Optimisers must be made anew."""
        start, size = sum(self.sizes[:task_id]), self.sizes[task_id]
        keep = torch.cat([torch.arange(start), torch.arange(start + size, self.weight.shape[0])]).to(self.weight.device)
        self.weight = nn.Parameter(self.weight[keep].clone())
        self.bias = nn.Parameter(self.bias[keep].clone())
        self._lay_out([*self.sizes[:task_id], *self.sizes[task_id + 1 :]])

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


def check_classes(task: str, names: Sequence[str]) -> None:
    """Check that the classes of a task can be told apart.

    Raises:
        ValueError: there are fewer than two, or a name comes twice.
    """
    if len(names) < 2 or len(set(names)) != len(names):
        raise ValueError(f"{task}: expected two or more different class names, got {list(names)}")
