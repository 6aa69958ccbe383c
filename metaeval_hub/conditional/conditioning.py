"""Map task ids to the task embeddings z that condition the adapters.

Axes: n tasks, K embeddings per task, B examples, Z task embedding, F features of a task, D values of a vector in the
table (if it is projected to z).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from metaeval_hub.conditional.config import ZSource
from metaeval_hub.conditional.feature_matrix import finite_matrix
from metaeval_hub.conditional.preimages import find_preimages

# A feature that varies over the tasks by less than this share of its largest value is rounding noise.
_LEAST_SPREAD = 1e-6


class TaskConditioning(nn.Module):
    """Compute the embeddings z, (B, Z) or (1, Z), of the tasks with given ids, (B,) or (1,).

    Every z has a norm of about 1 at the start.

    - "table": each task has K learned vectors, which start from N(0, 1/Z). A training step uses one of them (Sileo &
      Moens 2022, section 5.4). Vector k of task i is at place i * K + k of the table, and the optimizer treats each
      vector separately.
    - "features": z = P x + b, where x is a fixed vector of the task, such as TextEmb or Fisher (section 3). P and b are
      one trained linear layer, which starts with P ~ N(0, 1/Z) and b = 0.
    - "both": z = z_i + W x, the features-aware embedding of section 5.6. W = 0 at the start.

    x contains the features of the task, standardized by ``set_features``. The features are stored with the weights and
    are not trained.

    With ``dim_table``, the learned vectors have D values instead of Z, and one learned linear layer without bias
    projects them to z_i = P v_i / sqrt(D), as in HyperFormer (Mahabadi et al. 2021). v starts from N(0, 1), as there,
    and P from N(0, 1/Z). A step of Adam on v then changes z about as much as one on z itself does (0.6 times for
    D = 512 and Z = 32), so that the same learning rate serves both. Without the fixed factor 1/sqrt(D), a step on P
    would change z by up to its rate times |v|_1, about 400 for D = 512: at the rate of the adapters, the demo tasks did
    not learn more than their majority class.

    Args:
        n_tasks: number of tasks, n.
        dim_z: size of z, Z.
        z_from: how z is computed.
        embeddings_per_task: number of learned vectors per task, K.
        dim_features: number of features per task, F; 0 for "table".
        dim_table: number of values of a learned vector, D, at least Z; 0: the learned vectors are z itself.
    """

    task_embedding: nn.Parameter | None
    features: Tensor
    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(
        self,
        n_tasks: int,
        dim_z: int,
        z_from: ZSource = "table",
        embeddings_per_task: int = 1,
        dim_features: int = 0,
        dim_table: int = 0,
    ) -> None:
        super().__init__()
        self.dim_z = dim_z
        self.dim_table = dim_table
        self.z_from = z_from
        self.embeddings_per_task = embeddings_per_task
        count = n_tasks * embeddings_per_task
        has_table = z_from != "features"
        self.table_projection: nn.Linear | None = None
        if has_table and dim_table:
            self.task_embedding = nn.Parameter(torch.randn(count, dim_table))
            self.table_projection = nn.Linear(dim_table, dim_z, bias=False)
            nn.init.normal_(self.table_projection.weight, std=dim_z**-0.5)
        else:
            self.task_embedding = nn.Parameter(torch.randn(count, dim_z) * dim_z**-0.5) if has_table else None
        self.projection: nn.Linear | None = None
        if z_from != "table":
            self.projection = nn.Linear(dim_features, dim_z, bias=not has_table)
            if has_table:
                nn.init.zeros_(self.projection.weight)
            else:
                nn.init.normal_(self.projection.weight, std=dim_z**-0.5)
                nn.init.zeros_(self.projection.bias)
            self.register_buffer("features", torch.zeros(n_tasks, dim_features))
            self.register_buffer("feature_mean", torch.zeros(dim_features))
            self.register_buffer("feature_scale", torch.zeros(dim_features))  # all 0: not set yet

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self._example().device

    @property
    def n_tasks(self) -> int:
        """The number of tasks, n."""
        if self.task_embedding is None:
            return self.features.shape[0]
        return self.task_embedding.shape[0] // self.embeddings_per_task

    # --- z ---

    def forward(self, task_ids: Tensor, draws: Tensor | int | None = None) -> Tensor:
        """Return the embeddings of tasks.

        Args:
            task_ids: (B,) or (1,) long.
            draws: which of a task's K embeddings to return, 0 to K - 1: a number, (1,), or one per task id, (B,). None
                returns the first, which evaluation uses.

        Raises:
            IndexError: an id or draw is outside the table. This is checked on the CPU; a GPU reports it in its own way.
            ValueError: z is computed from features, and they were not set.
        """
        ids = task_ids.reshape(-1)
        check_range("task id", ids, self.n_tasks)
        parts = []
        if self.task_embedding is not None:
            places = ids
            if self.embeddings_per_task > 1:
                places = ids * self.embeddings_per_task + self._draws(draws, ids)
            elif draws is not None:
                self._draws(draws, ids)
            learned = F.embedding(places, self.task_embedding)
            parts.append(self._to_z(learned))
        if self.projection is not None:
            # On a GPU this check would wait for the device at every step.
            is_checked = self.feature_scale.device.type == "cpu" and not torch.compiler.is_compiling()
            if is_checked and not self.feature_scale.any():
                raise ValueError("z is computed from features, which were not set; call set_features(matrix)")
            parts.append(self.projection(self.features[ids]))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def _draws(self, draws: Tensor | int | None, ids: Tensor) -> Tensor:
        if draws is None:
            return torch.zeros_like(ids)
        draws = torch.as_tensor(draws, device=ids.device).reshape(-1)
        if draws.shape[0] != 1 and ids.shape[0] not in (1, draws.shape[0]):
            raise ValueError(f"{draws.shape[0]} draws for {ids.shape[0]} task ids; expected one draw, or one per id")
        check_range("draw", draws, self.embeddings_per_task)
        return draws

    @torch.no_grad()
    def embeddings(self) -> Tensor:
        """Return all task embeddings, (n, K, Z), as the layers receive them."""
        parts = []
        if self.task_embedding is not None:
            learned: Tensor = self.task_embedding
            if self.table_projection is not None:
                learned = torch.cat([self._to_z(vector) for vector in learned.split(1)])
            parts.append(learned.view(-1, self.embeddings_per_task, self.dim_z))
        # Both projections take one vector at a time: the rounding of a batched product depends on the number of tasks.
        if self.projection is not None:
            parts.append(torch.stack([self.projection(features) for features in self.features.split(1)]))
        return parts[0].clone() if len(parts) == 1 else parts[0] + parts[1]

    @torch.no_grad()
    def projection_ratio(self) -> float | None:
        """Return how much the features contribute: the mean over tasks of |W phi_i| / |z_i| (section 5.6).

        z_i is the learned embedding without the features; of K embeddings, their norms are averaged.

        Returns:
            A number of at least 0; None unless z is a sum of both.
        """
        if self.task_embedding is None or self.projection is None:
            return None
        learned = self._to_z(_wide(self.task_embedding))
        learned = learned.view(-1, self.embeddings_per_task, self.dim_z).norm(dim=-1).mean(dim=1)
        projected = _wide(self.projection(self.features)).norm(dim=-1)
        return float((projected / learned.clamp(min=torch.finfo(torch.float32).tiny)).mean())

    @torch.no_grad()
    def expect(self, features: ArrayLike | None = None) -> Tensor:
        """Return the embeddings expected of tasks that were not trained (Sileo & Moens 2022, section 5.6).

        They are the sum of the mean of the learned embeddings and the projection of the features. "table" has only the
        first part, and "features" only the second.

        Args:
            features: features of m tasks, (m, F), in the form that ``set_features`` takes; None for "table".

        Returns:
            (m, Z); (1, Z) for "table".

        Raises:
            ValueError: features are missing, have another shape, are not finite, or are given for "table".
        """
        self._check_given(features)
        parts = []
        if self.task_embedding is not None:
            parts.append(self._to_z(_wide(self.task_embedding).mean(dim=0, keepdim=True)))
        if self.projection is not None:
            parts.append(self.projection(self._standardised(features)))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def _to_z(self, vectors: Tensor) -> Tensor:
        """Return the learned part of z, (m, Z), of vectors of the table, (m, Z or D), in their dtype."""
        if self.table_projection is None:
            return vectors
        return F.linear(vectors * self.dim_table**-0.5, self.table_projection.weight.to(vectors.dtype))

    # --- features ---

    @torch.no_grad()
    def set_features(self, features: ArrayLike) -> None:
        """Set the features of all tasks and standardize them over these tasks.

        x = (f - mean) / (std * sqrt(F')), where mean and std are those of each feature over the tasks, and F' is the
        number of features that differ between tasks. The squared norm of x is therefore 1 on average. A feature that is
        the same for all tasks is ignored, also for tasks that are added later, because nothing was learned about it.

        Args:
            features: features of all tasks, (n, F).

        Raises:
            ValueError: the features have another shape, are not finite, or are the same for all tasks.
        """
        self._check_given(features)
        matrix = finite_matrix(features, (self.n_tasks, self.features.shape[1]), "task_features")
        mean, std = matrix.mean(axis=0), matrix.std(axis=0)
        varies = std > _LEAST_SPREAD * np.abs(matrix).max(axis=0)
        if not varies.any():
            raise ValueError(
                f"task_features of shape {matrix.shape} are the same for all tasks, so z would not depend on the task; "
                "give features that differ"
            )
        scale = np.divide(1.0, std * varies.sum() ** 0.5, out=np.zeros_like(std), where=varies)
        self.feature_mean.copy_(torch.from_numpy(mean))
        self.feature_scale.copy_(torch.from_numpy(scale))
        self.features.copy_(self._standardised(matrix))

    def _standardised(self, features: ArrayLike | None) -> Tensor:
        width = self.features.shape[1]
        matrix = torch.from_numpy(
            finite_matrix(features, (None, width), "task_features")
        )  # some devices have no float64
        scaled = ((matrix - self.feature_mean.cpu()) * self.feature_scale.cpu()).to(self.features)
        if not torch.isfinite(scaled).all():
            largest = float(matrix.abs().max())
            raise ValueError(
                f"task_features of up to {largest:.3g} are too large for {scaled.dtype}; give them on a smaller scale"
            )
        return scaled

    def _check_given(self, features: ArrayLike | None) -> None:
        if features is None and self.projection is not None:
            raise ValueError(
                f"z is computed from features (z_from={self.z_from!r}), which are missing; give the "
                f"{self.features.shape[1]} features of the task as task_features"
            )
        if features is not None and self.projection is None:
            raise ValueError(
                "task_features are given, but z is not computed from features (z_from='table'); leave them out"
            )

    # --- adding and removing tasks ---

    @torch.no_grad()
    def append(self, count: int, task_embeddings: Tensor | None = None, features: ArrayLike | None = None) -> None:
        """Add tasks at the end; the others stay bit-identical. Recreate optimizers afterwards.

        Args:
            count: number of new tasks, m.
            task_embeddings: their embeddings, (m, K, Z), as the layers will receive them. By default, embedding k of a
                new task is the mean of the learned embeddings k, plus the projection of its features. With
                ``dim_table``, the table gets the shortest vectors whose projections are the given embeddings.
            features: their features, (m, F), in the form that ``set_features`` takes; None for "table".

        Raises:
            ValueError: features or embeddings are missing, have another shape, or are given although ``z_from`` does
                not use them. Or no vector has the projection that an embedding requires.
        """
        self._check_given(features)
        projected: Tensor | None = None
        if self.projection is not None:
            added = self._standardised(features)
            if added.shape[0] != count:
                raise ValueError(
                    f"task_features has shape {(*added.shape,)}; expected {(count, added.shape[1])} for {count} tasks"
                )
            projected = self.projection(added)
        if self.task_embedding is None:
            if task_embeddings is not None:
                raise ValueError(
                    "task_embeddings are given, but z is computed from features only (z_from='features'); leave them "
                    "out"
                )
        else:
            table = self.task_embedding
            shape = (count, self.embeddings_per_task, self.dim_z)
            if task_embeddings is None:
                latent = _wide(table).view(-1, shape[1], table.shape[1]).mean(dim=0).expand(count, -1, -1)
            elif task_embeddings.shape != shape:
                raise ValueError(f"task embeddings have shape {tuple(task_embeddings.shape)}; expected {shape}")
            else:
                latent = task_embeddings.to(table.device)
                latent = latent if projected is None else latent - projected.unsqueeze(1)
                if self.table_projection is not None:
                    latent = find_preimages(latent, _wide(self.table_projection.weight) * self.dim_table**-0.5)
            self.task_embedding = nn.Parameter(torch.cat([table, latent.reshape(-1, table.shape[1]).to(table)]))
        if self.projection is not None:
            self.features = torch.cat([self.features, added])

    @torch.no_grad()
    def remove(self, task_ids: Sequence[int]) -> None:
        """Remove tasks; those after them move up. Recreate optimizers afterwards."""
        keep = torch.ones(self.n_tasks, dtype=torch.bool, device=self._example().device)
        keep[list(task_ids)] = False
        if self.task_embedding is not None:
            kept = self.task_embedding[keep.repeat_interleave(self.embeddings_per_task)]
            self.task_embedding = nn.Parameter(kept.clone())
        if self.projection is not None:
            self.features = self.features[keep].clone()

    # --- trained tensors ---

    def values(self) -> Iterator[nn.Parameter]:
        """Return the trainable tensors, which `adapters` unfreezes when the adapter is trained."""
        return self.parameters()

    def table(self) -> list[nn.Parameter]:
        """Return the table of learned vectors, (n * K, Z or D), as a list of one tensor; empty for "features"."""
        return [] if self.task_embedding is None else [self.task_embedding]

    def projections(self) -> list[nn.Parameter]:
        """Return the weights of the linear layers that map the features, and the vectors of the table, to z."""
        layers = [layer for layer in (self.projection, self.table_projection) if layer is not None]
        return [parameter for layer in layers for parameter in layer.parameters()]

    def _example(self) -> Tensor:
        return self.features if self.task_embedding is None else self.task_embedding

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> TaskConditioning:
        """Move or cast; mean and scale of the features stay float32, because half precision could overflow."""
        kept = None if self.projection is None else (self.feature_mean, self.feature_scale)
        super()._apply(fn, recurse)
        if kept is not None:
            device = self.features.device
            self.feature_mean, self.feature_scale = (
                tensor if tensor.device == device else fn(tensor).float() for tensor in kept
            )
        return self


@torch.no_grad()
def average_conditioning(
    names: Sequence[str], parts: Sequence[TaskConditioning], shares: Sequence[float]
) -> dict[str, Tensor]:
    """Return the weighted average of adapters' conditioning, as `adapters` averages the weights of their layers.

    Args:
        names: names of the adapters, for the error message.
        parts: their conditioning, over the same tasks.
        shares: weight of each.

    Returns:
        The state of a conditioning of the same form.

    Raises:
        ValueError: their shapes differ, or the features of their tasks differ. Features are data: their average would
            describe no task.
    """
    states = [part.state_dict() for part in parts]
    fixed = {name for name, _ in parts[0].named_buffers()}
    for other, state in zip(names[1:], states[1:], strict=True):
        for key, tensor in states[0].items():
            same = key in state and state[key].shape == tensor.shape
            if not same or (key in fixed and not torch.equal(state[key], tensor)):
                raise ValueError(f"adapters {names[0]!r} and {other!r} cannot be averaged: their {key} differ")
    return {
        key: tensor if key in fixed else sum(share * state[key] for share, state in zip(shares, states, strict=True))
        for key, tensor in states[0].items()
    }  # type: ignore[return-value]  # sum() starts from the number 0


def check_range(what: str, values: Tensor, end: int) -> None:
    """Check that whole numbers are in 0 to ``end - 1``. Only the CPU checks: on other devices, it would have to wait.

    Args:
        what: what an error message calls the numbers.
        values: whole numbers.
        end: one more than the largest allowed number.

    Raises:
        IndexError: a number is outside; the message names the first.
    """
    if values.device.type == "cpu" and not torch.compiler.is_compiling():
        outside = values[(values < 0) | (values >= end)]
        if outside.numel():
            raise IndexError(f"{what} {int(outside[0])} is outside 0..{end - 1}")


def _wide(tensor: Tensor) -> Tensor:
    """Convert half precision to float32, so that an average is exact enough."""
    return tensor.float() if tensor.element_size() < 4 else tensor
