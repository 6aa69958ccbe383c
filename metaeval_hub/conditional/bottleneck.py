"""The bottleneck that all adapters here are built from; it needs torch only.

Axes: B examples, T tokens, H hidden units, a bottleneck units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# The starting values of BERT's linear layers, which the `adapters` library uses too.
INITIAL_STD = 0.02


class Bottleneck(nn.Module):
    """A sequential bottleneck adapter, h + dropout(s * U(f(D(h)))) with f = GeLU.

    Source: Houlsby et al. 2019, without the LayerNorm. The tensors have the names, and under the same seed the starting
    values, of the stock ``Adapter`` of the `adapters` library, so that their outputs are bit-identical.

    Args:
        hidden_size: H.
        size: a.
        dropout: probability of dropping a unit of the output in training.
        scaling: the fixed factor s.
        activation: f; None means GeLU.
    """

    def __init__(
        self,
        hidden_size: int,
        size: int,
        dropout: float = 0.0,
        scaling: float = 1.0,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        down, up = nn.Linear(hidden_size, size), nn.Linear(size, hidden_size)
        self.adapter_down = nn.Sequential(down, activation or nn.GELU())
        self.adapter_up = up
        self.dropout = nn.Dropout(dropout)
        self.scaling = scaling
        for linear in (down, up):
            nn.init.normal_(linear.weight, std=INITIAL_STD)
            nn.init.zeros_(linear.bias)

    def bottleneck(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inner states f(D(h)), (B, T, a), and s * U(f(D(h))), (B, T, H), of ``hidden``, (B, T, H)."""
        down = self.adapter_down(hidden)
        return down, scaled(self.adapter_up(down), self.scaling)

    def forward(
        self, hidden: Tensor, task_emb: Tensor | None = None, residual: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Apply the bottleneck.

        Args:
            hidden: token states, (B, T, H).
            task_emb: ignored, because a stock bottleneck is the same for all tasks.
            residual: the states that the result is added to, (B, T, H); None means ``hidden``.

        Returns:
            The output (B, T, H), the inner states (B, T, a), and the up-projection (B, T, H).
        """
        down, up = self.bottleneck(hidden)
        return self.dropout(up) + (hidden if residual is None else residual), down, up


def scaled(up: Tensor, factor: float) -> Tensor:
    """Return ``up * factor``, without a pass over the tensor if the factor is 1."""
    return up if factor == 1.0 else torch.mul(up, factor)
