"""AdamW whose tables move only in the rows that a step touched, and the learning rate of a step.

The table of task embeddings and the matrix of label rows are dense tensors with one row for every task or label. In a
plain AdamW the rows of tasks that are absent from a step keep moving by their momentum: measured, a z trained for 20
steps drifted by half its way again in 100 steps of another task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from metaeval_training.config import Schedule


class RowLazyAdamW(torch.optim.AdamW):
    """AdamW (Loshchilov & Hutter 2019) in which parameter groups may be updated row by row.

    A group with ``by_row=True`` treats every row (every entry of a vector) as a parameter of its own: a row whose
    gradient is all zero stays where it is, its moments and its step count too, as if its gradient were None. Such
    groups have no weight decay. The other groups are torch's AdamW.

    Args:
        params: parameter groups; ``by_row`` (default False) beside the options of torch.optim.AdamW.
        options: defaults of the groups, as of torch.optim.AdamW (``lr``, ``betas``, ``eps``, ``weight_decay``).

    Raises:
        ValueError: a ``by_row`` group asks for weight decay, or holds a scalar.
    """

    def __init__(self, params: Iterable[dict[str, Any]], **options: Any) -> None:
        super().__init__([{"by_row": False, **group} for group in params], fused=True, **options)
        # A fused AdamW asks a gradient scaler to leave gradients scaled and infinite ones in; rows want neither.
        self._step_supports_amp_scaling = False
        for group in self.param_groups:
            if group["by_row"] and group["weight_decay"]:
                raise ValueError(f"rows have no weight decay, got {group['weight_decay']}; set it to 0 for their group")
            if group["by_row"] and any(parameter.dim() == 0 for parameter in group["params"]):
                raise ValueError("a scalar has no rows; put it into a group without by_row")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of all groups; returns what ``closure`` returns."""
        groups = self.param_groups
        try:
            self.param_groups = [group for group in groups if not group["by_row"]]
            loss = super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            if group["by_row"]:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._update_rows(parameter, parameter.grad, group)
        return loss

    def _update_rows(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(len(parameter), 1, dtype=torch.float32, device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
        state["step"] = count = state["step"].to(parameter.device)  # torch leaves a loaded "step" where it is
        # Views of shape (rows, what a row holds); a vector has one number a row.
        tables = [tensor.reshape(len(parameter), -1) for tensor in (parameter, state["exp_avg"], state["exp_avg_sq"])]
        grad = grad.reshape(len(parameter), -1)
        touched = (grad != 0).any(dim=1, keepdim=True)  # (rows, 1)
        if _picks_rows(parameter.device):
            numbers = touched.flatten().nonzero().flatten()
            picked = [table.index_select(0, numbers) for table in (*tables, count, grad)]
            for table, new in zip((*tables, count), _adam(group, *picked), strict=True):
                table.index_copy_(0, numbers, new)
        else:
            whole = [*tables, count, grad]
            for table, new in zip((*tables, count), _adam(group, *whole), strict=True):
                table.copy_(torch.where(touched, new, table))


def _picks_rows(device: torch.device) -> bool:
    """Whether to compute on the touched rows alone: elsewhere than on a CPU the host would wait for their numbers."""
    return device.type == "cpu"


def _adam(
    group: dict[str, Any], rows: Tensor, mean: Tensor, square: Tensor, count: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Adam's update without decay: the new values of the first four, (rows, ...) each, count (rows, 1)."""
    beta1, beta2 = group["betas"]
    mean, square, count = mean.lerp(grad, 1 - beta1), (square * beta2).addcmul_(grad, grad, value=1 - beta2), count + 1
    # 1 - beta^t without the loss of digits that float32 has near 1
    bias1, bias2 = (-torch.expm1(count * math.log(beta)) for beta in (beta1, beta2))
    return rows - group["lr"] * (mean / bias1) / ((square / bias2).sqrt() + group["eps"]), mean, square, count


def rate_factor(step: int, steps: int, warmup: float, schedule: Schedule) -> float:
    """What the learning rates are multiplied with at a step: a pure function, so that nothing has to be restored.

    Args:
        step: 0 for the first step.
        steps: steps of the run.
        warmup: share of the steps in which the factor rises in equal parts to 1.
        schedule: "linear" falls to 0 after the warm-up, "constant" stays at 1.

    Returns:
        A factor above 0, at most 1.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 1.0 if schedule == "constant" else (steps - step) / max(steps - rising, 1)


def cap_factors(loss_sums: Tensor, examples: Tensor, cap: float) -> Tensor:
    """What the losses of each task are multiplied with, so that their mean is at most ``cap``.

    Source: Sileo & Moens 2022, section 5.1 ("the loss of a task is capped at 1.0"). A clamp would have no gradient
    above the cap, where every task with three or more classes starts: measured, 15 points of accuracy lost. A factor
    keeps the direction of the gradient.

    Args:
        loss_sums: losses of a step, added up by task over all processes, (n,), without gradient.
        examples: how many examples each sum is of, (n,); 0 where a task is absent.
        cap: largest mean loss of a task, in nats; 0: no cap.

    Returns:
        (n,): min(1, cap / mean loss); 1 for absent tasks.
    """
    if not cap:
        return torch.ones_like(loss_sums)
    return (cap * examples / loss_sums).nan_to_num(nan=1.0, posinf=1.0).clamp(max=1.0)
