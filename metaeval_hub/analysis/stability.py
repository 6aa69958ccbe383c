"""Tables on the stability of task embeddings within a run and across runs (Sileo & Moens 2022, section 5.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.analysis.embedded_runs import EmbeddedRun, same_tasks
from metaeval_hub.analysis.neighbours import (
    NEIGHBOURS,
    TypeRate,
    by_type,
    chance_across,
    chance_within,
    kept_across,
    kept_within,
)
from metaeval_hub.results.tables import Column, Table

RANDOM_DRAWS = 20  # random spaces that give the spread of the chance level


def stability_within(runs: Sequence[EmbeddedRun], k: int = NEIGHBOURS) -> Table:
    """Return how often the ``k`` nearest neighbours of an embedding include another one of its task (table 2).

    Raises:
        ValueError: a run has one embedding per task, or the runs have too few tasks in common.
    """
    for run in runs:
        if run.embeddings.copies is None or run.embeddings.copies.shape[1] < 2:
            raise ValueError(
                f"{run.name} has one embedding per task, but stability within a run needs several; train with "
                "--embeddings-per-task 3"
            )
    runs = same_tasks(runs, least=2)
    copies = [_copies(run) for run in runs]
    n, count, _ = copies[0].shape
    if {each.shape[1] for each in copies} != {count}:
        raise ValueError(
            f"runs have {sorted({each.shape[1] for each in copies})} embeddings per task; expected one number"
        )
    rates = np.stack([kept_within(each, k) for each in copies])
    chance = chance_within(n, count, k)
    draws = [kept_within(_noise(seed, *copies[0].shape), k).mean() for seed in range(RANDOM_DRAWS)]
    notes = (
        f"Rate at which the {k} nearest neighbours of an embedding, by cosine among all {n * count}, include another "
        f"embedding of the same task; mean over tasks"
        + ("." if len(runs) == 1 else f" and {len(runs)} runs, ± standard deviation over runs."),
        f"Chance: {100 * chance:.1f} % for {n} tasks with {count} embeddings, computed exactly; random embeddings gave "
        f"{100 * np.mean(draws):.1f} ± {100 * np.std(draws, ddof=1):.1f} in {RANDOM_DRAWS} draws.",
    )
    by_task = dict(zip(runs[0].tasks, rates.mean(axis=0).tolist(), strict=True))
    facts = _facts(
        runs, tasks=n, embeddings_per_task=count, neighbours=k, chance=chance, random=draws, rates=by_task
    )  # fmt: skip
    return _stability_table("Stability within a run", "rate %", by_type(rates, runs[0].kinds), chance, notes, facts)


def stability_across(runs: Sequence[EmbeddedRun], k: int = NEIGHBOURS) -> Table:
    """Return the overlap of each task's neighbourhoods in two runs (table 3).

    Raises:
        ValueError: there are fewer than two runs, or they have too few tasks in common.
    """
    if len(runs) < 2:
        raise ValueError("stability across runs needs two or more runs with different seeds; give more runs")
    # with k + 1 tasks, all other tasks are neighbours in every run
    runs = same_tasks(runs, least=k + 2)
    centres = [run.embeddings.centroids().values for run in runs]
    pairs = list(combinations(range(len(runs)), 2))
    rates = np.stack([kept_across(centres[a], centres[b], k) for a, b in pairs])
    n = len(centres[0])
    chance = chance_across(n, k)
    notes = (
        f"Jaccard overlap of the {k} nearest other tasks, by cosine, between two runs; mean over tasks and "
        f"{len(pairs)} pairs of runs, ± standard deviation over tasks.",
        f"Chance: {100 * chance:.1f} % for {n} tasks, computed exactly.",
    )
    by_task = dict(zip(runs[0].tasks, rates.mean(axis=0).tolist(), strict=True))
    facts = _facts(runs, tasks=n, neighbours=k, chance=chance, pairs=len(pairs), rates=by_task)
    type_rates = by_type(rates, runs[0].kinds)
    return _stability_table("Stability across runs", "overlap %", type_rates, chance, notes, facts, spread="std_tasks")


def _copies(run: EmbeddedRun) -> NDArray[np.float32]:
    assert run.embeddings.copies is not None  # noqa: S101 - for the type checker
    return run.embeddings.copies


def _noise(seed: int, *shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=shape)


def _facts(runs: Sequence[EmbeddedRun], **more: Any) -> dict[str, Any]:
    return {"runs": [run.place for run in runs], **more}


def _stability_table(
    title: str,
    rate_title: str,
    rates: Sequence[TypeRate],
    chance: float,
    notes: tuple[str, ...],
    facts: Mapping[str, Any],
    spread: str = "std_runs",
) -> Table:
    records = [
        {
            "type": rate.kind,
            "tasks": rate.tasks,
            "mean": rate.mean,
            "std_runs": rate.std_runs,
            "std_tasks": rate.std_tasks,
        }
        for rate in rates
    ]
    records.append({"type": "chance", "mean": chance})
    columns = (
        *(
            Column("type", "task type"),
            Column("tasks", "tasks", "count"),
            Column("mean", rate_title, "percent", spread),
        ),
    )
    return Table(title, columns, tuple(records), notes, facts)
