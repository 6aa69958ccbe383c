"""The bottleneck that all adapters here are built from; it needs torch only.

Axes: B examples, T tokens, H hidden units, a bottleneck units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# The starting values of BERT's linear layers, which the `adapters` library uses too.
INITIAL_STD = 0.02
# gamma of a learned LayerNorm at the start. The normalised output has unit variance whatever U is, so that gamma alone
# determines how far the encoder starts from its own function.
INITIAL_GAMMA = 0.05


class Bottleneck(nn.Module):
    """A sequential bottleneck adapter, h + dropout(s * U(f(D(h)))) with f = GeLU.

    Source: Houlsby et al. 2019. With ``layer_norm`` it is h + LN(dropout(s * U(f(D(h))))), eq. 1 of Sileo & Moens 2022
    with a learned gamma and beta instead of those from z. The tensors have the names, and under the same seed the
    starting values, of the stock ``Adapter`` of the `adapters` library, so that their outputs are bit-identical. Only
    gamma starts at 0.05 instead of 1, so that the encoder starts close to its own function.

    Args:
        hidden_size: H.
        size: a.
        dropout: probability of dropping a unit of the output in training.
        scaling: the fixed factor s.
        activation: f; None means GeLU.
        layer_norm: whether to normalise the output.
    """

    def __init__(
        self,
        hidden_size: int,
        size: int,
        dropout: float = 0.0,
        scaling: float = 1.0,
        activation: nn.Module | None = None,
        layer_norm: bool = False,
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
        self.adapter_norm_after = new_layer_norm(hidden_size) if layer_norm else None

    def bottleneck(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inner states f(D(h)), (B, T, a), and s * U(f(D(h))), (B, T, H), of ``hidden``, (B, T, H)."""
        down = self.adapter_down(hidden)
        return down, scaled(self.adapter_up(down), self.scaling)

    def to_add(self, up: Tensor) -> Tensor:
        """Return what is added to the residual, (B, T, H): the up-projection after dropout and LayerNorm, if any."""
        dropped = self.dropout(up)
        return dropped if self.adapter_norm_after is None else self.adapter_norm_after(dropped)

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
        return self.to_add(up) + (hidden if residual is None else residual), down, up


def new_layer_norm(hidden_size: int) -> nn.LayerNorm:
    """Return a LayerNorm over H units whose gamma starts at ``INITIAL_GAMMA`` and whose beta starts at 0."""
    norm = nn.LayerNorm(hidden_size)
    nn.init.constant_(norm.weight, INITIAL_GAMMA)
    return norm


def scaled(up: Tensor, factor: float) -> Tensor:
    """Return ``up * factor``, without a pass over the tensor if the factor is 1."""
    return up if factor == 1.0 else torch.mul(up, factor)
