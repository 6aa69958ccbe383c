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
REASSIGNMENTS = PERMUTATIONS  # random assignments of features to tasks, for probes across groups


@dataclass(frozen=True)
class Probe:
    """Accuracy of predicting one aspect from one set of features.

    Args:
        accuracy: share of tasks whose class is predicted correctly from the other tasks, in 0..1.
        majority: share of the most frequent class, the accuracy of one answer for all tasks.
        p_value: probability of an accuracy at least as high if features and aspect were independent, by permutation: (1
            + number of permutations that reach the accuracy) / (1 + permutations).
        chance: mean accuracy over the permutations. It can be well below the majority: if classes have the same size,
            leaving out a task makes its class the rarest.
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

    The accuracy is that of scikit-learn's LogisticRegression with default settings, as in the paper. The permutation
    test, which the paper does not have, solves the same problem with `metaeval_hub.analysis.leave_one_out`, both for
    the true labels and for the permuted ones.

    Args:
        values: (n, D) features; they are not rescaled.
        labels: (n,) classes from 0.
        permutations: number of permutations of the labels; the smallest possible p-value is 1 / (1 + permutations).
        seed: random seed of the permutations.

    Raises:
        ValueError: there are fewer than two classes or three tasks, or ``permutations`` is below 1.
    """
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    solver, generator = LeaveOneOut(values), np.random.default_rng(seed)
    with threadpool_limits(1):  # with several threads, such small matrices take 20 times as long
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
    """Accuracy of predicting one aspect of the tasks of a group from the tasks of all other groups.

    Only tasks whose class another group also has are counted; the others cannot be predicted.

    Args:
        accuracy: share of these tasks whose class is predicted correctly, in 0..1; nan if there are none.
        majority: share of their most frequent class, the accuracy of one answer for all of them.
        tasks: number of these tasks.
        chance: mean accuracy if the features are reassigned to the tasks at random. It is below the majority if the
            left-out group has other classes than the remaining groups.
        p_value: (1 + number of reassignments that reach the accuracy) / (1 + reassignments).
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
    reassignments: int = REASSIGNMENTS,
    seed: int = 0,
) -> AcrossGroups:
    """Predict an aspect of the tasks of each group from the tasks of the other groups.

    Tasks of one group often share texts, form and aspects, so a probe may merely recognise the group. This probe leaves
    out the whole group, unlike the paper's. As in `probe`, the accuracy is scikit-learn's, and the test solves the same
    problem with `metaeval_hub.analysis.leave_one_out`.

    Args:
        values: (n, D) features; they are not rescaled.
        labels: (n,) classes from 0.
        groups: (n,) number of each task's group.
        reassignments: number of times that the features are assigned to the tasks at random. Classes and groups stay
            unchanged, because they depend on each other.
        seed: random seed of the reassignments.

    Raises:
        ValueError: all tasks are in one group, or ``reassignments`` is below 1.
    """
    if reassignments < 1:
        raise ValueError(f"reassignments must be at least 1, got {reassignments}")
    if len(np.unique(groups)) < 2:
        raise ValueError("all tasks are in one group; probing across groups needs two or more groups")
    known = np.array([(labels[groups != group] == label).any() for label, group in zip(labels, groups, strict=True)])
    if not known.any():
        return AcrossGroups(float("nan"), float("nan"), 0, float("nan"), 1.0)
    solver, generator = LeaveOneOut(values), np.random.default_rng(seed)

    def accuracy(predicted: NDArray[np.integer], order: NDArray[np.integer]) -> float:
        return float((predicted == labels[order])[known[order]].mean())

    with threadpool_limits(1):
        observed = accuracy(leave_out(values, labels, groups), own := np.arange(len(labels)))
        reached_by = accuracy(solver.predict_groups(labels, groups), own)
        orders = [generator.permutation(len(labels)) for _ in range(reassignments)]
        # assigning features to other tasks is the same as assigning tasks, with their class and group, to features
        reassigned = np.array([accuracy(solver.predict_groups(labels[at], groups[at]), at) for at in orders])
    return AcrossGroups(
        accuracy=observed,
        majority=majority(labels[known]),
        tasks=int(known.sum()),
        chance=float(reassigned.mean()),
        p_value=(1 + int((reassigned >= reached_by - 1e-12).sum())) / (1 + reassignments),
    )


def leave_one_out(values: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Predict the class of each of n tasks with scikit-learn's LogisticRegression fitted to the n - 1 others, (n,)."""
    return leave_out(values, labels, np.arange(len(labels)))


def leave_out(
    values: NDArray[np.floating], labels: NDArray[np.integer], groups: NDArray[np.integer]
) -> NDArray[np.integer]:
    """Predict the classes of each group with scikit-learn's LogisticRegression fitted to all other groups, (n,)."""
    found = np.empty_like(labels)
    for group in np.unique(groups):
        inside = groups == group
        if len(np.unique(labels[~inside])) == 1:
            found[inside] = labels[~inside][0]
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # table 4 uses the default number of iterations
            fitted = LogisticRegression().fit(values[~inside], labels[~inside])
        found[inside] = fitted.predict(values[inside])
    return found


def majority(labels: NDArray[np.integer]) -> float:
    """Return the share of the most frequent class, in 0..1."""
    return float(np.bincount(labels).max() / len(labels))
