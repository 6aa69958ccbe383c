"""Embeddings at their random start are refused; a warning states how close others are."""

import numpy as np
import pytest

from metaeval_hub.analysis.distance_from_start import StillAtStartError, check_start_cosines, start_cosines
from metaeval_hub.analysis.neighbours import nearest_vectors


def test_cosines_with_the_start_are_averaged_over_the_embeddings_of_a_task():
    start = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
    end = np.array([[[2.0, 0.0], [3.0, 0.0]], [[-1.0, 0.0], [0.0, 0.0]]])
    assert start_cosines(start, end).tolist() == [0.5, -0.5]
    assert start_cosines(start[:, 0], end[:, 0]).tolist() == [1.0, -1.0]
    with pytest.raises(ValueError, match="expected the same"):
        start_cosines(start, end[:1])


def test_embeddings_at_their_start_are_refused_unless_forced():
    with pytest.raises(
        StillAtStartError, match=r"runs/a: z is still at its random start \(mean cos\(z, z0\) 0.95, above 0.9"
    ):
        check_start_cosines(np.full(5, 0.95), "runs/a")
    assert "show noise" in check_start_cosines(np.full(5, 0.95), "runs/a", force=True)


def test_embeddings_near_their_start_give_a_warning():
    assert "about 64% of its squared length" in check_start_cosines(np.full(5, 0.8), "runs/a")
    assert check_start_cosines(np.full(5, 0.3), "runs/a") is None
    assert "the distance of z from its random start is not stored" in check_start_cosines(None, "runs/a")


def test_refused_embeddings_have_mostly_the_neighbours_of_their_start():
    """Simulate training that pulls tasks of eight types towards the centre of their type."""
    rng = np.random.default_rng(0)
    kinds = np.arange(96) % 8
    start = rng.normal(size=(96, 32))
    learned = rng.normal(size=(8, 32))[kinds]

    def of_start(cosine):
        values = cosine * start / np.linalg.norm(start, axis=1, keepdims=True)
        values += np.sqrt(1 - cosine**2) * learned / np.linalg.norm(learned, axis=1, keepdims=True)
        near, before = nearest_vectors(values, 10), nearest_vectors(start, 10)
        same_type = (kinds[near] == kinds[:, None]).mean()
        return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(near, before, strict=True)]), same_type

    kept, same_type = of_start(0.92)
    assert kept > 0.5 > same_type
    kept, same_type = of_start(0.6)
    assert kept < 0.3 < 0.9 < same_type
