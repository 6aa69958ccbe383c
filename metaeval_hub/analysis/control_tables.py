"""Tables on the control tasks of runs: twins, and tasks with permuted labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from metaeval_hub.analysis.controls import PermutedTasks, TwinRates, describe_controls, permuted_tasks, twin_rates
from metaeval_hub.analysis.embedded_runs import EmbeddedRun
from metaeval_hub.results.tables import Column, Table


def controls(runs: Sequence[EmbeddedRun]) -> Table:
    """Return one record per run with control tasks, and one per task with twins.

    Raises:
        ValueError: no run has twins.
    """
    found = [(run, twin_rates(run.embeddings), permuted_tasks(run.embeddings)) for run in runs]
    records: list[dict[str, Any]] = []
    notes = []
    for run, twins, permuted in found:
        if twins is not None:
            records += [_of_run(run, twins, permuted), *_of_tasks(run, twins, permuted)]
            notes.append(f"{run.name}: {describe_controls(run.embeddings)}.")
    if not records:
        raise ValueError(
            f"no twins in {', '.join(run.name for run in runs)}; train a run with --twins, and --permuted-tasks 10, to "
            "measure whether z describes tasks"
        )
    columns = (
        *(Column("run", "run"), Column("task", "task")),
        Column("nearest", "twin is nearest %", "percent", chance="nearest_chance", p_value="nearest_p"),
        Column("rank", "mean rank of the twin", "number"),
        Column("permuted_rank", "rank of the copy with permuted labels", "number"),
        Column("distance", "distance from centre", "number"),
        Column("permuted_distance", "with permuted labels", "number", p_value="distance_p"),
    )
    notes.append(
        "Twins of a task are trained on disjoint halves of its rows. Ranks are among the neighbours by cosine, 1 the "
        "nearest. The lines of all tasks show means; distances are from the mean of the tasks without permuted labels."
    )
    return Table("Control tasks", columns, tuple(records), tuple(notes))


def _of_run(run: EmbeddedRun, twins: TwinRates, permuted: PermutedTasks | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "run": run.name,
        "task": f"all {len(twins.tasks)} tasks with twins",
        "nearest": twins.rate,
        "nearest_chance": twins.chance,
        "nearest_p": twins.p_value,
        "rank": float(twins.ranks.mean()),
    }
    if permuted is not None:
        record |= {
            "permuted_rank": float(np.nanmean(permuted.ranks)),
            "distance": float(permuted.task_distances.mean()),
            "permuted_distance": float(permuted.permuted_distances.mean()),
            "distance_p": permuted.p_value,
        }
    return record


def _of_tasks(run: EmbeddedRun, twins: TwinRates, permuted: PermutedTasks | None) -> list[dict[str, Any]]:
    ranks: dict[str, float] = {}
    distances: dict[str, float] = {}
    if permuted is not None:
        ranks = dict(zip(permuted.tasks, permuted.ranks.tolist(), strict=True))
        distances = dict(zip(permuted.tasks, permuted.permuted_distances.tolist(), strict=True))
    return [
        {
            "run": run.name,
            "task": task,
            "nearest": float(nearest),
            "rank": float(rank),
            "permuted_rank": ranks.get(task),
            "permuted_distance": distances.get(task),
        }
        for task, nearest, rank in zip(twins.tasks, twins.nearest, twins.ranks, strict=True)
    ]
