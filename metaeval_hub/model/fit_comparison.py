"""Estimate how well a fit works, by cross-validation of the whole fit, and compare it with simple models.

Each fold repeats the whole fit: the features and C are chosen on the other folds only, so the accuracy is not
optimistic. With many rows and classes this would take minutes. The choice is then made once on all rows, and only the
classifier is fitted in each fold; the report says so (``nested``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.feature_choice import FitReport, choose, comparable, encode_frozen_texts
from metaeval_hub.model.few_shot import PreparedFit
from metaeval_hub.model.labelled_rows import LabelledRows, normal_text
from metaeval_hub.model.logistic import fit_logistic, folds_by_group, log_softmax, stratified_folds
from metaeval_hub.model.prediction import checked_logits
from metaeval_hub.model.simple_models import (
    TFIDF_C,
    Places,
    Probabilities,
    choose_probe,
    predict_majority,
    predict_probe,
    predict_tfidf,
)
from metaeval_hub.utils.progress import progress_bar

FIT, MAJORITY, TFIDF, PROBE = "fit", "majority", "tfidf", "probe"
FOLDS, FOLDS_OF_FEW_ROWS, FEW_ROWS = 5, 10, 100
MOST_ROWS = 1000  # cross-validation scores at most this many rows, drawn at random
MOST_WORK = 12_000  # rows times classes up to which every fold repeats the choice of features and C

Method = Callable[[Places, Places], Probabilities]  # (rows to learn from, rows to predict) -> (m, C)


@dataclass(frozen=True, eq=False)
class MethodScores:
    """The predictions of one method for rows that it did not learn from.

    Args:
        probabilities: (k, C) by cross-validation, in the order of ``FitComparison.rows``.
        correct: (k,) whether the most probable class is the given one.
        test: (t,) whether the class of each test row is predicted correctly, if it is fitted to all labelled rows;
            None without test rows.
    """

    probabilities: Probabilities
    correct: NDArray[np.bool_]
    test: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class FitComparison:
    """How well a fit predicts rows that it was not fitted to, next to simple models on the same folds.

    Args:
        rows: places of the scored rows among the labelled rows.
        folds: number of folds; rows with equal texts and rows of one group share a fold. 0: the rows are too few to
            estimate accuracy.
        nested: whether features and C were chosen in each fold; otherwise once on all rows, which is optimistic.
        methods: "fit", "majority", "tfidf" and "probe" -> scores; no "probe" if full fine-tuning left no frozen
            encoder. Empty if there are no folds.
    """

    rows: Places
    folds: int
    nested: bool
    methods: Mapping[str, MethodScores] = field(default_factory=dict)


def compare_fit(
    model: ModelCore,
    prepared: PreparedFit,
    features: Mapping[str, NDArray[np.float32]],
    report: FitReport,
    *,
    test: LabelledRows | None = None,
    seed: int = 0,
    progress: bool = False,
) -> FitComparison:
    """Cross-validate a fit and simple models.

    Args:
        model: the model, to which the task was added.
        prepared: the task, as it was fitted. Rows of one of its groups share a fold.
        features: result of ``encode_candidates``.
        report: result of ``add_fitted``.
        test: rows that were not used for fitting.
        seed: seed of the folds.
        progress: whether to show a progress bar.
    """
    rows, count = prepared.rows, len(prepared.rows.names)
    if not comparable(rows.classes):
        return FitComparison(np.arange(0), 0, True)
    scored = np.sort(np.random.default_rng(seed).permutation(len(rows.texts))[:MOST_ROWS])
    nested = len(scored) * count <= MOST_WORK
    methods = _methods(model, prepared, features, None if nested else report, seed)
    fold = _folds(rows, scored, prepared.groups, seed)
    if not fold.any():  # all texts are equal, or all rows are in one group
        return FitComparison(np.arange(0), 0, True)
    found = {name: np.zeros((len(scored), count)) for name in methods}
    for number in progress_bar(range(fold.max() + 1), "cross-validation", "fold", shown=progress):
        train, predicted = scored[fold != number], scored[fold == number]
        for name, method in methods.items():
            found[name][fold == number] = method(train, predicted)
    on_test = {} if test is None else _test(model, prepared, features, test, nested, seed)
    truth = rows.classes[scored]
    scores = {name: MethodScores(each, each.argmax(axis=1) == truth, on_test.get(name)) for name, each in found.items()}
    return FitComparison(scored, int(fold.max()) + 1, nested, scores)


def _methods(
    model: ModelCore,
    prepared: PreparedFit,
    features: Mapping[str, NDArray[np.float32]],
    report: FitReport | None,
    seed: int,
) -> dict[str, Method]:
    """Return the methods to compare; if a report is given, they keep the choices that were made on all rows."""
    texts, classes, count = prepared.rows.texts, prepared.rows.classes, len(prepared.rows.names)
    options: dict[str, Any] = {"groups": prepared.groups, "seed": seed}
    found: dict[str, Method] = {
        FIT: partial(_predict_fit, prepared, features, report, seed),
        MAJORITY: partial(predict_majority, classes, count),
        TFIDF: partial(predict_tfidf, texts, classes, count, strength=None if report is None else TFIDF_C, **options),
    }
    if "frozen" in features:
        frozen = features["frozen"][: len(texts)]
        strength = None if report is None else choose_probe(frozen, classes, count, **options)
        found[PROBE] = partial(predict_probe, frozen, classes, count, strength=strength, **options)
    return found


def _predict_fit(
    prepared: PreparedFit,
    features: Mapping[str, NDArray[np.float32]],
    report: FitReport | None,
    seed: int,
    train: Places,
    predicted: Places,
) -> Probabilities:
    """Return the predictions of the fit, which repeats the choice of features and C unless a report is given."""
    classes, count = prepared.rows.classes, len(prepared.rows.names)
    if report is None:
        chosen, linear, _ = choose(
            prepared.candidates, features, classes, count, chosen_rows=train, groups=prepared.groups, seed=seed
        )
    else:
        chosen = next(each for each in prepared.candidates if each.name == report.features)
        used = np.concatenate([train, len(classes) + np.arange(count)])
        targets = np.concatenate([classes[train], np.arange(count)])
        strength = report.candidates[chosen.name].strength
        linear = fit_logistic(features[chosen.name][used], targets, count, strength, prior=chosen.prior)
    return np.exp(log_softmax(linear.logits(features[chosen.name][predicted])))


def _folds(rows: LabelledRows, scored: Places, groups: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    """Return the fold of each scored row, (k,); the classes are spread over the folds.

    Rows with equal texts share a fold, rows of one group do, and so do rows that are linked by several of these.
    """
    keys: dict[Any, int] = {}
    texts = np.array([keys.setdefault(normal_text(rows.texts[i]), len(keys)) for i in scored])
    number = FOLDS_OF_FEW_ROWS if len(scored) <= FEW_ROWS else FOLDS
    if groups is not None:
        return folds_by_group(rows.classes[scored], _linked(texts, groups[scored]), number, seed)
    first = np.unique(texts, return_index=True)[1]
    return stratified_folds(rows.classes[scored][first], np.random.default_rng(seed), number)[texts]


def _linked(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number per row, (k,), equal for rows that are linked by equal numbers in either array."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    other = np.unique(other, return_inverse=True)[1]
    size = int(one.max()) + 1
    edges = coo_matrix((np.ones(len(one)), (one, size + other)), shape=(size + int(other.max()) + 1,) * 2)
    return np.asarray(connected_components(edges, directed=False)[1][one], np.int64)


def _test(
    model: ModelCore,
    prepared: PreparedFit,
    features: Mapping[str, NDArray[np.float32]],
    test: LabelledRows,
    nested: bool,
    seed: int,
) -> dict[str, NDArray[np.bool_]]:
    """Return which test rows each method predicts correctly after learning from all labelled rows."""
    rows, count = prepared.rows, len(prepared.rows.names)
    train, places = np.arange(len(rows.texts)), len(rows.texts) + np.arange(len(test.texts))
    texts, classes = [*rows.texts, *test.texts], np.concatenate([rows.classes, test.classes])
    options: dict[str, Any] = {"groups": prepared.groups, "seed": seed}
    strength = None if nested else TFIDF_C
    found = {
        FIT: checked_logits(model, [prepared.name], test.texts, 32, False)[prepared.name].numpy(),
        MAJORITY: predict_majority(classes, count, train, places),
        TFIDF: predict_tfidf(texts, classes, count, train, places, strength=strength, **options),
    }
    if "frozen" in features:
        frozen = np.concatenate([features["frozen"][: len(rows.texts)], encode_frozen_texts(model, test.texts)])
        found[PROBE] = predict_probe(frozen, classes, count, train, places, **options)
    return {name: each.argmax(axis=1) == test.classes for name, each in found.items()}
