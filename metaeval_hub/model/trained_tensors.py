"""The trained tensors of a model by their role in training."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from torch import nn

from metaeval_hub.conditional.attachment import AttachedAdapter

Role: TypeAlias = Literal["adapter", "map", "projection", "task_embedding", "head", "private"]


def trainable_groups(
    encoder: nn.Module, adapter: AttachedAdapter | None, heads: nn.Module
) -> dict[Role, list[nn.Parameter]]:
    """Return the trained tensors of a model by role; each role needs its own learning rate.

    - "adapter": the bottlenecks, or the encoder's own weights in full fine-tuning.
    - "map": the linear maps of z; all of the adapter if z generates it. A step of Adam changes their output by up to
      the learning rate times |z|_1.
    - "projection": the linear layers from a task's features, or from its vector in the table, to z.
    - "task_embedding": the table of task embeddings, (n * K, Z), or of the vectors that are projected to them.
    - "head": the matrix of label vectors, (vectors, H), and its biases, (vectors,).

    The private parts of tasks are not among them, because they are trained later, one task at a time. The last two
    roles have one row per task or label, which should not change in steps without examples of it. Roles that a method
    does not have are empty lists.

    Args:
        encoder: the encoder.
        adapter: its adapter; None in full fine-tuning.
        heads: the classifiers.
    """
    if adapter is None:
        inside, apart, maps, table, projection = encoder, [], [], [], []
    else:
        inside, conditioning = adapter, adapter.conditioning
        apart = [] if adapter.private is None else list(adapter.private.parameters())
        maps = [parameter for layer in adapter.conditional_layers() for parameter in layer.maps()]
        table = [] if conditioning is None else conditioning.table()
        projection = [] if conditioning is None else conditioning.projections()
    known = {id(parameter) for parameter in (*maps, *table, *projection, *apart)}
    return {
        "adapter": [p for p in inside.parameters() if p.requires_grad and id(p) not in known],
        "map": maps,
        "projection": projection,
        "task_embedding": table,
        "head": list(heads.parameters()),
    }


def add_attention_biases(encoder: Any) -> None:
    """Give ModernBERT's attention the frozen biases that models of earlier releases were trained and stored with.

    They start at 0, and loading the trained tensors fills them in.
    """
    for layer in encoder.layers:
        projection = layer.attn.Wqkv
        projection.bias = nn.Parameter(projection.weight.new_zeros(projection.out_features), requires_grad=False)
