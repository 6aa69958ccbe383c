"""Table on the geometry of task embeddings (Sileo & Moens 2022, section 5.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from metaeval_hub.analysis.controls import describe_distances, permuted_tasks
from metaeval_hub.analysis.embedded_runs import EmbeddedRun
from metaeval_hub.analysis.neighbours import NEIGHBOURS
from metaeval_hub.analysis.projection import ProjectionMethod, project
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings


def geometry(run: EmbeddedRun, method: ProjectionMethod, seed: int = 0) -> Table:
    """Return the coordinates of each task, and its distance from the centre (figures 3 to 5).

    If tasks have K embeddings, all of them are projected together, and a task is placed at the centroid of its points.
    The points are stored under the keys x1, y1, x2, ... of its record.

    Args:
        run: run whose z is projected.
        method: projection; UMAP compares z by cosine.
        seed: random seed of UMAP.

    Raises:
        ValueError, ImportError: see ``project``.
    """
    emb = run.embeddings
    names, copies = emb.names, emb.copies
    projected, count = emb, 1
    if copies is not None and copies.shape[1] > 1:
        n, count, size = copies.shape
        labels = tuple(f"{name} {k + 1}" for name in names for k in range(count))
        projected = TaskEmbeddings(labels, copies.reshape(n * count, size))
    points = project(projected, method, seed)
    points_of = points.reshape(len(names), count, 2)  # (n, K, 2)
    own_points: list[dict[str, float]] = [{} for _ in names]
    if count > 1:
        own_points = [
            {f"{axis}{k + 1}": float(p[k, i]) for k in range(count) for i, axis in enumerate("xy")} for p in points_of
        ]
    places = points_of.mean(axis=1)
    distances = emb.centroids().distances_from_centre()
    records = [
        {"task": name, "type": kind, "x": float(x), "y": float(y), "distance": float(distance), **more}
        for name, kind, (x, y), distance, more in zip(names, run.kinds, places, distances, own_points, strict=True)
    ]
    columns = (
        *(Column("task", "task"), Column("type", "task type")),
        *(Column("distance", "distance from centre", "number"), Column("x", "x", "number"), Column("y", "y", "number")),
    )
    projection = (
        "PCA" if method == "pca" else f"UMAP (cosine, {min(NEIGHBOURS, len(names) - 1)} neighbours, seed {seed})"
    )
    notes = [
        f"{projection} of z. The paper uses the distance from the centre, in the space of z, as a measure of how "
        "specific a task is."
    ]
    if count > 1:
        notes.append(f"Each task has {count} embeddings and is placed at their centroid.")
    notes.append(_on_distances(emb))
    facts: dict[str, Any] = {"run": run.place, "method": method, "seed": seed}
    if method == "pca":
        total = projected.values.astype(np.float64).var(axis=0).sum()
        facts["explained"] = (points.var(axis=0) / (total or 1.0)).tolist()
    notes.append(f"Run: {run.name}.")
    title = f"Map of {len(names)} tasks by their embeddings z"
    return Table(title, columns, tuple(sorted(records, key=lambda record: -record["distance"])), tuple(notes), facts)


def _on_distances(emb: TaskEmbeddings) -> str:
    permuted = permuted_tasks(emb)
    if permuted is None:
        return (
            "Whether that distance means anything was not measured, because the run has no tasks with permuted labels "
            "(--permuted-tasks)."
        )
    return f"Judged by tasks without information, {describe_distances(permuted)}."
