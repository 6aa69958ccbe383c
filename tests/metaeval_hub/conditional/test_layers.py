"""The layers against the equations, computed with plain tensor operations."""

import pytest
import torch
from torch.nn.functional import gelu

from metaeval_hub.conditional.bottleneck import Bottleneck
from metaeval_hub.conditional.layers import LAYERS, modulate

B, T, H, A, Z = 4, 5, 6, 3, 2
METHODS = ("pilault", "layernorm", "mahabadi")
WITH_NORM = ("pilault", "mahabadi", "adapter")
CASES = [*((method, False) for method in METHODS), *((method, True) for method in WITH_NORM)]


def start(method: str, layer_norm: bool = False, scaling: float = 1.0) -> torch.nn.Module:
    torch.manual_seed(0)
    options = {"layer_norm": True} if layer_norm else {}
    if method == "adapter":
        return Bottleneck(H, A, scaling=scaling, **options)
    return LAYERS[method](H, A, Z, scaling=scaling, **options)


def make(method: str, layer_norm: bool = False, scaling: float = 1.0) -> torch.nn.Module:
    layer = start(method, layer_norm, scaling).double()
    for parameter in layer.parameters():  # away from the start, where maps are zero
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


def run(layer: torch.nn.Module, hidden: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return layer(hidden, z)[0]


def by_hand(
    method: str, p: dict[str, torch.Tensor], h: torch.Tensor, z: torch.Tensor, scaling: float = 1.0
) -> torch.Tensor:
    """One example: h (T, H), z (Z,). Sileo & Moens 2022, eq. 1, eq. 2, and D, U = W_D z, W_U z.

    gamma and beta of the LayerNorm at the end are W_gamma z and W_beta z, learned, or there is none.
    """
    if method == "pilault":
        h = h + (p["z_scale.weight"] @ z) * h + p["z_shift.weight"] @ z
    if method == "mahabadi":
        down, up = (p["z_down.weight"] @ z).reshape(A, H), (p["z_up.weight"] @ z).reshape(H, A)
        down_bias, up_bias = p["z_down_bias.weight"] @ z, p["z_up_bias.weight"] @ z
    else:
        down, down_bias = p["adapter_down.0.weight"], p["adapter_down.0.bias"]
        up, up_bias = p["adapter_up.weight"], p["adapter_up.bias"]
    out = scaling * (gelu(h @ down.T + down_bias) @ up.T + up_bias)
    if method == "layernorm":
        out = normalised(out) * (p["z_gamma.weight"] @ z) + p["z_beta.weight"] @ z
    if "adapter_norm_after.weight" in p:
        out = normalised(out) * p["adapter_norm_after.weight"] + p["adapter_norm_after.bias"]
    return h + out


def normalised(out: torch.Tensor) -> torch.Tensor:
    return (out - out.mean(-1, keepdim=True)) / (out.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()


@pytest.mark.parametrize("scaling", [1.0, 3.0])
@pytest.mark.parametrize(("method", "layer_norm"), CASES)
def test_layer_is_its_equation_in_value_and_gradient(method, layer_norm, scaling):
    layer = make(method, layer_norm, scaling)
    hidden = torch.randn(B, T, H, dtype=torch.float64)
    z = torch.randn(B, Z, dtype=torch.float64, requires_grad=True)
    parameters = dict(layer.named_parameters())
    expected = torch.stack([by_hand(method, parameters, hidden[i], z[i], scaling) for i in range(B)])
    found = run(layer, hidden, z)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)

    weights = torch.randn(B, T, H, dtype=torch.float64)
    known = parameters if method == "adapter" else {"z": z, **parameters}
    wanted = torch.autograd.grad((expected * weights).sum(), list(known.values()))
    gradients = torch.autograd.grad((found * weights).sum(), list(known.values()))
    for name, one, other in zip(known, gradients, wanted, strict=True):
        assert one.any(), name
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(("method", "layer_norm"), CASES[:-1])
def test_one_embedding_for_the_batch_equals_the_same_on_every_row(method, layer_norm):
    layer = make(method, layer_norm)
    hidden, z = torch.randn(B, T, H, dtype=torch.float64), torch.randn(1, Z, dtype=torch.float64)
    torch.testing.assert_close(run(layer, hidden, z), run(layer, hidden, z.expand(B, Z)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", WITH_NORM)
def test_a_learned_layer_norm_starts_with_the_stated_gamma_and_changes_no_other_start(method):
    with_norm, without = start(method, layer_norm=True), start(method)
    assert torch.equal(with_norm.adapter_norm_after.weight, torch.full((H,), 0.05))
    assert not with_norm.adapter_norm_after.bias.any()
    own = with_norm.state_dict()
    assert own.keys() - without.state_dict().keys() == {"adapter_norm_after.weight", "adapter_norm_after.bias"}
    assert all(torch.equal(own[name], tensor) for name, tensor in without.state_dict().items())
    hidden = torch.randn(B, T, H)
    added = with_norm(hidden, torch.randn(1, Z))[0] - hidden
    assert added.std(unbiased=False, dim=-1).max() <= 0.0501


def test_modulation_with_zero_maps_leaves_the_states_as_they_are():
    zero = torch.nn.Linear(Z, H, bias=False)
    torch.nn.init.zeros_(zero.weight)
    hidden = torch.randn(B, T, H)
    assert torch.equal(modulate(hidden, torch.randn(B, Z), zero, zero), hidden)


def test_embeddings_that_fit_neither_batch_nor_one_task_are_refused():
    with pytest.raises(ValueError, match="got 3 task embeddings for a batch of 4"):
        run(make("pilault"), torch.randn(B, T, H, dtype=torch.float64), torch.randn(3, Z))
