"""Cluster tasks into domains: average word vectors and a mixture of Gaussians (Sileo & Moens 2022, section 5.5).

The paper clusters spherical text embeddings (Meng et al. 2019), which it trains for this. Here, the domain vector of a
task is the average of the frozen encoder's input word embeddings, each scaled to length 1, over the words of its texts.
This needs no training and no download, and the same encoder gives the same vectors everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLUSTERS = 8  # number of domains, section 5.5
# Number of axes on which domains are clustered. On 57 real tasks with MiniLM's words, 4 axes gave the same clusters for
# three seeds. 8 and 16 axes did not (adjusted Rand index down to 0.45 between seeds): the tasks are too few for them.
AXES = 4
LEAST_VARIANCE = 0.01  # minimum variance of a cluster, so that none is a point; tasks have variance 1 per axis


def mean_word_vector(counts: NDArray[np.integer], vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the average word vector of a task, scaled to length 1.

    Args:
        counts: (V,) number of times that each token of the vocabulary occurs in the task's texts; 0 for tokens that are
            not words.
        vectors: (V, E) vectors of the tokens; they are scaled to length 1.

    Returns:
        (E,) float32.

    Raises:
        ValueError: no word occurs, or the shapes of the arguments do not fit.
    """
    if counts.shape != vectors.shape[:1]:
        raise ValueError(f"counts of {counts.shape} words do not fit vectors of shape {vectors.shape}")
    used = np.flatnonzero(counts)
    if not len(used):
        raise ValueError("no word of the vocabulary occurs in the texts, so they have no average word vector")
    total = counts[used] @ _unit(np.asarray(vectors[used], np.float64))
    return _unit(total[None])[0].astype(np.float32)


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)


@dataclass(frozen=True, eq=False)
class Domains:
    """Store a mixture of spherical Gaussians over domain vectors that are projected on a few axes.

    Args:
        centre: (E,) mean of the domain vectors that the mixture was fitted to.
        axes: (A, E) principal axes, divided by the spread of the tasks.
        weights: (c,) share of each cluster.
        means: (c, A) mean of each cluster.
        variances: (c,) variance of each cluster.
    """

    centre: NDArray[np.float32]
    axes: NDArray[np.float32]
    weights: NDArray[np.float32]
    means: NDArray[np.float32]
    variances: NDArray[np.float32]

    def activations(self, words: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probability of each cluster for each domain vector.

        Args:
            words: (m, E) domain vectors.

        Returns:
            (m, c); each line sums to 1.
        """
        points = (np.asarray(words, np.float64) - self.centre) @ self.axes.T.astype(np.float64)
        squares = ((points[:, None] - self.means) ** 2).sum(axis=2)
        logs = np.log(self.weights) - 0.5 * (squares / self.variances + self.means.shape[1] * np.log(self.variances))
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)


def fit_domains(words: NDArray[np.floating], clusters: int = CLUSTERS, *, seed: int = 0) -> Domains:
    """Cluster tasks by their domain vectors (section 5.5).

    Args:
        words: (n, E) domain vectors.
        clusters: number of clusters; limited to the number of different vectors.
        seed: seed of the ten starts, the best of which is kept.
    """
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    words = np.asarray(words, np.float64)
    different = len(np.unique(words, axis=0))
    if different < 2:  # one cluster contains everything
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
