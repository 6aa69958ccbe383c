"""Classify texts by the names of the classes alone: similarity of text and name in the frozen encoder.

This needs an encoder that embeds a text and a word for its topic close to each other, such as one of
sentence-transformers. It answers topics well, and hardly answers questions such as whether a sentence is grammatical.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from metaeval_hub.encoders.tokens import Text
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.feature_choice import encode_frozen_texts, name_in_words
from metaeval_hub.model.logistic import Array, Linear
from metaeval_hub.safe_files.printable import shown

logger = logging.getLogger(__name__)

SHARE = 4  # a class is described by one in SHARE * C of the texts, those that are most similar to its name
FEWEST = 3  # with fewer texts per class, the names alone are used
SHARPNESS = (
    3.0  # logit per unit of the cosine for a text of average length; 2 to 4 gave the best likelihood on 30 tasks
)


def classify_by_names(model: ModelCore, texts: Sequence[Text], names: Sequence[str]) -> Linear:
    """Return a classifier of the frozen features of texts.

    Args:
        model: a model with a frozen encoder.
        texts: unlabelled texts of the task, or pairs of texts.
        names: of the classes, or words that describe them.

    Raises:
        ValueError: full fine-tuning left no frozen encoder.
    """
    if model.adapter is None:
        raise ValueError("by='names' needs a frozen encoder, and full fine-tuning has changed that of this model")
    words = [name_in_words(name) for name in names]
    _warn_of_equal(names, model.tokenize(words)["input_ids"])
    return compare_with_names(encode_frozen_texts(model, texts), encode_frozen_texts(model, words))


def _warn_of_equal(names: Sequence[str], tokens: Sequence[Sequence[int]]) -> None:
    """Warn if the encoder reads the same tokens for the names of two classes, so that one is never predicted."""
    first: dict[tuple[int, ...], int] = {}
    pairs = [(first.setdefault(tuple(ids), place), place) for place, ids in enumerate(tokens)]
    if equal := [(names[one], names[other]) for one, other in pairs if one != other]:
        more = f" and {len(equal) - 1:,} more" if len(equal) > 1 else ""
        logger.warning(
            "the encoder reads the class names %s and %s%s as the same tokens, so it cannot distinguish these classes; "
            "describe them in other words with labels={class: words}", *map(shown, equal[0]), more,
        )  # fmt: skip


def compare_with_names(texts: NDArray[np.floating], names: NDArray[np.floating]) -> Linear:
    """Return a classifier whose label vectors are the means of the texts that are most similar to each name.

    Texts and names are centred first, because names of classes resemble each other more than they resemble texts. With
    few texts, the label vectors are the centred names.

    Args:
        texts: (k, H) features of unlabelled texts.
        names: (C, H) features of the names.
    """
    texts, names = np.asarray(texts, np.float64), np.asarray(names, np.float64)
    mean = texts.mean(axis=0)
    centred, vectors = _unit(texts - mean), _unit(names - names.mean(axis=0))
    count = len(texts) // (SHARE * len(names))
    if count >= FEWEST:
        similar = centred @ vectors.T
        others = np.stack([np.delete(similar, i, axis=1).max(axis=1) for i in range(len(names))], axis=1)
        nearest = np.argsort(others - similar, axis=0, kind="stable")[:count]  # (count, C)
        vectors = _unit(centred[nearest].mean(axis=0))
    length = float(np.linalg.norm(texts - mean, axis=1).mean()) or float(np.linalg.norm(names, axis=1).mean())
    weight = vectors * (SHARPNESS / length)
    return Linear(weight, -weight @ mean)


def set_classifier(model: ModelCore, name: str, linear: Linear) -> None:
    """Set the classifier of a task that shares no label vectors."""
    with torch.no_grad():
        places = model.heads.table[model.task_id(name), : len(linear.weight)]
        for parameter, values in ((model.heads.weight, linear.weight), (model.heads.bias, linear.bias)):
            parameter[places] = torch.tensor(values, dtype=parameter.dtype, device=parameter.device)


def _unit(values: Array) -> Array:
    """Return vectors of length 1; zeros stay zeros."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(np.divide(values, length, out=np.zeros_like(values), where=length > 0), np.float64)
