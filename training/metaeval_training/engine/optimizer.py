"""Update only the vectors that a step used (AdamW), and compute learning rates.

Task embeddings and label vectors are dense matrices with one vector per task or label. In plain AdamW, the vectors of
tasks that are absent from a step keep moving by their momentum: in a measurement, a z that was trained for 20 steps
drifted by half of that distance again during 100 steps of another task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from metaeval_training.config import Schedule


class RowLazyAdamW(torch.optim.AdamW):
    """AdamW (Loshchilov & Hutter 2019) that can update the vectors of a matrix independently.

    A group with ``by_row=True`` treats each row of a matrix (each entry of a vector) as a separate parameter: a row
    whose gradient is all zero is unchanged, including its moments and step count, as if its gradient were None. Such
    groups have no weight decay. The other groups use torch's AdamW.

    Args:
        params: parameter groups, with ``by_row`` (default False) and the options of torch.optim.AdamW.
        options: defaults of the groups, as in torch.optim.AdamW (``lr``, ``betas``, ``eps``, ``weight_decay``).

    Raises:
        ValueError: a ``by_row`` group has weight decay or contains a scalar.
    """

    def __init__(self, params: Iterable[dict[str, Any]], **options: Any) -> None:
        super().__init__([{"by_row": False, **group} for group in params], fused=True, **options)
        # A fused AdamW makes the gradient scaler pass on scaled and infinite gradients; _update_rows supports neither.
        self._step_supports_amp_scaling = False
        for group in self.param_groups:
            if group["by_row"] and group["weight_decay"]:
                raise ValueError(f"a by_row group has no weight decay, got {group['weight_decay']}; set it to 0")
            if group["by_row"] and any(parameter.dim() == 0 for parameter in group["params"]):
                raise ValueError("a by_row group contains a scalar, which has no rows; put it into another group")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all groups; return the value of ``closure``."""
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
        state["step"] = count = state["step"].to(parameter.device)  # torch does not move a loaded "step" to the device
        # Views of shape (rows, numbers per row); a vector has one number per row.
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
    """Return whether to select the touched rows: only on a CPU, because the host would wait for a GPU to list them."""
    return device.type == "cpu"


def _adam(
    group: dict[str, Any], rows: Tensor, mean: Tensor, square: Tensor, count: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return Adam's update without decay: new values of the four tensors, (rows, ...) each, count (rows, 1)."""
    beta1, beta2 = group["betas"]
    mean, square, count = mean.lerp(grad, 1 - beta1), (square * beta2).addcmul_(grad, grad, value=1 - beta2), count + 1
    # 1 - beta^t, without the loss of precision of float32 near 1
    bias1, bias2 = (-torch.expm1(count * math.log(beta)) for beta in (beta1, beta2))
    return rows - group["lr"] * (mean / bias1) / ((square / bias2).sqrt() + group["eps"]), mean, square, count


def rate_factor(step: int, steps: int, warmup: float, schedule: Schedule) -> float:
    """Return the factor of the learning rates at a step; a pure function, so checkpoints need no scheduler state.

    Args:
        step: 0 for the first step.
        steps: steps of the run.
        warmup: share of the steps in which the factor increases linearly to 1.
        schedule: after the warm-up, "linear" decreases to 0 and "constant" stays at 1.

    Returns:
        A factor above 0, at most 1.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 1.0 if schedule == "constant" else (steps - step) / max(steps - rising, 1)
