"""The definition of a score: accuracy, macro-F1 and Matthews' correlation of counted predictions.

Training, the baselines and the module of `evaluate` in this folder all call ``scores``. The three scores need only
counts, and the counts of several processes add up exactly, however the rows were distributed. This file imports
nothing but numpy, because it is published together with the module.

>>> counts = count_pairs([0, 0, 0, 1], [0, 0, 1, 1], 2)
>>> counts.tolist()
[[2, 1], [0, 1]]
>>> scores(counts)["accuracy"]
0.75
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

NAMES = ("accuracy", "macro_f1", "matthews")


def scores(counts: NDArray[Any]) -> dict[str, float]:
    """Return the scores of counted predictions.

    The formulas are those of scikit-learn, in float64, and give the same bits.

    Args:
        counts: number of rows by true class (first axis) and predicted class (second axis), (C, C).

    Returns:
        "accuracy", 0..1. "macro_f1", 0..1: the mean F1 over the classes that occur as truth or prediction, because
        any other class has no F1. "matthews", -1..1 (Gorodkin 2004): 0 if truth or prediction is constant.

    Raises:
        ValueError: no row was counted.
    """
    counts = np.asarray(counts, dtype=np.float64)
    true, predicted = counts.sum(axis=1), counts.sum(axis=0)
    total = true.sum()
    if not total > 0:
        raise ValueError("no predictions were counted; give at least one prediction and its label")
    return {
        "accuracy": float(np.trace(counts) / total),
        "macro_f1": _macro_f1(np.diagonal(counts), true, predicted),
        "matthews": _matthews(np.trace(counts), true, predicted),
    }


def score_predictions(
    labels: ArrayLike, predictions: ArrayLike, classes: int, weights: ArrayLike | None = None
) -> dict[str, float]:
    """Return the scores of predictions; see ``count_pairs`` for the arguments and ``scores`` for the result."""
    return scores(count_pairs(labels, predictions, classes, weights))


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Return the accuracy that ``scores`` defines, for classes 0, 1, ... of any number."""
    classes = 1 + int(max(np.max(labels), np.max(predictions)))
    return score_predictions(labels, predictions, classes)["accuracy"]


def _macro_f1(correct: NDArray[Any], true: NDArray[Any], predicted: NDArray[Any]) -> float:
    occur = (true + predicted) > 0
    return float(np.mean(2 * correct[occur] / (true + predicted)[occur]))


def _matthews(correct: float, true: NDArray[Any], predicted: NDArray[Any]) -> float:
    total = true.sum()
    covariance = correct * total - np.dot(true, predicted)
    variances = (total**2 - np.dot(predicted, predicted)) * (total**2 - np.dot(true, true))
    return 0.0 if variances == 0 else float(covariance / np.sqrt(variances))


def count_pairs(
    labels: ArrayLike, predictions: ArrayLike, classes: int, weights: ArrayLike | None = None
) -> NDArray[Any]:
    """Count rows by true and predicted class.

    Args:
        labels: true class of each row, (N,), in 0..C-1.
        predictions: predicted class of each row, (N,), in 0..C-1.
        classes: number of classes, C.
        weights: number of times that each row counts, (N,); None counts each row once.

    Returns:
        (C, C): true class on the first axis, predicted class on the second. int64 if the weights are whole.

    Raises:
        ValueError: the lengths differ, a class is outside 0..C-1, or a weight is negative or not finite.
    """
    pairs = [np.asarray(values).reshape(-1) for values in (labels, predictions)]
    for name, values in zip(("labels", "predictions"), pairs, strict=True):
        if len(values) != len(pairs[0]):
            raise ValueError(f"there are {len(pairs[0])} labels and {len(values)} {name}; give one for each row")
        if not np.isin(values, range(classes)).all():
            wrong = next(value for value in values.tolist() if value not in range(classes))
            raise ValueError(f"{name} contain {wrong}; expected whole numbers from 0 to {classes - 1}")
    cells = pairs[0].astype(np.int64) * classes + pairs[1].astype(np.int64)
    if weights is None:
        return np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    weights = np.asarray(weights).reshape(-1)
    if len(weights) != len(cells) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"sample_weight must contain {len(cells)} numbers of at least 0, one for each row")
    counts = np.zeros(classes**2, dtype=np.int64 if weights.dtype.kind in "biu" else np.float64)
    np.add.at(counts, cells, weights)
    return counts.reshape(classes, classes)
