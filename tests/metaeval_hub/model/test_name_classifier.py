"""Classes are answered by the texts that are most similar to their names."""

import numpy as np
import pytest

from metaeval_hub.model.name_classifier import SHARPNESS, compare_with_names

GENERATOR = np.random.default_rng(0)


def test_texts_that_resemble_a_name_teach_the_rest_of_their_class():
    """The name points only to the first dimension of its class; most texts of the class also have the second."""
    classes = np.arange(200) % 2
    texts = 0.1 * GENERATOR.normal(size=(200, 6)) + 5
    texts[np.arange(200), classes] += np.where(np.arange(200) < 60, 1.0, 0.0)
    texts[np.arange(200), 2 + classes] += 1.0
    names = np.eye(2, 6)
    late = np.arange(200) >= 60
    few, many = compare_with_names(texts[:20], names), compare_with_names(texts, names)
    assert (few.logits(texts[late]).argmax(axis=1) == classes[late]).mean() < 0.8
    assert (many.logits(texts).argmax(axis=1) == classes).mean() > 0.99


def test_logits_are_cosines_for_texts_of_average_length():
    texts = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) + 7
    linear = compare_with_names(texts, np.array([[3.0, 0.0], [1.0, 0.0]]))
    assert linear.logits(texts) == pytest.approx(SHARPNESS * np.array([[1, -1], [-1, 1], [0, 0], [0, 0]]))


def test_equal_texts_or_names_give_finite_classifiers():
    linear = compare_with_names(np.ones((5, 3)), np.ones((2, 3)))
    assert np.isfinite(linear.weight).all()
    assert linear.logits(np.ones((1, 3))).tolist() == [[0, 0]]
