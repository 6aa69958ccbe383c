"""Domains of tasks: average word vectors, clustered by a mixture of Gaussians (Sileo & Moens 2022, section 5.5).

The paper's domains are clusters of spherical text embeddings (Meng et al. 2019), trained for the purpose. Here a task's
domain vector is the average of the frozen encoder's own input word embeddings, each of length 1, over the words of its
texts: nothing has to be trained or fetched, and the same encoder gives the same vectors everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLUSTERS = 8  # of domains, section 5.5
# Axes on which domains are clustered. On 57 real tasks and MiniLM's words 4 axes gave the same clusters from three
# seeds; 8 and 16 did not (adjusted Rand index down to 0.45 between seeds): too few tasks for so many dimensions.
AXES = 4
LEAST_VARIANCE = 0.01  # of a cluster, where the tasks have variance 1 an axis: no cluster is a point


def mean_word_vector(counts: NDArray[np.integer], vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Average word vector of a task, of length 1.

    Args:
        counts: (V,) how often each word of the vocabulary occurs in the task's texts; 0 for what is no word.
        vectors: (V, E) vectors of the words; each counts with length 1.

    Returns:
        (E,) float32.

    Raises:
        ValueError: no word occurs, or the two do not fit.
    """
    if counts.shape != vectors.shape[:1]:
        raise ValueError(f"counts of {counts.shape} words do not fit vectors of shape {vectors.shape}")
    used = np.flatnonzero(counts)
    if not len(used):
        raise ValueError("no word occurs: there is no average")
    total = counts[used] @ _unit(np.asarray(vectors[used], np.float64))
    return _unit(total[None])[0].astype(np.float32)


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)


@dataclass(frozen=True, eq=False)
class Domains:
    """A mixture of spherical Gaussians over domain vectors, reduced to a few axes.

    Args:
        centre: (E,) mean of the vectors it was fitted to.
        axes: (A, E) principal axes, divided by the spread of the tasks.
        weights: (c,) share of each cluster.
        means: (c, A).
        variances: (c,).
    """

    centre: NDArray[np.float32]
    axes: NDArray[np.float32]
    weights: NDArray[np.float32]
    means: NDArray[np.float32]
    variances: NDArray[np.float32]

    def activations(self, words: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probability of each cluster for domain vectors (m, E): (m, c), rows sum to 1."""
        points = (np.asarray(words, np.float64) - self.centre) @ self.axes.T.astype(np.float64)
        squares = ((points[:, None] - self.means) ** 2).sum(axis=2)
        logs = np.log(self.weights) - 0.5 * (squares / self.variances + self.means.shape[1] * np.log(self.variances))
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)


def fit_domains(words: NDArray[np.floating], clusters: int = CLUSTERS, *, seed: int = 0) -> Domains:
    """Cluster tasks by their domain vectors (section 5.5).

    Args:
        words: (n, E).
        clusters: at most as many as there are different vectors.
        seed: of the best of ten starts.
    """
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    words = np.asarray(words, np.float64)
    different = len(np.unique(words, axis=0))
    if different < 2:  # nothing to tell apart
        one = np.ones(1, np.float32)
        return Domains(words[0].astype(np.float32), np.zeros((1, words.shape[1]), np.float32), one, 0 * one[None], one)
    size = max(min(AXES, len(words) - 1, words.shape[1]), 1)
    reduced = PCA(size, svd_solver="full").fit(words)
    spread = float(np.sqrt(reduced.explained_variance_.mean()))
    axes = reduced.components_ / (spread or 1.0)
    mixture = GaussianMixture(
        min(clusters, different), covariance_type="spherical", reg_covar=LEAST_VARIANCE, n_init=10, random_state=seed
    ).fit((words - reduced.mean_) @ axes.T)
    found = (reduced.mean_, axes, mixture.weights_, mixture.means_, mixture.covariances_)
    return Domains(*(np.asarray(each, np.float32) for each in found))
