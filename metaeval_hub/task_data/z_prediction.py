"""A task embedding for a task that nothing was trained on (Sileo & Moens 2022, section 5.6).

Ridge regression from what is known of a task (its aspects, or TextEmb) to z, one example a task (eq. 3), beside the
mean embedding of the tasks of its type. The penalty is the one with the least squared error when each task is predicted
from the others; it is chosen anew from those others wherever a prediction is itself scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

# Times the mean square of a singular value of the features, so that their unit does not matter: from next to no penalty
# to one that leaves nothing but the mean embedding.
PENALTIES = tuple(np.logspace(-3, 4, 29).tolist())


@dataclass(frozen=True, eq=False)
class Ridge:
    """A fitted map from features to z.

    Args:
        weights: (F, Z).
        intercept: (Z,).
        penalty: the one chosen, as a multiple of the mean square of a singular value of the centred features.
        error: mean squared distance of a task's z from its prediction by the other tasks, at this penalty.
        mean_error: the same for the mean of the other tasks, whatever the features.
    """

    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]
    penalty: float
    error: float
    mean_error: float

    @property
    def explained(self) -> float:
        """Share of the variance of z that the features predict for a task left out; 0 or below where they do not."""
        return 1 - self.error / self.mean_error if self.mean_error else 0.0

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Predicted z, (m, Z), of features (m, F)."""
        return np.asarray(features, np.float64) @ self.weights + self.intercept


def fit_ridge(
    features: NDArray[np.floating], values: NDArray[np.floating], penalties: Sequence[float] = PENALTIES
) -> Ridge:
    """Fit eq. 3, with the penalty chosen by leave-one-out.

    Args:
        features: (n, F), one row a task.
        values: (n, Z), their embeddings.
        penalties: to choose among, all above 0.

    Raises:
        ValueError: there are fewer than 3 tasks, the two do not fit, or a penalty is not above 0.
    """
    features, values = np.asarray(features, np.float64), np.asarray(values, np.float64)
    n = len(features)
    if n < 3 or len(values) != n:
        raise ValueError(f"features of {n} tasks and embeddings of {len(values)}; expected the same 3 or more")
    if not len(penalties) or min(penalties) <= 0:
        raise ValueError(f"penalties must be above 0, got {list(penalties)}")
    centre, mean = features.mean(axis=0), values.mean(axis=0)
    left, scale, right = np.linalg.svd(features - centre, full_matrices=False)
    unit = float(np.mean(scale**2)) or 1.0
    targets = values - mean
    best: tuple[float, float] | None = None
    for penalty in penalties:
        shrink = scale**2 / (scale**2 + penalty * unit)
        # the residual of a task left out is its residual over 1 - h, h its place on the diagonal of the hat matrix
        leverage = 1 / n + (left**2) @ shrink
        residual = (targets - left @ (shrink[:, None] * (left.T @ targets))) / (1 - leverage)[:, None]
        error = float((residual**2).sum(axis=1).mean())
        if best is None or error < best[0]:
            best = (error, penalty)
    assert best is not None  # noqa: S101 - there is a penalty
    error, penalty = best
    weights = right.T @ ((scale / (scale**2 + penalty * unit))[:, None] * (left.T @ targets))
    mean_error = float(((targets * n / (n - 1)) ** 2).sum(axis=1).mean())
    return Ridge(weights, mean - centre @ weights, penalty, error, mean_error)


def predict_each(features: NDArray[np.floating], values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Predict each task's z by a ridge fitted to the other tasks, penalty included, (n, Z)."""
    n = len(features)
    others = ~np.eye(n, dtype=bool)
    return np.vstack([fit_ridge(features[others[i]], values[others[i]]).predict(features[i : i + 1]) for i in range(n)])


def mean_of_type(values: NDArray[np.floating], kinds: Sequence[str], kind: str) -> NDArray[np.float64]:
    """Mean embedding (Z,) of the tasks of one type.

    Args:
        values: (n, Z).
        kinds: n task types.
        kind: the one wanted.

    Raises:
        ValueError: no task is of this type.
    """
    rows = [i for i, other in enumerate(kinds) if other == kind]
    if not rows:
        raise ValueError(f"no task of type {kind!r} among {len(kinds)}; there are {', '.join(sorted(set(kinds)))}")
    return np.asarray(values, np.float64)[rows].mean(axis=0)


def nearest_to(embeddings: TaskEmbeddings, z: NDArray[np.floating], k: int = 5) -> list[tuple[str, float]]:
    """The ``k`` tasks nearest to a vector (Z,) by cosine, with it, nearest first.

    Raises:
        ValueError: the vector has another length.
    """
    if np.shape(z) != embeddings.values.shape[1:]:
        raise ValueError(f"z has shape {np.shape(z)}; expected ({embeddings.values.shape[1]},)")
    similarity = cosines(embeddings.values, np.asarray(z)[None])
    return [(embeddings.names[i], float(similarity[i])) for i in np.argsort(-similarity, kind="stable")[:k]]


def cosines(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of each row of two tables (n, Z), or of a table and one row (1, Z): (n,); 0 for rows of zeros."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.divide((one * other).sum(axis=1), norms, out=np.zeros_like(norms), where=norms > 0)
