"""Predict the classes of texts with models that need no training of an encoder, to compare a fitted task with.

Each function gets places of rows to learn from and places of rows to predict, so that all methods share their folds.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.encoders.tokens import Text
from metaeval_hub.model.feature_choice import UNCHOSEN_C, comparable
from metaeval_hub.model.logistic import (
    LEAST_LOG,
    cross_validate,
    draw_folds,
    fit_logistic,
    log_softmax,
)

Places = NDArray[np.int64]
Probabilities = NDArray[np.float64]

TFIDF_GRID = (1.0, 10.0, 100.0)
TFIDF_C = 10.0  # where nothing is chosen
MAX_WORDS = 100_000  # columns of TF-IDF per text field
WORD = r"(?u)\b\w+\b|[^\w\s]"  # punctuation marks count as words, because they indicate irony and questions


def predict_majority(classes: NDArray[np.int64], count: int, train: Places, predicted: Places) -> Probabilities:
    """Return the shares of the classes among the training rows, for each predicted row: (m, C).

    Args:
        classes: (k,) class of each row.
        count: number of classes.
        train: places of the rows to learn from.
        predicted: places of the m rows to predict.
    """
    shares = np.bincount(classes[train], minlength=count) / len(train)
    return np.tile(shares, (len(predicted), 1))


def predict_probe(
    features: NDArray[np.float32],
    classes: NDArray[np.int64],
    count: int,
    train: Places,
    predicted: Places,
    *,
    strength: float | None = None,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Probabilities:
    """Return the predictions of a logistic regression on features, (m, C).

    Args:
        features: (k, H) features of all rows.
        classes: (k,) class of each row.
        count: number of classes.
        train: places of the rows to learn from.
        predicted: places of the m rows to predict.
        strength: C; None chooses it by cross-validation on the training rows.
        groups: (number of all rows,) equal for the rows of a group, which share a fold of this cross-validation.
        seed: seed of the folds of this cross-validation.
    """
    if strength is None:
        strength = choose_probe(features[train], classes[train], count, groups=_of(groups, train), seed=seed)
    linear = fit_logistic(features[train], classes[train], count, strength)
    return np.exp(log_softmax(linear.logits(features[predicted])))


def choose_probe(
    features: NDArray[np.float32],
    classes: NDArray[np.int64],
    count: int,
    *,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> float:
    """Return the C of a logistic regression with the best likelihood in cross-validation; groups share a fold."""
    if not comparable(classes, groups):
        return UNCHOSEN_C
    return cross_validate(features, classes, count, groups=groups, seed=seed).strength


def _of(groups: NDArray[np.int64] | None, places: Places) -> NDArray[np.int64] | None:
    return None if groups is None else groups[places]


def predict_tfidf(
    texts: Sequence[Text],
    classes: NDArray[np.int64],
    count: int,
    train: Places,
    predicted: Places,
    *,
    strength: float | None = None,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Probabilities:
    """Return the predictions of a logistic regression on TF-IDF of words and pairs of neighbouring words, (m, C).

    Args:
        texts: all texts; the two texts of a pair have separate columns.
        classes: (k,) class of each row.
        count: number of classes.
        train: places of the rows to learn from, of which the words are known.
        predicted: places of the m rows to predict.
        strength: C; None chooses it by cross-validation on the training rows.
        groups: (number of all rows,) equal for the rows of a group, which share a fold of this cross-validation.
        seed: seed of the folds of this cross-validation.
    """
    known, others = _tfidf([texts[i] for i in train], [texts[i] for i in predicted])
    own = classes[train]
    if strength is None:
        within = _of(groups, train)
        strength = _choose_tfidf(known, own, count, within, seed) if comparable(own, within) else TFIDF_C
    return _fit_tfidf(known, own, count, strength, others)


def _tfidf(train: Sequence[Text], predicted: Sequence[Text]) -> tuple[Any, Any]:
    """Return the TF-IDF of texts as sparse matrices (k, columns) and (m, columns)."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    found = []
    fields = 1 if isinstance(train[0], str) else 2
    for place in range(fields):
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=MAX_WORDS, token_pattern=WORD)
        known, others = ([text if fields == 1 else text[place] for text in texts] for texts in (train, predicted))
        try:
            found.append((vectorizer.fit_transform(known), vectorizer.transform(others)))
        except ValueError:  # no text has a word
            found.append((sparse.csr_matrix((len(known), 1)), sparse.csr_matrix((len(others), 1))))
    return tuple(sparse.csr_matrix(sparse.hstack(parts)) for parts in zip(*found, strict=True))  # type: ignore[return-value]


def _choose_tfidf(
    features: Any, classes: NDArray[np.int64], count: int, groups: NDArray[np.int64] | None, seed: int
) -> float:
    """Return the C with the best likelihood in cross-validation; in a tie, the smallest."""
    fold, scores = draw_folds(classes, np.random.default_rng(seed), groups), np.zeros(len(TFIDF_GRID))
    for number in range(fold.max() + 1):
        test = fold == number
        for i, strength in enumerate(TFIDF_GRID):
            found = _fit_tfidf(features[~test], classes[~test], count, strength, features[test])
            own = found[np.arange(len(found)), classes[test]]
            scores[i] += np.log(np.maximum(own, np.exp(LEAST_LOG))).sum()
    return TFIDF_GRID[int(scores.argmax())]


def _fit_tfidf(features: Any, classes: NDArray[np.int64], count: int, strength: float, predicted: Any) -> Probabilities:
    """Fit a logistic regression and return its predictions, (m, C)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((predicted.shape[0], count))
    known = np.unique(classes)
    if len(known) == 1:
        found[:, known[0]] = 1.0
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(features, classes)
    found[:, model.classes_] = model.predict_proba(predicted)
    return found
