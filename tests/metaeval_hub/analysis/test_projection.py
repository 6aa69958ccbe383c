"""Projections to two dimensions: PCA agrees with a singular value decomposition; wrong requests are refused."""

import numpy as np
import pytest
from numpy.linalg import svd

from metaeval_hub import TaskEmbeddings
from metaeval_hub.analysis.projection import project

RNG = np.random.default_rng(0)
EMB = TaskEmbeddings(tuple(f"g/{i}" for i in range(12)), RNG.normal(size=(12, 6)).astype(np.float32))


def test_pca_agrees_with_a_singular_value_decomposition():
    values = EMB.values.astype(np.float64)
    left, scale, _ = svd(values - values.mean(axis=0), full_matrices=False)
    expected = left[:, :2] * scale[:2]
    found = project(EMB, "pca")
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-6)


def test_projections_refuse_too_few_tasks_and_unknown_methods():
    with pytest.raises(ValueError, match="umap needs at least 5 tasks, got 3"):
        project(EMB.select(EMB.names[:3]), "umap")
    with pytest.raises(ValueError, match="expected 'pca' or 'umap'"):
        project(EMB, "tsne")
