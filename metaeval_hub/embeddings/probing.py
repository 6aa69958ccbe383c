"""What can be read from embeddings of tasks: a linear probe (Sileo & Moens 2022, section 5.5, table 4)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from metaeval_hub.embeddings.logistic import LeaveOneOut

PERMUTATIONS = 200


@dataclass(frozen=True)
class Probe:
    """How well one aspect is read from one set of features.

    Args:
        accuracy: share of tasks whose class is read right from the other tasks, in 0..1.
        majority: share of the most frequent class; what one answer for all tasks would reach.
        p_value: probability of such an accuracy if features and aspect had nothing to do with each other, by
            permutation: (1 + permutations that reach it) / (1 + permutations).
        chance: mean accuracy over the permutations. It can lie well below the majority: where classes are of equal
            size, leaving a task out makes its class the rarer one.
        permutations: how many.
    """

    accuracy: float
    majority: float
    p_value: float
    chance: float
    permutations: int


def probe(
    values: NDArray[np.floating], labels: NDArray[np.integer], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Probe:
    """Read an aspect of n tasks from their features, each task from the n - 1 others.

    The accuracy is scikit-learn's LogisticRegression with its defaults, as in the paper. The permutation test, which
    the paper does not have, solves the same problem by `metaeval_hub.embeddings.logistic`, for the true labels as for
    the permuted ones.

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


@dataclass(frozen=True, eq=False)
class AcrossGroups:
    """How well one aspect of the tasks of a group is read from the tasks of all other groups.

    Args:
        correct: (n,) whether the class of a task is read right.
        majority: (n,) whether its class is the most frequent one of the tasks that are known. It is that class and not
            the most frequent one of the other groups, which a group with many tasks of a class of its own can make one
            that no other group has.
        known: (n,) whether its class occurs in other groups at all; where it does not, nothing can read it.
        groups: (n,) number of each task's group.
    """

    correct: NDArray[np.bool_]
    majority: NDArray[np.bool_]
    known: NDArray[np.bool_]
    groups: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of the known tasks that are read right, in 0..1; nan where none is known."""
        return float(self.correct[self.known].mean()) if self.known.any() else float("nan")

    @property
    def majority_accuracy(self) -> float:
        """What one answer for all known tasks would reach."""
        return float(self.majority[self.known].mean()) if self.known.any() else float("nan")


def probe_across(
    values: NDArray[np.floating], labels: NDArray[np.integer], groups: NDArray[np.integer]
) -> AcrossGroups:
    """Read an aspect of the tasks of each group from the tasks of the other groups.

    Tasks of one group often share texts, form and aspects, so that a task can be told by what it has in common with its
    group. Here the group is left out as a whole, which the paper does not do.

    Args:
        values: (n, D) features, used as they are.
        labels: (n,) classes from 0.
        groups: (n,) number of each task's group.

    Raises:
        ValueError: all tasks are of one group.
    """
    if len(np.unique(groups)) < 2:
        raise ValueError("all tasks are of one group; reading across groups needs two or more")
    with threadpool_limits(1):
        correct = leave_out(values, labels, groups) == labels
    known = np.array([(labels[groups != group] == label).any() for label, group in zip(labels, groups, strict=True)])
    frequent = np.bincount(labels[known]).argmax() if known.any() else -1
    return AcrossGroups(correct, labels == frequent, known, np.asarray(groups, np.int64))


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
    """Share of the most frequent class, in 0..1."""
    return float(np.bincount(labels).max() / len(labels))
