"""Table on how well z of a task is predicted without training on it (Sileo & Moens 2022, section 5.6, eq. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.analysis.embedded_runs import EmbeddedRun
from metaeval_hub.analysis.probing import common_tasks
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings
from metaeval_hub.task_data.task_features import TaskFeatures
from metaeval_hub.task_data.z_prediction import cosines, mean_of_type, predict_each


def prediction(runs: Sequence[EmbeddedRun], features: TaskFeatures, vectors: Mapping[str, TaskEmbeddings]) -> Table:
    """Return how well z of a task is predicted from other tasks: by ridge on aspects or vectors, and by means.

    Args:
        runs: each by itself; figures are averaged.
        features: say the aspects.
        vectors: name -> a vector a task, such as TextEmb.

    Raises:
        ValueError: they have fewer than 4 tasks in common.
    """
    tasks = common_tasks(runs, features, vectors, least=4)
    chosen = features.select(tasks)
    matrices = {"ridge from aspects": chosen.code()}
    matrices |= {f"ridge from {name}": each.select(tasks).values for name, each in vectors.items()}
    kinds = [entry.type.value for entry in chosen.aspects]
    found: dict[str, list[dict[str, float | None]]] = {}
    for run in runs:
        z = run.select(tasks).embeddings.centroids().values.astype(np.float64)
        mean, of_type = _means(z, kinds)
        guesses = {"mean of the other tasks": mean, "mean of the other tasks of its type": of_type}
        guesses |= {name: predict_each(matrix, z) for name, matrix in matrices.items()}
        for name, guess in guesses.items():
            found.setdefault(name, []).append(_quality(z, guess, mean))
    rows = [{"method": name, **_summary(each)} for name, each in found.items()]
    columns = (
        Column("method", "z predicted by"),
        Column("explained", "variance explained %", "percent", "explained_std"),
        Column("cosine", "cosine with z", "number", "cosine_std"),
        Column("rank", "rank of the task", "number", "rank_std"),
    )
    notes = (
        f"Each of {len(tasks)} tasks is predicted from the others, which also give the ridge penalty by "
        "leave-one-out. Explained: 1 minus the squared error divided by that of the mean of the others.",
        f"Rank: position of the task among all tasks, by cosine of their z with the prediction, both minus the mean of "
        f"z; {(len(tasks) + 1) / 2:.1f} by chance, 1 at best.",
    )
    facts = {"runs": [run.place for run in runs], "tasks": tasks}
    return Table("Task embeddings predicted for tasks left out", columns, tuple(rows), notes, facts)


def _means(z: NDArray[np.float64], kinds: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of the other tasks, and of those of the type (of all where there is none), for each task: (n, Z) each."""
    means, of_type = [], []
    for row, kind in enumerate(kinds):
        others = np.arange(len(z)) != row
        rest = [other for place, other in enumerate(kinds) if place != row]
        means.append(z[others].mean(axis=0))
        of_type.append(mean_of_type(z[others], rest, kind) if kind in rest else means[-1])
    return np.stack(means), np.stack(of_type)


def _quality(z: NDArray[np.float64], guess: NDArray[np.float64], mean: NDArray[np.float64]) -> dict[str, float | None]:
    error, base = ((z - guess) ** 2).sum(axis=1).mean(), ((z - mean) ** 2).sum(axis=1).mean()
    centre = z.mean(axis=0)
    near = [cosines(z - centre, (each - centre)[None]) for each in guess]
    ranks = [1 + int((similarity > similarity[row]).sum()) for row, similarity in enumerate(near)]
    return {
        "explained": float(1 - error / base),
        "cosine": float(cosines(z, guess).mean()),
        # the mean of the others lies, by its making, opposite to the task left out
        "rank": None if guess is mean else float(np.mean(ranks)),
    }


def _summary(found: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Mean and standard deviation of each figure over runs."""
    row: dict[str, float | None] = {}
    for key in found[0]:
        values = [value for one in found if (value := one[key]) is not None]
        row[key] = float(np.mean(values)) if values else None
        row[f"{key}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return row
