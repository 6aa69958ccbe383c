"""Conditional adapter layers: tensors in, tensors out.

Axes: B examples, T tokens, H hidden units, a bottleneck units, Z task embedding. A task embedding comes as
(B, Z), one a row, or as (1, Z) where a whole batch belongs to one task; the second form runs the very operations
of a stock adapter, so that an exported task gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from adapters.context import ForwardContext
from adapters.methods.modeling import Activation_Function_Class, Adapter
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from metaeval_hub.conditional.config import ConditionalBnConfig

# Measured starting points: z has norm about 1, since its scale multiplies the step size of every projection (Adam
# moves an entry of W by the learning rate, so W z moves by the rate times |z|_1), and the encoder starts close to
# its own function.
NORM_GAMMA_STD = 0.05
GENERATED_UP_STD = 1e-3


def modulate(hidden: Tensor, task_emb: Tensor, scale: nn.Linear, shift: nn.Linear) -> Tensor:
    """Scale and shift every hidden unit by the task embedding, ahead of an adapter.

    Source: Sileo & Moens 2022, section 3, eq. 2. There h, z, W_h, W_b; here ``hidden``, ``task_emb``, ``scale``,
    ``shift``.

    Args:
        hidden: token states, (B, T, H).
        task_emb: (B, Z) or (1, Z), dtype of ``hidden``.
        scale: linear map from Z to H, without bias.
        shift: the same for the shift.

    Returns:
        (B, T, H).
    """
    # (B or 1, 1, H): shared by the T tokens of an example. One pass over the hidden states; two cost 2 % of a step
    return torch.addcmul(shift(task_emb).unsqueeze(1), hidden, 1 + scale(task_emb).unsqueeze(1))


def task_embedding_of(name: str, hidden: Tensor) -> Tensor:
    """Return the task embedding that the current forward pass holds for adapter ``name``.

    Raises:
        ValueError: the call named no task, or as many tasks as fit neither the batch nor one.
    """
    context = ForwardContext.get_context()
    task_emb: Tensor | None = getattr(context, "conditional_z", {}).get(name) if context is not None else None
    if task_emb is None:
        raise ValueError(
            f"adapter {name!r} is conditional and got no task: pass task_ids=, a LongTensor (B,), "
            "or task_embeddings=, a tensor (B, Z)"
        )
    if task_emb.shape[0] not in (1, hidden.shape[0]):
        raise ValueError(
            f"adapter {name!r} got {task_emb.shape[0]} task embeddings for a batch of {hidden.shape[0]}; "
            "a composition that splits a batch needs all of it to be of one task"
        )
    return task_emb.to(hidden.dtype)


class ConditionalLayer(Adapter):
    """What the layers share. The linear maps of z are the modules called ``z_*``."""

    def scaled(self, up: Tensor) -> Tensor:
        """Return ``up`` times the fixed factor of a stock bottleneck, without a pass over it where that is 1."""
        return up if self.scaling == 1.0 else up * self.scaling

    def maps(self) -> Iterator[nn.Parameter]:
        """Yield the weights of the maps of z."""
        return (parameter for name, parameter in self.named_parameters() if name.startswith("z_"))


class _Bottleneck(ConditionalLayer):
    """A stock sequential bottleneck of a given width, used step by step."""

    def __init__(self, name: str, hidden_size: int, config: ConditionalBnConfig) -> None:
        super().__init__(adapter_name=name, input_size=hidden_size, down_sample=config.adapter_size, config=config)

    def bottleneck(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inner states (B, T, a) and U(GeLU(D(h))), (B, T, H)."""
        down = self.adapter_down(hidden)
        return down, self.scaled(self.adapter_up(down))


class ModulatedInputAdapter(_Bottleneck):
    """A bottleneck whose input, residual included, is modulated by z (Sileo & Moens 2022, eq. 2; Pilault et al. 2021).

    W_h and W_b start at 0, so that the start is a stock adapter's. The bottleneck has no LayerNorm, as in Houlsby
    et al. 2019: a LayerNorm gives its output unit variance from the first step on, far from the encoder's function.
    """

    def __init__(self, name: str, hidden_size: int, config: ConditionalBnConfig) -> None:
        super().__init__(name, hidden_size, config)
        self.z_scale = nn.Linear(config.dim_z, hidden_size, bias=False)
        self.z_shift = nn.Linear(config.dim_z, hidden_size, bias=False)
        nn.init.zeros_(self.z_scale.weight)
        nn.init.zeros_(self.z_shift.weight)

    def forward(self, x: Tensor, residual_input: Tensor, output_gating: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return output (B, T, H), inner states (B, T, a) and the up-projection (B, T, H)."""
        modulated = modulate(x, task_embedding_of(self.name, x), self.z_scale, self.z_shift)
        down, up = self.bottleneck(modulated)
        return self.dropout(up) + modulated, down, up


class ConditionalNormAdapter(_Bottleneck):
    """A bottleneck that ends in a LayerNorm with weights from z (Sileo & Moens 2022, eq. 1).

    W_gamma starts as N(0, 0.05^2) and W_beta at 0: with z of norm 1 the adapter then adds about 5 % of a unit.
    """

    def __init__(self, name: str, hidden_size: int, config: ConditionalBnConfig) -> None:
        super().__init__(name, hidden_size, config)
        self.z_gamma = nn.Linear(config.dim_z, hidden_size, bias=False)
        self.z_beta = nn.Linear(config.dim_z, hidden_size, bias=False)
        nn.init.normal_(self.z_gamma.weight, std=NORM_GAMMA_STD)
        nn.init.zeros_(self.z_beta.weight)

    def forward(self, x: Tensor, residual_input: Tensor, output_gating: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return output (B, T, H), inner states (B, T, a) and the up-projection (B, T, H)."""
        task_emb = task_embedding_of(self.name, x)
        gamma, beta = self.z_gamma(task_emb), self.z_beta(task_emb)
        down, up = self.bottleneck(x)
        dropped = self.dropout(up)
        size = (dropped.shape[-1],)
        if task_emb.shape[0] == 1:
            normed = F.layer_norm(dropped, size, gamma[0], beta[0])
        else:
            normed = torch.addcmul(beta.unsqueeze(1), F.layer_norm(dropped, size), gamma.unsqueeze(1))
        return normed + residual_input, down, up


class GeneratedAdapter(ConditionalLayer):
    """A bottleneck whose matrices are linear in z (Mahabadi et al. 2021, in the form of Sileo & Moens 2022, section 3).

    D(z) starts with entries of variance 1/H where z has norm 1, U(z) with entries of about 1e-3; biases start at 0.
    """

    def __init__(self, name: str, hidden_size: int, config: ConditionalBnConfig) -> None:
        nn.Module.__init__(self)  # the stock module's own D and U would be made for nothing
        self.name = name
        self.input_size = hidden_size
        self.down_sample = config.adapter_size
        self.original_ln_before = config.original_ln_before
        self.original_ln_after = config.original_ln_after
        self.residual_before_ln = config.residual_before_ln
        self.scaling = config.scaling
        self.non_linearity = Activation_Function_Class(config.non_linearity)
        self.dropout = nn.Dropout(p=config.dropout)
        self.z_down = nn.Linear(config.dim_z, config.adapter_size * hidden_size, bias=False)
        self.z_up = nn.Linear(config.dim_z, hidden_size * config.adapter_size, bias=False)
        self.z_down_bias = nn.Linear(config.dim_z, config.adapter_size, bias=False)
        self.z_up_bias = nn.Linear(config.dim_z, hidden_size, bias=False)
        nn.init.normal_(self.z_down.weight, std=hidden_size**-0.5)
        nn.init.normal_(self.z_up.weight, std=GENERATED_UP_STD)
        nn.init.zeros_(self.z_down_bias.weight)
        nn.init.zeros_(self.z_up_bias.weight)

    def forward(self, x: Tensor, residual_input: Tensor, output_gating: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return output (B, T, H), inner states (B, T, a) and the up-projection (B, T, H)."""
        task_emb = task_embedding_of(self.name, x)
        n, size, hidden = task_emb.shape[0], self.down_sample, self.input_size
        down_weight = self.z_down(task_emb).view(n, size, hidden)
        up_weight = self.z_up(task_emb).view(n, hidden, size)
        down_bias, up_bias = self.z_down_bias(task_emb), self.z_up_bias(task_emb)
        if n == 1:
            down = self.non_linearity(F.linear(x, down_weight[0], down_bias[0]))
            up = F.linear(down, up_weight[0], up_bias[0])
        else:
            down = self.non_linearity(torch.baddbmm(down_bias.unsqueeze(1), x, down_weight.transpose(1, 2)))
            up = torch.baddbmm(up_bias.unsqueeze(1), down, up_weight.transpose(1, 2))
        up = self.scaled(up)
        return self.dropout(up) + residual_input, down, up


LAYERS: dict[str, type[ConditionalLayer]] = {
    "pilault": ModulatedInputAdapter,
    "layernorm": ConditionalNormAdapter,
    "mahabadi": GeneratedAdapter,
}
