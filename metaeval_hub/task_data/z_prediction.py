"""Predict the embedding z of a task that nothing was trained on (Sileo & Moens 2022, section 5.6).

Ridge regression predicts z from the features of a task (its aspects, or TextEmb), with one example per task (eq. 3).
The baseline is the mean embedding of the tasks of the same type. The penalty is the one with the least squared error
when each task is predicted from the others. If a prediction is scored, the penalty is chosen without the scored task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

# Multiples of the mean square of a singular value of the features, so that the unit of the features does not matter.
# The lowest has nearly no effect; the highest leaves only the mean embedding.
PENALTIES = tuple(np.logspace(-3, 4, 29).tolist())


@dataclass(frozen=True, eq=False)
class Ridge:
    """Store a fitted map from features to z.

    Args:
        weights: (F, Z) weights.
        intercept: (Z,) intercept.
        penalty: chosen penalty, as a multiple of the mean square of a singular value of the centred features.
        error: mean squared distance between a task's z and its prediction from the other tasks, with this penalty.
        mean_error: the same if z is predicted as the mean of the other tasks.
    """

    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]
    penalty: float
    error: float
    mean_error: float

    @property
    def explained(self) -> float:
        """Return the share of the variance of z that the features predict for a held-out task; 0 or less if none."""
        return 1 - self.error / self.mean_error if self.mean_error else 0.0

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the predicted z, (m, Z), of features (m, F)."""
        return np.asarray(features, np.float64) @ self.weights + self.intercept


def fit_ridge(
    features: NDArray[np.floating], values: NDArray[np.floating], penalties: Sequence[float] = PENALTIES
) -> Ridge:
    """Fit eq. 3 with the penalty that leave-one-out cross-validation chooses.

    Args:
        features: (n, F) features of each task.
        values: (n, Z) embedding of each task.
        penalties: candidates, all above 0.

    Raises:
        ValueError: there are fewer than 3 tasks, the shapes do not fit, or a penalty is not above 0.
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
        # The residual of a held-out task is its residual / (1 - h); h is its entry on the diagonal of the hat matrix.
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
    """Return each task's z, (n, Z), as a ridge regression fitted to the other tasks predicts it."""
    n = len(features)
    others = ~np.eye(n, dtype=bool)
    return np.vstack([fit_ridge(features[others[i]], values[others[i]]).predict(features[i : i + 1]) for i in range(n)])


def mean_of_type(values: NDArray[np.floating], kinds: Sequence[str], kind: str) -> NDArray[np.float64]:
    """Return the mean embedding (Z,) of the tasks of one type.

    Args:
        values: (n, Z) embedding of each task.
        kinds: type of each task.
        kind: the type.

    Raises:
        ValueError: no task is of this type.
    """
    rows = [i for i, other in enumerate(kinds) if other == kind]
    if not rows:
        raise ValueError(f"no task of type {kind!r} among {len(kinds)}; there are {', '.join(sorted(set(kinds)))}")
    return np.asarray(values, np.float64)[rows].mean(axis=0)


def nearest_to(embeddings: TaskEmbeddings, z: NDArray[np.floating], k: int = 5) -> list[tuple[str, float]]:
    """Return the ``k`` tasks with the highest cosine to a vector, and the cosines, nearest first.

    Args:
        embeddings: the tasks.
        z: (Z,) vector.
        k: number of tasks.

    Raises:
        ValueError: the vector has another length.
    """
    if np.shape(z) != embeddings.values.shape[1:]:
        raise ValueError(f"z has shape {np.shape(z)}; expected ({embeddings.values.shape[1]},)")
    similarity = cosines(embeddings.values, np.asarray(z)[None])
    return [(embeddings.names[i], float(similarity[i])) for i in np.argsort(-similarity, kind="stable")[:k]]


def cosines(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the cosines between the vectors of two arrays, pair by pair; 0 for vectors of zeros.

    Args:
        one: (n, Z) vectors.
        other: (n, Z) vectors, or one vector (1, Z) for all pairs.

    Returns:
        (n,) float64.
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.divide((one * other).sum(axis=1), norms, out=np.zeros_like(norms), where=norms > 0)
