"""Two coordinates a task, from its embedding, to draw it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

ProjectionMethod = Literal["pca", "umap"]
LEAST = {"pca": 2, "umap": 5}  # tasks that a map needs


def umap_missing() -> str | None:
    """Why UMAP cannot be used, and what brings it; None where it can. Importing it takes seconds the first time."""
    try:
        from umap import UMAP  # noqa: F401 - another package, or a part of it, may have the name
    except Exception as error:  # numba raises errors of its own where its parts do not fit
        return f"umap-learn cannot be imported ({type(error).__name__}: {error}); run: pip install 'metaeval[analysis]'"
    return None


def project(emb: TaskEmbeddings, method: ProjectionMethod = "pca", seed: int = 0) -> NDArray[np.float64]:
    """Reduce task embeddings to the plane (Sileo & Moens 2022, section 5.3).

    Args:
        emb: n tasks; at least 2 for PCA, 5 for UMAP.
        method: "pca" (figure 5), or "umap" (figure 3; cosine, 10 neighbours or fewer where there are fewer tasks).
        seed: of the UMAP; PCA has none.

    Returns:
        (n, 2) float64.

    Raises:
        ValueError: there are too few tasks for the method, or the method is unknown.
        ImportError: UMAP is asked for and not installed.
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
