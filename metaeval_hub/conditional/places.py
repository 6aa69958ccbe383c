"""The places of adapters in each type of encoder: behind the attention and behind the MLP, as in `adapters`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Places:
    """Where adapters go in one type of encoder.

    Args:
        layers: path of the list of layers in the encoder.
        attention: path, in a layer, of the module whose output is the result of the attention.
        output: path, in a layer, of the module whose output is the result of the MLP.
        sum: path, in a layer, of the module that adds the attention's result to its residual, with both as inputs;
            None if the layer adds them itself.
    """

    layers: str
    attention: str
    output: str
    sum: str | None = None


_BERT = Places("encoder.layer", "attention.output.dropout", "output.dropout", "attention.output")
PLACES = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "electra": _BERT,
    "deberta-v2": _BERT,
    "distilbert": Places("transformer.layer", "attention.out_lin", "ffn.dropout"),
    "modernbert": Places("layers", "attn.Wo", "mlp.Wo"),
}
KINDS = ("attention", "output")  # the two places of a layer, in the order of a pass


def places_of(encoder: Any) -> Places:
    """Return the places of an encoder.

    Raises:
        ValueError: no places are known for its type.
    """
    kind = encoder.config.model_type
    if kind not in PLACES:
        raise ValueError(f"encoders of type {kind!r} have no places for adapters; expected one of {', '.join(PLACES)}")
    return PLACES[kind]


def layers_of(encoder: Any) -> nn.ModuleList:
    """Return the layers of an encoder, in the order of a pass."""
    return encoder.get_submodule(places_of(encoder).layers)


def modules_at_places(encoder: Any) -> Iterator[tuple[int, str, nn.Module]]:
    """Yield the number of the layer, the kind of place, and the module behind whose output an adapter goes."""
    places = places_of(encoder)
    for number, layer in enumerate(layers_of(encoder)):
        for kind in KINDS:
            yield number, kind, layer.get_submodule(getattr(places, kind))


def can_repeat_inside(encoder: Any) -> bool:
    """Return whether a batch can be repeated at the first adapter, behind the attention of the first layer.

    That takes a module that receives both the attention's result and its residual. An encoder with a convolution
    (DeBERTa-v2-xlarge) also reads the states from before the first layer, so that it cannot.
    """
    return places_of(encoder).sum is not None and not getattr(encoder.config, "conv_kernel_size", 0)
