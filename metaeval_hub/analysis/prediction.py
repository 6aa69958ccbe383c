"""Table on how well the z of a task is predicted without training on it (Sileo & Moens 2022, section 5.6, eq. 3)."""

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
    """Return how well the z of each task is predicted from other tasks: by ridge regression, and by means of their z.

    Args:
        runs: each run is analysed separately; the scores are averaged.
        features: features with the aspects of the tasks.
        vectors: name -> vectors per task, such as TextEmb.

    Raises:
        ValueError: runs, features and vectors have fewer than 4 tasks in common.
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
        predictions = {"mean of the other tasks": mean, "mean of the other tasks of its type": of_type}
        predictions |= {name: predict_each(matrix, z) for name, matrix in matrices.items()}
        for name, predicted in predictions.items():
            found.setdefault(name, []).append(_quality(z, predicted, mean))
    records = [{"method": name, **_summary(each)} for name, each in found.items()]
    columns = (
        Column("method", "z predicted by"),
        Column("explained", "variance explained %", "percent", "explained_std"),
        Column("cosine", "cosine with z", "number", "cosine_std"),
        Column("rank", "rank of the task", "number", "rank_std"),
    )
    notes = (
        f"Each of {len(tasks)} tasks is predicted from the others, and the ridge penalty is chosen by leave-one-out on "
        "the others. Variance explained: 1 minus the ratio of the squared error to that of the mean of the others.",
        "Rank: tasks are ordered by the cosine of their z with the prediction, after the mean of z is subtracted from "
        f"both; the rank of the predicted task is {(len(tasks) + 1) / 2:.1f} by chance and 1 at best.",
    )
    facts = {"runs": [run.place for run in runs], "tasks": tasks}
    return Table("Task embeddings predicted for tasks left out", columns, tuple(records), notes, facts)


def _means(z: NDArray[np.float64], kinds: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two predictions of the z of each task, (n, Z) each: the mean of all others, and of those of its type.

    The second is the mean of all others if no other task has the type.
    """
    means, of_type = [], []
    for task, kind in enumerate(kinds):
        others = np.arange(len(z)) != task
        rest = [other for place, other in enumerate(kinds) if place != task]
        means.append(z[others].mean(axis=0))
        of_type.append(mean_of_type(z[others], rest, kind) if kind in rest else means[-1])
    return np.stack(means), np.stack(of_type)


def _quality(
    z: NDArray[np.float64], predicted: NDArray[np.float64], mean: NDArray[np.float64]
) -> dict[str, float | None]:
    error, base = ((z - predicted) ** 2).sum(axis=1).mean(), ((z - mean) ** 2).sum(axis=1).mean()
    centre = z.mean(axis=0)
    near = [cosines(z - centre, (each - centre)[None]) for each in predicted]
    ranks = [1 + int((similarity > similarity[task]).sum()) for task, similarity in enumerate(near)]
    return {
        "explained": float(1 - error / base),
        "cosine": float(cosines(z, predicted).mean()),
        # a rank would mislead: minus the centre, the mean of the others always points away from the left-out task
        "rank": None if predicted is mean else float(np.mean(ranks)),
    }


def _summary(found: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean and standard deviation of each score over runs."""
    summary: dict[str, float | None] = {}
    for key in found[0]:
        values = [value for one in found if (value := one[key]) is not None]
        summary[key] = float(np.mean(values)) if values else None
        summary[f"{key}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return summary
