"""Project task embeddings to two dimensions with PCA or UMAP."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

ProjectionMethod = Literal["pca", "umap"]
LEAST = {"pca": 2, "umap": 5}  # minimum number of tasks for a map


def umap_missing() -> str | None:
    """Return why UMAP cannot be used and how to install it; None if it can. The first import takes seconds."""
    try:
        from umap import UMAP  # noqa: F401 - an unrelated package may be called umap
    except Exception as error:  # numba raises its own errors if the versions of its parts do not match
        return f"umap-learn cannot be imported ({type(error).__name__}: {error}); run: pip install 'metaeval[analysis]'"
    return None


def project(emb: TaskEmbeddings, method: ProjectionMethod = "pca", seed: int = 0) -> NDArray[np.float64]:
    """Reduce task embeddings to the plane (Sileo & Moens 2022, section 5.3).

    Args:
        emb: embeddings of n tasks, at least 2 for PCA and 5 for UMAP.
        method: "pca" (figure 5), or "umap" (figure 3; cosine distance, 10 neighbours, or n - 1 if that is fewer).
        seed: random seed of UMAP; PCA uses none.

    Returns:
        (n, 2) float64.

    Raises:
        ValueError: there are too few tasks for the method, or the method is unknown.
        ImportError: the method is "umap", and UMAP cannot be imported.
    """
    least = LEAST.get(method)
    if least is None:
        raise ValueError(f"method is {method!r}; expected 'pca' or 'umap'")
    if len(emb) < least:
        raise ValueError(f"{method} needs at least {least} tasks, got {len(emb)}")
    values = emb.values.astype(np.float64)
    if method == "pca":
        n_components = min(2, *values.shape)
        points = PCA(n_components=n_components, svd_solver="full").fit_transform(values)
        return np.pad(points, ((0, 0), (0, 2 - n_components)))
    if missing := umap_missing():
        raise ImportError(f"method 'umap' cannot be used: {missing}")
    from umap import UMAP

    neighbours = min(10, len(emb) - 1)
    reducer = UMAP(n_components=2, n_neighbors=neighbours, metric="cosine", random_state=seed, n_jobs=1)
    return np.asarray(reducer.fit_transform(values), dtype=np.float64)
