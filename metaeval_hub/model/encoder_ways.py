"""The ways in which the texts of a batch run through the encoder: with or without adapters, for one or for all layers.

A batch may mix tasks that differ in this. Each group of texts then makes a pass of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Batch = Mapping[str, Tensor | None]


@dataclass(frozen=True)
class Way:
    """Args: whether the encoder runs without adapters, and whether the classifier reads all layers."""

    frozen: bool
    layered: bool


def encode_in_ways(
    tasks: Iterable[str],
    frozen: Collection[str],
    layered: Collection[str],
    batch: Batch,
    task_ids: Tensor,
    encode: Callable[[Batch, Tensor | slice, Way], Tensor],
) -> Tensor:
    """Encode each text in the way of its task, (B, H).

    Args:
        tasks: all tasks, in the order of their ids.
        frozen: those that read the encoder without adapters.
        layered: those that read all layers.
        batch: the tokens, (B, T) each.
        task_ids: (B,), or (1,) if all texts belong to one task.
        encode: takes a part of the batch, which texts these are, and their way.
    """
    numbers = [(name in frozen) + 2 * (name in layered) for name in tasks]
    number = torch.tensor(numbers, device=task_ids.device)[task_ids]
    found = number.unique().tolist()
    if len(found) == 1:
        return encode(batch, slice(None), Way(bool(found[0] % 2), found[0] >= 2))
    parts, places = [], []
    for each in found:
        chosen = number == each
        part = {name: None if values is None else values[chosen] for name, values in batch.items()}
        parts.append(encode(part, chosen, Way(bool(each % 2), each >= 2)))
        places.append(chosen.nonzero().flatten())
    return torch.cat(parts)[torch.cat(places).argsort()]
