"""The names of a stored model's tensors: those of today, and those of releases that attached with `adapters`."""

from __future__ import annotations

import re
from collections.abc import Iterable

_OLD_LAYER = re.compile(r"encoder\.(?:[a-z]+\.)*?(\d+)\.(.+?)\.adapters\.metaeval\.(.+)")
_OLD_CONDITIONING = "encoder.shared_parameters.metaeval."
# An alias of the encoder's word embeddings that `adapters` added and that was stored without need.
_OLD_ALIAS = "encoder.prompt_tuning.base_model_embeddings.weight"
_OLD_PLACES = {
    "attention.output": "attention", "output": "output",  # BERT and its relatives
    "attention_adapters": "attention", "output_adapters": "output",  # DistilBERT, ModernBERT
}  # fmt: skip
_ATTENTION_BIAS = re.compile(r"encoder\.layers\.\d+\.attn\.Wqkv\.bias")


def current_name(stored: str) -> str | None:
    """Return today's name of a stored tensor; None for one that is not needed.

    >>> current_name("encoder.encoder.layer.3.attention.output.adapters.metaeval.adapter_up.bias")
    'adapter.layers.3.attention.adapter_up.bias'
    >>> current_name("encoder.shared_parameters.metaeval.task_embedding")
    'adapter.conditioning.task_embedding'
    """
    if stored == _OLD_ALIAS:
        return None
    if stored.startswith(_OLD_CONDITIONING):
        return f"adapter.conditioning.{stored.removeprefix(_OLD_CONDITIONING)}"
    found = _OLD_LAYER.fullmatch(stored)
    if found is None or found[2] not in _OLD_PLACES:
        return stored
    return f"adapter.layers.{found[1]}.{_OLD_PLACES[found[2]]}.{found[3]}"


def has_attention_biases(stored: Iterable[str]) -> bool:
    """Return whether stored tensors include attention biases, which ModernBERT itself does not have.

    Releases that attached with `adapters` gave it random ones; models that were trained with them need them.
    """
    return any(map(_ATTENTION_BIAS.fullmatch, stored))
