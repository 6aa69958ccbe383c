"""A private part for each task: a low-rank update behind every adapter, which belongs to one task alone.

All tasks share the adapters, and z changes them by a few numbers per task. A task that needs features that harm others
cannot get them from that. A low-rank update (Hu et al. 2022, LoRA) of the states can give them at a small cost: with
rank R, 4 R H numbers per layer and task. It is trained after the shared part, which then stays as it is, so that tasks
cannot disturb each other.

Axes: n tasks, P places of adapters, B examples, T tokens, H hidden units, R rank.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class PrivateUpdates(nn.Module):
    """The low-rank updates of all tasks: h -> U_t V_t h is added to the output of the adapter that receives h.

    V starts from N(0, 1/H) and U at 0, so that a task without training has no private part. The shared training leaves
    both unchanged.

    Args:
        n_tasks: n.
        places: number of adapters, P.
        hidden_size: H.
        rank: R.
    """

    def __init__(self, n_tasks: int, places: int, hidden_size: int, rank: int) -> None:
        super().__init__()
        start = torch.randn(n_tasks, places, rank, hidden_size) * hidden_size**-0.5
        self.down = nn.Parameter(start, requires_grad=False)
        self.up = nn.Parameter(torch.zeros(n_tasks, places, hidden_size, rank), requires_grad=False)

    def forward(self, task_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return V, (B, P, R, H), and U, (B, P, H, R), of tasks, (B,); or both with B = 1 of one task, (1,)."""
        return self.down[task_ids], self.up[task_ids]

    def numbers_per_task(self) -> int:
        """Return how many numbers a private part has."""
        return self.down[0].numel() + self.up[0].numel()

    @torch.no_grad()
    def used(self) -> list[bool]:
        """Return whether each task has a private part, which is not the case while U is 0."""
        return self.up.flatten(1).any(dim=1).tolist()

    @torch.no_grad()
    def append(self, count: int) -> None:
        """Add tasks without a private part at the end; the others stay bit-identical."""
        down = self.down.new_empty(count, *self.down.shape[1:]).normal_(std=self.down.shape[-1] ** -0.5)
        self.down = nn.Parameter(torch.cat([self.down, down]), requires_grad=False)
        self.up = nn.Parameter(torch.cat([self.up, self.up.new_zeros(count, *self.up.shape[1:])]), requires_grad=False)

    @torch.no_grad()
    def remove(self, task_ids: Sequence[int]) -> None:
        """Remove tasks; those after them move up."""
        keep = torch.ones(len(self.down), dtype=torch.bool, device=self.down.device)
        keep[list(task_ids)] = False
        self.down = nn.Parameter(self.down[keep].clone(), requires_grad=False)
        self.up = nn.Parameter(self.up[keep].clone(), requires_grad=False)


def low_rank(hidden: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """Return U V h for token states.

    Args:
        hidden: h, (B, T, H).
        down: V, (B, R, H), or (1, R, H) for one task.
        up: U, (B, H, R) or (1, H, R).

    Returns:
        (B, T, H).
    """
    if down.shape[0] == 1:
        return F.linear(F.linear(hidden, down[0]), up[0])
    return torch.bmm(torch.bmm(hidden, down.transpose(1, 2)), up.transpose(1, 2))
