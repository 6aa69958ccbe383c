"""Classifiers that read all layers of the encoder, for tasks that were fitted to labelled examples.

The last layer of a sentence encoder has lost what its training did not need, such as grammar or single words. A task
with enough examples can read it from the layers below. Its readout maps the means over tokens of all layers to the
scores of its classes, which take the place of the pooled text; the label vectors of such a task are unit vectors, so
that its classifier returns them.

Axes: m tasks with a readout, C classes (of the largest of these tasks), L layers with the embeddings below the first,
B examples, H hidden units.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class LayerReadouts(nn.Module):
    """The readouts of all tasks that have one, in the order of their ids; new ones start at 0.

    Args:
        sizes: number of classes of each task, m of them.
        layers: L.
        hidden_size: H.
    """

    def __init__(self, sizes: Sequence[int], layers: int, hidden_size: int) -> None:
        super().__init__()
        if max(sizes) > hidden_size:
            raise ValueError(
                f"a task that reads all layers has {max(sizes)} classes; at most {hidden_size} are possible"
            )
        self.weight = nn.Parameter(torch.zeros(len(sizes), max(sizes), layers, hidden_size), requires_grad=False)

    def forward(self, means: Tensor, places: Tensor) -> Tensor:
        """Return the scores of the classes in the form of pooled texts, (B, H), with 0 behind the last class.

        Args:
            means: (B, L, H), means over tokens.
            places: (B,) place of each text's task among the tasks with a readout; or (1,) if all have one task.
        """
        weight = self.weight[places].to(means.dtype)
        if len(places) == 1:
            scores = F.linear(means.flatten(1), weight[0].flatten(1))
        else:
            scores = torch.bmm(weight.flatten(2), means.flatten(1).unsqueeze(2)).squeeze(2)
        return F.pad(scores, (0, means.shape[2] - scores.shape[1]))

    @torch.no_grad()
    def append(self, sizes: Sequence[int]) -> None:
        """Add tasks at the end; the others are unchanged."""
        count, classes, *shape = self.weight.shape
        weight = self.weight.new_zeros(count + len(sizes), max(classes, *sizes), *shape)
        weight[:count, :classes] = self.weight
        self.weight = nn.Parameter(weight, requires_grad=False)

    @torch.no_grad()
    def keep(self, places: Sequence[int], sizes: Sequence[int]) -> None:
        """Keep the tasks at some places, whose numbers of classes are ``sizes``; remove the others."""
        self.weight = nn.Parameter(self.weight[list(places), : max(sizes)].clone(), requires_grad=False)
