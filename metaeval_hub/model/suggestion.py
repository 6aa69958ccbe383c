"""Suggest which unlabelled texts to label next: texts whose class is uncertain and that differ from each other.

The texts are grouped into as many clusters as suggestions are wanted, and the text nearest to each centre is suggested.
With a classifier, the weight of a text is the uncertainty of its class. Without one, all weights are equal, so that the
suggestions are typical texts. benchmarks/suggest.py compares the accuracy with that of labelling random texts.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.encoders.tokens import Text, as_texts
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.feature_choice import Candidate, choose, encode_candidates, encode_texts
from metaeval_hub.model.few_shot import prepare_fit
from metaeval_hub.model.labelled_rows import normal_text
from metaeval_hub.model.logistic import log_softmax
from metaeval_hub.model.prediction import checked_logits
from metaeval_hub.safe_files.names import check_count, check_seed
from metaeval_hub.safe_files.printable import shown

SHOWN_CLASSES = 3
REPEATS = 3  # of k-means, of which the best is used
SMALLEST = 1e-6  # weight of a text whose class is certain
_NAME = "labelled/rows"  # of the task that is fitted and not added


@dataclass(frozen=True)
class Suggestion:
    """One text to label.

    Args:
        place: its place among the given texts.
        text: the text, or pair of texts.
        score: with a classifier, how uncertain its class is: 1 minus the difference of the two highest probabilities.
            Without one, the share of the texts that it stands for. Both in [0, 1].
        classes: the most probable classes with their probabilities, most probable first; empty without a classifier.
    """

    place: int
    text: Text
    score: float
    classes: tuple[tuple[str, float], ...] = ()


def suggest(
    model: ModelCore,
    texts: Sequence[Text],
    count: int = 20,
    *,
    task: str | None = None,
    labelled: Any = None,
    labels: Sequence[str] | None = None,
    without: Sequence[Text] = (),
    seed: int = 0,
    progress: bool = False,
) -> list[Suggestion]:
    """Suggest texts to label, the most uncertain first; without a classifier, those that stand for most texts first.

    Texts that repeat another one or that are labelled already are not suggested; case and blanks do not count.

    Args:
        model: any model.
        texts: the unlabelled texts, or pairs of texts.
        count: number of suggestions.
        task: a task of the model, whose classifier says which texts are uncertain.
        labelled: instead of ``task``: labelled rows, as for ``fit_task``. A classifier is fitted to them, and the model
            does not change. Without both, typical texts are suggested.
        labels: class names of ``labelled``, as for ``fit_task``.
        without: further texts that are not suggested.
        seed: seed of the clusters and folds.
        progress: whether to show a progress bar.

    Raises:
        ValueError: there are fewer texts than ``count``, a text is empty, both ``task`` and ``labelled`` are given, or
            ``count`` or ``seed`` is out of range.
        KeyError: the model has no such task.
        TypeError: an argument has the wrong type, or ``texts`` are pairs and ``labelled`` are not, or the other way
            round.
    """
    if task is not None and labelled is not None:
        raise ValueError(f"both task={task!r} and labelled rows are given; give only one of them")
    if labels is not None and labelled is None:
        raise ValueError("labels= are the class names of labelled rows; give labelled=, or leave labels= out")
    check_count("the number of suggestions", count)
    check_seed(seed)
    count, seed = int(count), int(seed)  # scikit-learn refuses True
    texts, without = as_texts(texts), as_texts(without, "without")
    rows = None if labelled is None else prepare_fit(model, _NAME, labelled, labels)
    if rows is not None and texts:
        _check_same_form(texts[0], rows.rows.texts[0])
    known = {normal_text(each) for each in (*without, *(rows.rows.texts if rows else ()))}
    places = usable_places(texts, known, count)
    usable = [texts[place] for place in places]
    names: Sequence[str] = ()
    probabilities = None
    candidate = Candidate("frozen", frozen=True) if model.adapter is not None else Candidate("adapted")
    features = encode_texts(model, usable, candidate)
    if task is not None:
        logits = checked_logits(model, [task], usable, 32, progress)[task]
        names, probabilities = model.labels[task], logits.double().softmax(dim=-1).numpy()
    elif rows is not None:
        names = rows.rows.names
        encoded = encode_candidates(model, "labelled rows", rows.candidates, rows.rows, progress=progress)
        chosen, linear, _ = choose(rows.candidates, encoded, rows.rows.classes, len(names), seed=seed)
        read = features if chosen.name == candidate.name else encode_texts(model, usable, chosen)
        probabilities = np.exp(log_softmax(linear.logits(read)))
    found, scores = choose_texts(features, count, probabilities, seed=seed)
    return [
        Suggestion(int(places[i]), usable[i], float(score), _most_probable(names, probabilities, i))
        for i, score in zip(found, scores, strict=True)
    ]


def _check_same_form(text: Text, labelled: Text) -> None:
    if isinstance(text, str) is not isinstance(labelled, str):
        forms = [f"single texts ({shown(each)})" if isinstance(each, str) else f"pairs ({shown(each)})"
                 for each in (text, labelled)]  # fmt: skip
        raise TypeError(f"the texts are {forms[0]}, and the labelled rows are {forms[1]}; give both in the same form")


def usable_places(texts: Sequence[Text], known: Collection[Any], count: int) -> NDArray[np.int64]:
    """Return the places of the texts that can be suggested: the first of equal texts, and no labelled ones.

    Args:
        texts: the unlabelled texts.
        known: texts that are not suggested, as ``normal_text`` returns them.
        count: number of texts that are needed.

    Raises:
        ValueError: a text is empty, or there are too few.
    """
    seen, places = set(known), []
    labelled = 0
    for place, text in enumerate(texts):
        key = normal_text(text)
        if not all(key):
            raise ValueError(f"text {place} is empty; leave texts without words out")
        labelled += key in known
        if key not in seen:
            seen.add(key)
            places.append(place)
    if len(places) < count:
        repeated = len(texts) - len(places) - labelled
        raise ValueError(
            f"{count:,} suggestions are wanted, and {len(places):,} of {len(texts):,} texts can be suggested "
            f"({repeated:,} repeat another text, {labelled:,} are labelled already); ask for fewer, or give more texts"
        )
    return np.array(places, np.int64)


def choose_texts(
    features: NDArray[np.floating],
    count: int,
    probabilities: NDArray[np.floating] | None = None,
    *,
    seed: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose texts that represent all others, or those whose class is uncertain, by k-means.

    Args:
        features: (k, H) features of the texts.
        count: number of texts, at most k.
        probabilities: (k, C) of the classes; None without a classifier.
        seed: seed of k-means.

    Returns:
        Places (count,) and scores (count,), highest score first; ``Suggestion.score`` defines the score.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    values = np.asarray(features, np.float64)
    values = values - values.mean(axis=0)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
    doubt = None if probabilities is None else uncertainty(probabilities)
    weights = None if doubt is None else doubt + SMALLEST
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of fewer different features than clusters
        fitted = KMeans(count, n_init=REPEATS, random_state=seed).fit(values, sample_weight=weights)
    distance = ((values - fitted.cluster_centers_[fitted.labels_]) ** 2).sum(axis=1)
    order = np.lexsort((distance, fitted.labels_))
    first = order[np.unique(fitted.labels_[order], return_index=True)[1]]
    # Fewer clusters than texts are left if features are equal; the most uncertain texts, or the first, fill the rest.
    others = np.setdiff1d(np.arange(len(values)), first)
    if doubt is not None:
        others = others[np.argsort(-doubt[others], kind="stable")]
    found = np.concatenate([first, others[: count - len(first)]])
    if doubt is None:
        sizes = np.bincount(fitted.labels_, minlength=count)[fitted.labels_]
        scores = np.where(np.isin(np.arange(len(values)), first), sizes, 1) / len(values)
    else:
        scores = doubt
    found = found[np.argsort(-scores[found], kind="stable")]
    return found, scores[found]


def uncertainty(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return 1 minus the difference of the two highest probabilities of each text, (k,)."""
    highest = np.sort(np.asarray(probabilities, np.float64), axis=1)[:, -2:]
    return np.asarray(1 - (highest[:, 1] - highest[:, 0]), np.float64)


def _most_probable(
    names: Sequence[str], probabilities: NDArray[np.floating] | None, place: int
) -> tuple[tuple[str, float], ...]:
    if probabilities is None:
        return ()
    own = probabilities[place]
    return tuple((names[i], float(own[i])) for i in np.argsort(-own, kind="stable")[:SHOWN_CLASSES])
