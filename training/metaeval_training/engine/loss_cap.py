"""Limit how much a task with a high loss contributes to a step.

The paper caps "the loss of a task" at 1 (Sileo & Moens 2022, section 5.1), where every step has the examples of one
task. A step of mixed tasks has one or two examples per task, so that a cap on their mean turns into a weight of
min(1, cap / loss) for each example: hard examples, and with them tasks with many classes, count less. The setting
``--cap-by`` chooses what is compared with the cap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from metaeval_training.config import CapBy

RUNNING_DECAY = 0.95  # of a task's running mean, for each step with examples of the task: about its last 20 steps


class LossCap:
    """Computes the factor of each task's losses in a step.

    A clamp would have no gradient above the cap, where every task with three or more classes starts, and lost 15 points
    of accuracy in a measurement. A factor keeps the direction of the gradient.

    Args:
        cap: largest loss, in nats, or in multiples of ln(classes); 0: no cap.
        cap_by: "step" compares the mean loss of the task's examples in this step, "running" a running mean over the
            task's steps, and "classes" the mean in this step with ``cap`` times ln(classes), the loss of a guess.
        class_counts: number of classes of each task.
        device: of the losses.
    """

    def __init__(self, cap: float, cap_by: CapBy, class_counts: Sequence[int], device: torch.device) -> None:
        self.cap_by = cap_by
        counts = torch.tensor(class_counts, dtype=torch.float32, device=device)
        # a task with one class has a loss of 0; ln(2) avoids a cap of 0
        self.caps = cap * (counts.clamp(min=2).log() if cap_by == "classes" else torch.ones_like(counts))
        self.running = torch.zeros_like(counts)
        self.seen = torch.zeros_like(counts, dtype=torch.bool)

    def factors(self, loss_sums: Tensor, examples: Tensor) -> Tensor:
        """Return the factor of each task's losses that brings the loss that is compared down to the cap.

        Args:
            loss_sums: sum of each task's losses in this step, over all processes, (n,), without gradient.
            examples: number of examples in each sum, (n,); 0 for an absent task.

        Returns:
            (n,): min(1, cap / loss); 1 for absent tasks.
        """
        if not self.caps.any():
            return torch.ones_like(loss_sums)
        present = examples > 0
        if self.cap_by == "running":
            means = loss_sums / examples.clamp(min=1)
            updated = torch.where(self.seen, torch.lerp(means, self.running, RUNNING_DECAY), means)
            self.running = torch.where(present, updated, self.running)
            self.seen = self.seen | present
            return torch.where(present, (self.caps / self.running).clamp(max=1.0), 1.0).nan_to_num(nan=1.0)
        return (self.caps * examples / loss_sums).nan_to_num(nan=1.0, posinf=1.0).clamp(max=1.0)

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint needs: the running means, (n,), and which tasks have one, (n,)."""
        return {"running": self.running, "seen": self.seen} if self.cap_by == "running" else {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restore the tensors of ``state``.

        Raises:
            KeyError: a tensor is missing.
        """
        if self.cap_by == "running":
            self.running = state["running"].to(self.running.device)
            self.seen = state["seen"].to(self.seen.device)
