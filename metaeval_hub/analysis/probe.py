"""Predict aspects of tasks from their embeddings with a linear probe (Sileo & Moens 2022, section 5.5, table 4)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from metaeval_hub.analysis.leave_one_out import LeaveOneOut

PERMUTATIONS = 200
DEALS = 20  # random assignments of features to tasks, for probes across groups


@dataclass(frozen=True)
class Probe:
    """How well one aspect is predicted from one set of features.

    Args:
        accuracy: share of tasks whose class is predicted correctly from the other tasks, in 0..1.
        majority: share of the most frequent class, the accuracy of one answer for all tasks.
        p_value: probability of such an accuracy if features and aspect were independent, by
            permutation: (1 + permutations that reach it) / (1 + permutations).
        chance: mean accuracy over the permutations. It can lie well below the majority: where classes are of equal
            size, leaving a task out makes its class the rarer one.
        permutations: number of permutations.
    """

    accuracy: float
    majority: float
    p_value: float
    chance: float
    permutations: int


def probe(
    values: NDArray[np.floating], labels: NDArray[np.integer], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Probe:
    """Predict an aspect of n tasks from their features, each task from the n - 1 others.

    The accuracy is scikit-learn's LogisticRegression with its defaults, as in the paper. The permutation test, which
    the paper does not have, solves the same problem by `metaeval_hub.analysis.leave_one_out`, for the true labels
    and for the permuted ones.

    Args:
        values: (n, D) features, used as they are.
        labels: (n,) classes from 0.
        permutations: of the labels; the smallest p-value is 1 / (1 + permutations).
        seed: of the permutations.

    Raises:
        ValueError: there are fewer than two classes or three tasks, or ``permutations`` is below 1.
    """
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    solver, generator = LeaveOneOut(values), np.random.default_rng(seed)
    with threadpool_limits(1):  # matrices this small take 20 times as long where several threads wait for each other
        observed = solver.accuracy(labels)
        permuted = np.array([solver.accuracy(generator.permutation(labels)) for _ in range(permutations)])
        accuracy = float(np.mean(leave_one_out(values, labels) == labels))
    reached = int((permuted >= observed - 1e-12).sum())
    return Probe(
        accuracy=accuracy,
        majority=majority(labels),
        p_value=(1 + reached) / (1 + permutations),
        chance=float(permuted.mean()),
        permutations=permutations,
    )


@dataclass(frozen=True)
class AcrossGroups:
    """How well one aspect of the tasks of a group is predicted from the tasks of all other groups.

    Only tasks whose class another group also has are counted; the others cannot be predicted.

    Args:
        accuracy: share of these tasks whose class is predicted correctly, in 0..1; nan if there are none.
        majority: share of their most frequent class, the accuracy of one answer for all of them.
        tasks: number of these tasks.
        chance: mean accuracy where the features are dealt out to the tasks at random. It lies below the majority where
            the groups that are left have other classes than the one left out.
        p_value: (1 + deals that reach the accuracy) / (1 + deals).
    """

    accuracy: float
    majority: float
    tasks: int
    chance: float
    p_value: float


def probe_across(
    values: NDArray[np.floating],
    labels: NDArray[np.integer],
    groups: NDArray[np.integer],
    *,
    permutations: int = DEALS,
    seed: int = 0,
) -> AcrossGroups:
    """Predict an aspect of the tasks of each group from the tasks of the other groups.

    Tasks of one group often share texts, form and aspects, so a probe may only recognise the group. This probe leaves
    out the whole group, which the paper does not do.

    Args:
        values: (n, D) features, used as they are.
        labels: (n,) classes from 0.
        groups: (n,) number of each task's group.
        permutations: how often the features are dealt out to the tasks at random; the classes and groups stay, which go
            together. A fit for each group and deal makes them few.
        seed: of these.

    Raises:
        ValueError: all tasks are of one group, or ``permutations`` is below 1.
    """
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    if len(np.unique(groups)) < 2:
        raise ValueError("all tasks are in one group; probing across groups needs two or more groups")
    known = np.array([(labels[groups != group] == label).any() for label, group in zip(labels, groups, strict=True)])
    if not known.any():
        return AcrossGroups(float("nan"), float("nan"), 0, float("nan"), 1.0)
    # rotated into the few dimensions that n points span, which changes no prediction and takes less time
    left, scale, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    points, generator = left * scale, np.random.default_rng(seed)

    def accuracy(features: NDArray[np.floating]) -> float:
        return float((leave_out(features, labels, groups) == labels)[known].mean())

    with threadpool_limits(1):
        observed = accuracy(values)
        dealt = np.array([accuracy(generator.permutation(points)) for _ in range(permutations)])
    return AcrossGroups(
        accuracy=observed,
        majority=majority(labels[known]),
        tasks=int(known.sum()),
        chance=float(dealt.mean()),
        p_value=(1 + int((dealt >= observed - 1e-12).sum())) / (1 + permutations),
    )


def leave_one_out(values: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Predict the class of each of n tasks by scikit-learn's LogisticRegression fitted to the n - 1 others, (n,)."""
    return leave_out(values, labels, np.arange(len(labels)))


def leave_out(
    values: NDArray[np.floating], labels: NDArray[np.integer], groups: NDArray[np.integer]
) -> NDArray[np.integer]:
    """Predict the classes of each group by scikit-learn's LogisticRegression fitted to all other groups, (n,)."""
    found = np.empty_like(labels)
    for group in np.unique(groups):
        inside = groups == group
        if len(np.unique(labels[~inside])) == 1:
            found[inside] = labels[~inside][0]
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # its defaults are what the table is about
            fitted = LogisticRegression().fit(values[~inside], labels[~inside])
        found[inside] = fitted.predict(values[inside])
    return found


def majority(labels: NDArray[np.integer]) -> float:
    """Return the share of the most frequent class, in 0..1."""
    return float(np.bincount(labels).max() / len(labels))
