"""Classifiers that read all layers of the encoder, for tasks that were fitted to labelled examples.

The last layer of a sentence encoder has lost what its training did not need, such as grammar or single words. A task
with enough examples can read it from the layers below. Its readout maps the means over tokens of all layers to the
scores of its classes, which take the place of the pooled text; the label vectors of such a task are unit vectors, so
that its classifier returns them.

Axes: m tasks with a readout, C classes (of the largest of these tasks), L layers with the embeddings below the first,
B examples, H hidden units.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class LayerReadouts(nn.Module):
    """The readouts of the tasks that have one.

    Args:
        layers: L.
        hidden_size: H.
        sizes: task -> number of classes, in the order of the ids.

    Raises:
        ValueError: a task has more than H classes.
    """

    weight: nn.Parameter | None  # (m, C, L, H); None, and not stored, without such tasks

    def __init__(self, layers: int, hidden_size: int, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.sizes: dict[str, int] = {}
        self._shape = (layers, hidden_size)
        self.register_parameter("weight", None)
        self.append(sizes, torch.empty(0))

    def check(self, sizes: Mapping[str, int]) -> None:
        """Check that tasks can be added; the error is that of the constructor."""
        for task, size in sizes.items():
            if size > self._shape[1]:
                raise ValueError(
                    f"{task} reads all layers and has {size} classes; at most {self._shape[1]} are possible"
                )

    @torch.no_grad()
    def append(self, sizes: Mapping[str, int], like: Tensor) -> None:
        """Add tasks, whose readouts start at 0, with the dtype and device of ``like``; the others are unchanged."""
        self.check(sizes)
        if not sizes:
            return
        before = self.sizes
        self.sizes = {**before, **sizes}
        weight = torch.zeros(
            len(self.sizes), max(self.sizes.values()), *self._shape, dtype=like.dtype, device=like.device
        )
        if self.weight is not None:
            weight[: len(before), : self.weight.shape[1]] = self.weight
        self.weight = nn.Parameter(weight, requires_grad=False)

    @torch.no_grad()
    def remove(self, tasks: Collection[str]) -> None:
        """Remove the readouts of tasks; those without one are ignored."""
        places = [place for place, task in enumerate(self.sizes) if task not in tasks]
        if self.weight is None or len(places) == len(self.sizes):
            return
        self.sizes = {task: size for task, size in self.sizes.items() if task not in tasks}
        kept = self.weight[places, : max(self.sizes.values(), default=0)].clone()
        self.weight = nn.Parameter(kept, requires_grad=False) if self.sizes else None

    def of_task(self, task: str) -> Tensor:
        """Return the readout of a task, (its classes, L, H), as a part of ``weight``."""
        assert self.weight is not None  # noqa: S101 - the task has one
        return self.weight[list(self.sizes).index(task), : self.sizes[task]]

    def places(self, tasks: Iterable[str]) -> Tensor:
        """Return the place of each task among those with a readout; 0 for the others."""
        found = {task: place for place, task in enumerate(self.sizes)}
        return torch.tensor([found.get(task, 0) for task in tasks])

    def forward(self, means: Tensor, places: Tensor) -> Tensor:
        """Return the scores of the classes in the form of pooled texts, (B, H), with 0 behind the last class.

        Args:
            means: (B, L, H), means over tokens.
            places: (B,) place of each text's task, or (1,) if all have one task.
        """
        assert self.weight is not None  # noqa: S101 - a task has a readout
        weight = self.weight[places].to(means.dtype)
        if places.shape[0] == 1:
            scores = F.linear(means.flatten(1), weight[0].flatten(1))
        else:
            scores = torch.bmm(weight.flatten(2), means.flatten(1).unsqueeze(2)).squeeze(2)
        return F.pad(scores, (0, means.shape[2] - scores.shape[1]))
