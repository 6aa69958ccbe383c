"""Logistic regression on a few rows, with the strength of its regularization chosen by cross-validation.

Columns are scaled to mean 0 and variance 1 / H over the rows, so that one grid of C fits encoders of any width H. The
scaling is folded into the weights. Rows are rotated into their span first, which changes no result and makes a fit to
k rows cost O(k^2) per step instead of O(k H).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRID = (0.01, 0.1, 1.0, 10.0, 100.0)  # C, from strong to weak regularization
FOLDS = 5
REPEATS = 3  # of the cross-validation, each with other folds
FEW_ROWS = 64  # with more rows, one repeat is enough
MOST_ROWS = 1000  # cross-validation uses at most this many rows
BIAS_C = 10.0  # C of the biases; finite, so that a class without rows gets a finite bias
LEAST_LOG = -7.0  # lower log-likelihoods count as this, so that one row does not decide
SMALLEST = 1e-6  # columns with a smaller standard deviation and directions with a smaller singular value count as 0


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear classifier.

    Args:
        weight: (C, H) label vectors.
        bias: (C,) biases.
    """

    weight: Array
    bias: Array

    def logits(self, features: NDArray[np.floating]) -> Array:
        """Return the logits (N, C) of features (N, H)."""
        return np.asarray(np.asarray(features, np.float64) @ self.weight.T + self.bias, np.float64)


@dataclass(frozen=True)
class CrossValidated:
    """How well a logistic regression predicts rows that it was not fitted to, with the best C of the grid.

    Args:
        strength: the chosen C.
        accuracy: share of the rows that were predicted correctly, in [0, 1].
        log_likelihood: mean log-probability of the class of a row, natural logarithm; at least -7 per row.
    """

    strength: float
    accuracy: float
    log_likelihood: float


def fit_logistic(
    features: NDArray[np.floating],
    classes: NDArray[np.int64],
    count: int,
    strength: float,
    *,
    prior: Linear | None = None,
) -> Linear:
    """Fit a multinomial logistic regression with an L2 penalty.

    Args:
        features: (k, H) features of the rows.
        classes: (k,) class of each row.
        count: number of classes; classes without rows get a low bias.
        strength: C, the inverse of the strength of the penalty.
        prior: a classifier of the same features; the penalty is on the distance from it. None: on the weights.

    Returns:
        A classifier of features that are not scaled.
    """
    rows, basis, mean = _into_span(features)
    found = _solve(rows, classes, count, [strength], _offset(prior, features, count))[0]
    weight = found.weight @ basis
    bias = found.bias - weight @ mean
    return Linear(weight, bias) if prior is None else Linear(weight + prior.weight, bias + prior.bias)


def cross_validate(
    features: NDArray[np.floating],
    classes: NDArray[np.int64],
    count: int,
    *,
    unscored: int = 0,
    prior: Linear | None = None,
    grid: Sequence[float] = GRID,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> CrossValidated:
    """Choose C by stratified, repeated cross-validation; the criterion is the log-likelihood.

    Accuracy is too coarse a criterion: with 8 rows it has 9 values.

    Args:
        features: (k, H) features of the rows, of which 2 or more are scored.
        classes: (k,) class of each row.
        count: number of classes.
        unscored: number of last rows that every fit includes and that are not scored, such as names of classes.
        prior: see ``fit_logistic``.
        grid: values of C, ascending; in a tie, the smallest wins.
        groups: (scored rows,) a number per scored row that is equal for the rows of a group, which then share a fold.
        seed: seed of the folds; the same seed gives the same folds for the same classes.
    """
    scored = len(classes) - unscored
    few = np.random.default_rng(seed).permutation(scored)[:MOST_ROWS]
    chosen = np.concatenate([few, np.arange(scored, len(classes))])
    rows, classes, offset = _into_span(features[chosen])[0], classes[chosen], _offset(prior, features[chosen], count)
    totals = np.zeros((len(grid), 2))
    repeats = 1 if len(few) > FEW_ROWS else REPEATS
    for repeat in range(repeats):
        fold = draw_folds(
            classes[: len(few)], np.random.default_rng((seed, repeat)), groups if groups is None else groups[few]
        )
        fold = np.concatenate([fold, np.full(unscored, -1)])
        for number in range(fold.max() + 1):
            test = fold == number
            fitted = _solve(rows[~test], classes[~test], count, grid, offset[~test])
            for i, linear in enumerate(fitted):
                found = log_softmax(linear.logits(rows[test]) + offset[test])
                own = found[np.arange(len(found)), classes[test]]
                totals[i] += (found.argmax(axis=1) == classes[test]).sum(), np.maximum(own, LEAST_LOG).sum()
    means = totals / (repeats * len(few))
    best = int(means[:, 1].argmax())
    return CrossValidated(grid[best], float(means[best, 0]), float(means[best, 1]))


def _into_span(features: NDArray[np.floating]) -> tuple[Array, Array, Array]:
    """Scale rows and rotate them into their span.

    Returns:
        Rows (k, r) with r at most k and H; the map (r, H) from features minus their mean to these rows; the mean (H,).
    """
    values = np.asarray(features, np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > SMALLEST) / np.sqrt(len(mean))
    scaled = (values - mean) * scale
    _, size, directions = np.linalg.svd(scaled, full_matrices=False)
    directions = directions[size > SMALLEST * max(size.max(), SMALLEST)]
    return scaled @ directions.T, directions * scale, mean


def _offset(prior: Linear | None, features: NDArray[np.floating], count: int) -> Array:
    """Return the logits (k, C) of the prior; 0 without one."""
    return np.zeros((len(features), count)) if prior is None else prior.logits(features)


def _solve(rows: Array, classes: NDArray[np.int64], count: int, grid: Sequence[float], offset: Array) -> list[Linear]:
    """Fit a classifier of rows (k, r) for each C; each fit starts from the solution for the previous C.

    Args:
        rows: scaled and rotated features.
        classes: (k,) class of each row.
        count: number of classes.
        grid: the values of C.
        offset: (k, C), added to the logits.
    """
    from scipy.optimize import minimize

    targets, width = np.eye(count)[classes], rows.shape[1]
    inputs = np.hstack([rows, np.ones((len(rows), 1))])
    found, start = [], np.zeros(count * (width + 1))
    for strength in grid:
        penalty = np.full(width + 1, 1 / strength)
        penalty[-1] = 1 / BIAS_C

        def loss(flat: Array, penalty: Array = penalty) -> tuple[float, Array]:
            weights = flat.reshape(count, -1)
            log = log_softmax(inputs @ weights.T + offset)
            slope = (np.exp(log) - targets).T @ inputs + weights * penalty
            return float((weights**2 * penalty).sum() / 2 - (log * targets).sum()), slope.ravel()

        start = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200, "gtol": 1e-4}).x
        weights = start.reshape(count, -1)
        found.append(Linear(weights[:, :-1], weights[:, -1]))
    return found


def log_softmax(logits: Array) -> Array:
    """Return the log-probabilities (N, C) of logits (N, C)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float64)


def stratified_folds(
    classes: NDArray[np.int64], generator: np.random.Generator, count: int = FOLDS
) -> NDArray[np.int64]:
    """Return the fold of each row, (k,): the rows of each class are spread over the folds in random order."""
    order = generator.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    folds = np.empty(len(classes), np.int64)
    folds[order] = np.arange(len(classes)) % min(count, len(classes))
    return folds


def draw_folds(
    classes: NDArray[np.int64], generator: np.random.Generator, groups: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return the fold of each row, (k,), such that no group is in two folds; ``stratified_folds`` without groups.

    The groups count only if there are two or more, and fewer than rows.
    """
    if groups is None or not 1 < len(np.unique(groups)) < len(groups):
        return stratified_folds(classes, generator)
    folds = folds_by_group(classes, groups, FOLDS, int(generator.integers(2**31)))
    return folds if folds.any() else np.unique(groups, return_inverse=True)[1] % FOLDS  # each class has one row


def folds_by_group(classes: NDArray[np.int64], groups: NDArray[np.int64], number: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row, (k,), such that no group is in two folds; 0 for all if there is one group."""
    from sklearn.model_selection import StratifiedGroupKFold

    number = min(number, len(np.unique(groups)), int(np.bincount(classes).max()))
    folds = np.zeros(len(classes), np.int64)
    if number < 2:
        return folds
    splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer rows than folds
        for fold, (_, test) in enumerate(splitter.split(classes, classes, groups)):
            folds[test] = fold
    return np.asarray(np.unique(folds, return_inverse=True)[1], np.int64)  # large groups can leave folds without rows
