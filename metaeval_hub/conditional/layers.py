"""The conditional adapter layers, as equations over tensors; they need torch only.

Both attachments use these classes: the hooks of ``metaeval_hub.conditional.attachment`` and the `adapters` library.

Axes: B examples, T tokens, H hidden units, a bottleneck units, Z task embedding. A task embedding has the shape (B, Z),
one per example, or (1, Z) if the whole batch belongs to one task. The second form runs the operations of a stock
adapter, so that an exported task gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from metaeval_hub.conditional.bottleneck import Bottleneck, new_layer_norm, scaled

# Measured starting points. z has norm about 1, because its scale multiplies the step size of every map (Adam changes an
# entry of W by the learning rate, so W z changes by the rate times |z|_1), and the encoder starts close to its own
# function.
NORM_GAMMA_STD = 0.05
GENERATED_UP_STD = 1e-3


def modulate(hidden: Tensor, task_emb: Tensor, scale: nn.Linear, shift: nn.Linear) -> Tensor:
    """Scale and shift every hidden unit by the task embedding, before an adapter.

    Source: Sileo & Moens 2022, section 3, eq. 2. The paper's h, z, W_h and W_b are ``hidden``, ``task_emb``, ``scale``
    and ``shift`` here.

    Args:
        hidden: token states, (B, T, H).
        task_emb: (B, Z) or (1, Z), of the dtype of ``hidden``.
        scale: linear map from Z to H, without bias.
        shift: linear map from Z to H, without bias.

    Returns:
        (B, T, H).
    """
    # (B or 1, 1, H): the T tokens of an example share it. One fused pass; two passes cost 2 % of a training step.
    return torch.addcmul(shift(task_emb).unsqueeze(1), hidden, 1 + scale(task_emb).unsqueeze(1))


def fit_to_batch(task_emb: Tensor | None, hidden: Tensor, adapter: str = "metaeval") -> Tensor:
    """Return the task embeddings of a batch in its dtype.

    Args:
        task_emb: (B, Z) or (1, Z); None if the call named no task.
        hidden: (B, T, H).
        adapter: the adapter's name, for the error message.

    Raises:
        ValueError: the call named no task, or the number of task embeddings is neither B nor 1.
    """
    if task_emb is None:
        raise ValueError(
            f"adapter {adapter!r} is conditional and got no task: pass task_ids=, a LongTensor (B,), "
            "or task_embeddings=, a tensor (B, Z)"
        )
    if task_emb.shape[0] not in (1, hidden.shape[0]):
        raise ValueError(
            f"adapter {adapter!r} got {task_emb.shape[0]} task embeddings for a batch of {hidden.shape[0]}; "
            "a composition that splits a batch requires that all of it belongs to one task"
        )
    return task_emb.to(hidden.dtype)


class ConditionalLayer(nn.Module):
    """The base class of the layers that depend on z. Their linear maps of z are the modules named ``z_*``.

    Calling a layer with token states (B, T, H) and task embeddings (B, Z) or (1, Z) returns the output (B, T, H), the
    inner states (B, T, a), and the up-projection (B, T, H). A third argument, ``residual``, (B, T, H), replaces the
    token states in the residual connection.
    """

    def maps(self) -> Iterator[nn.Parameter]:
        """Yield the weights of the maps of z."""
        return (parameter for name, parameter in self.named_parameters() if name.startswith("z_"))


class ModulatedInputAdapter(ConditionalLayer, Bottleneck):
    """A bottleneck whose input, residual included, is modulated by z (Sileo & Moens 2022, eq. 2; Pilault et al. 2021).

    W_h and W_b start at 0, so that training starts from a stock adapter. Section 3.1 describes this adapter with a
    LayerNorm, which ``layer_norm`` adds. By default the bottleneck has none: a LayerNorm gives its output the same
    variance for every text and from the first step on, which only gamma keeps close to the encoder's function.

    Args:
        hidden_size: H.
        size: a.
        dim_z: Z.
        dropout: probability of dropping a unit of the bottleneck's output in training.
        scaling: fixed factor of the bottleneck.
        activation: activation function; None means GeLU.
        layer_norm: whether the bottleneck ends in a learned LayerNorm.
    """

    def __init__(
        self,
        hidden_size: int,
        size: int,
        dim_z: int,
        dropout: float = 0.0,
        scaling: float = 1.0,
        activation: nn.Module | None = None,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(hidden_size, size, dropout, scaling, activation, layer_norm)
        self.z_scale = nn.Linear(dim_z, hidden_size, bias=False)
        self.z_shift = nn.Linear(dim_z, hidden_size, bias=False)
        nn.init.zeros_(self.z_scale.weight)
        nn.init.zeros_(self.z_shift.weight)

    def forward(
        self, hidden: Tensor, task_emb: Tensor | None = None, residual: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Apply eq. 2, whose residual is the modulated input; see ``ConditionalLayer`` for shapes."""
        modulated = modulate(hidden, fit_to_batch(task_emb, hidden), self.z_scale, self.z_shift)
        down, up = self.bottleneck(modulated)
        return self.to_add(up) + modulated, down, up


class ConditionalNormAdapter(ConditionalLayer, Bottleneck):
    """A bottleneck that ends in a LayerNorm with weights from z (Sileo & Moens 2022, eq. 1).

    W_gamma starts as N(0, 0.05^2) and W_beta at 0: with z of norm 1 the adapter then adds about 5 % of a unit.

    Args:
        hidden_size: H.
        size: a.
        dim_z: Z.
        dropout: probability of dropping a unit of the bottleneck's output in training.
        scaling: fixed factor of the bottleneck.
        activation: activation function; None means GeLU.
    """

    def __init__(
        self,
        hidden_size: int,
        size: int,
        dim_z: int,
        dropout: float = 0.0,
        scaling: float = 1.0,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__(hidden_size, size, dropout, scaling, activation)
        self.z_gamma = nn.Linear(dim_z, hidden_size, bias=False)
        self.z_beta = nn.Linear(dim_z, hidden_size, bias=False)
        nn.init.normal_(self.z_gamma.weight, std=NORM_GAMMA_STD)
        nn.init.zeros_(self.z_beta.weight)

    def forward(
        self, hidden: Tensor, task_emb: Tensor | None = None, residual: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Apply eq. 1; see ``ConditionalLayer`` for shapes."""
        z = fit_to_batch(task_emb, hidden)
        gamma, beta = self.z_gamma(z), self.z_beta(z)
        down, up = self.bottleneck(hidden)
        dropped = self.dropout(up)
        size = (dropped.shape[-1],)
        if z.shape[0] == 1:
            normed = F.layer_norm(dropped, size, gamma[0], beta[0])
        else:
            normed = torch.addcmul(beta.unsqueeze(1), F.layer_norm(dropped, size), gamma.unsqueeze(1))
        return normed + (hidden if residual is None else residual), down, up


class GeneratedAdapter(ConditionalLayer):
    """A bottleneck whose matrices are linear in z (Mahabadi et al. 2021, in the form of Sileo & Moens 2022, section 3).

    With z of norm 1, the entries of D(z) start with variance 1/H and those of U(z) at about 1e-3; the biases start
    at 0. ``layer_norm`` adds a LayerNorm whose gamma and beta are learned, not generated.

    Args:
        hidden_size: H.
        size: a.
        dim_z: Z.
        dropout: probability of dropping a unit of the bottleneck's output in training.
        scaling: fixed factor of the bottleneck.
        activation: activation function; None means GeLU.
        layer_norm: whether the bottleneck ends in a learned LayerNorm.
    """

    def __init__(
        self,
        hidden_size: int,
        size: int,
        dim_z: int,
        dropout: float = 0.0,
        scaling: float = 1.0,
        activation: nn.Module | None = None,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.size = size
        self.scaling = scaling
        self.non_linearity = activation or nn.GELU()
        self.dropout = nn.Dropout(dropout)
        self.adapter_norm_after = new_layer_norm(hidden_size) if layer_norm else None
        self.z_down = nn.Linear(dim_z, size * hidden_size, bias=False)
        self.z_up = nn.Linear(dim_z, hidden_size * size, bias=False)
        self.z_down_bias = nn.Linear(dim_z, size, bias=False)
        self.z_up_bias = nn.Linear(dim_z, hidden_size, bias=False)
        nn.init.normal_(self.z_down.weight, std=hidden_size**-0.5)
        nn.init.normal_(self.z_up.weight, std=GENERATED_UP_STD)
        nn.init.zeros_(self.z_down_bias.weight)
        nn.init.zeros_(self.z_up_bias.weight)

    def forward(
        self, hidden: Tensor, task_emb: Tensor | None = None, residual: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Apply the bottleneck that z generates; see ``ConditionalLayer`` for shapes."""
        z = fit_to_batch(task_emb, hidden)
        n = z.shape[0]
        down_weight = self.z_down(z).view(n, self.size, self.hidden_size)
        up_weight = self.z_up(z).view(n, self.hidden_size, self.size)
        down_bias, up_bias = self.z_down_bias(z), self.z_up_bias(z)
        if n == 1:
            down = self.non_linearity(F.linear(hidden, down_weight[0], down_bias[0]))
            up = F.linear(down, up_weight[0], up_bias[0])
        else:
            down = self.non_linearity(torch.baddbmm(down_bias.unsqueeze(1), hidden, down_weight.transpose(1, 2)))
            up = torch.baddbmm(up_bias.unsqueeze(1), down, up_weight.transpose(1, 2))
        up = scaled(up, self.scaling)
        added = self.dropout(up) if self.adapter_norm_after is None else self.adapter_norm_after(self.dropout(up))
        return added + (hidden if residual is None else residual), down, up


LAYERS: dict[str, type[ModulatedInputAdapter | ConditionalNormAdapter | GeneratedAdapter]] = {
    "pilault": ModulatedInputAdapter,
    "layernorm": ConditionalNormAdapter,
    "mahabadi": GeneratedAdapter,
}
