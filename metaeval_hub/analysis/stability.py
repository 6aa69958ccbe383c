"""Tables on the stability of task embeddings within a run and across runs (Sileo & Moens 2022, section 5.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.analysis.embedded_runs import EmbeddedRun, same_tasks
from metaeval_hub.analysis.neighbours import (
    ALL,
    NEIGHBOURS,
    by_type,
    chance_across,
    chance_within,
    kept_across,
    kept_within,
)
from metaeval_hub.results.tables import Column, Table

# The paper's text says ten neighbours, but its rate of random embeddings, 1.0 %, fits one.
COUNTS = (NEIGHBOURS, 1)
RANDOM_DRAWS = 20  # random spaces that give the spread of the chance level


def stability_within(runs: Sequence[EmbeddedRun], neighbours: Sequence[int] = COUNTS) -> Table:
    """Return how often the nearest neighbours of an embedding include another one of its task (table 2).

    Args:
        runs: runs with several embeddings per task.
        neighbours: numbers of nearest neighbours; the first orders the table.

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
    rates = {k: np.stack([kept_within(each, k) for each in copies]) for k in neighbours}
    chances = {k: chance_within(n, count, k) for k in neighbours}
    draws = {
        k: [kept_within(_noise(seed, *copies[0].shape), k).mean() for seed in range(RANDOM_DRAWS)] for k in neighbours
    }
    levels = "; ".join(
        f"k = {k}: {100 * chances[k]:.2f} %, and {100 * np.mean(draws[k]):.2f} ± {100 * np.std(draws[k], ddof=1):.2f}"
        for k in neighbours
    )
    notes = (
        f"Rate at which the k nearest neighbours of an embedding, by cosine among all {n * count}, include another "
        "embedding of the same task; mean over tasks"
        + ("." if len(runs) == 1 else f" and {len(runs)} runs, ± standard deviation over runs."),
        f"Chance for {n} tasks with {count} embeddings, computed exactly, and the rate of random embeddings in "
        f"{RANDOM_DRAWS} draws: {levels}.",
    )
    facts = _facts(runs, neighbours, chances, rates, tasks=n, embeddings_per_task=count, random=draws[neighbours[0]])
    return _stability_table("Stability within a run", "rate %", runs[0], rates, chances, notes, facts, "std_runs")


def stability_across(runs: Sequence[EmbeddedRun], neighbours: Sequence[int] = COUNTS) -> Table:
    """Return the overlap of each task's neighbourhoods in two runs (table 3).

    Args:
        runs: two or more runs.
        neighbours: numbers of nearest neighbours; the first orders the table.

    Raises:
        ValueError: there are fewer than two runs, or they have too few tasks in common.
    """
    if len(runs) < 2:
        raise ValueError("stability across runs needs two or more runs with different seeds; give more runs")
    # with k + 1 tasks, all other tasks are neighbours in every run
    runs = same_tasks(runs, least=max(neighbours) + 2)
    centres = [run.embeddings.centroids().values for run in runs]
    pairs = list(combinations(range(len(runs)), 2))
    rates = {k: np.stack([kept_across(centres[a], centres[b], k) for a, b in pairs]) for k in neighbours}
    n = len(centres[0])
    chances = {k: chance_across(n, k) for k in neighbours}
    levels = "; ".join(f"k = {k}: {100 * chances[k]:.2f} %" for k in neighbours)
    notes = (
        f"Jaccard overlap of the k nearest other tasks, by cosine, between two runs; mean over tasks and "
        f"{len(pairs)} pairs of runs, ± standard deviation over tasks.",
        f"Chance for {n} tasks, computed exactly: {levels}.",
    )
    facts = _facts(runs, neighbours, chances, rates, tasks=n, pairs=len(pairs))
    return _stability_table("Stability across runs", "overlap %", runs[0], rates, chances, notes, facts, "std_tasks")


def _copies(run: EmbeddedRun) -> NDArray[np.float32]:
    assert run.embeddings.copies is not None  # noqa: S101 - for the type checker
    return run.embeddings.copies


def _noise(seed: int, *shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=shape)


def _facts(
    runs: Sequence[EmbeddedRun],
    neighbours: Sequence[int],
    chances: Mapping[int, float],
    rates: Mapping[int, NDArray[np.float64]],
    **more: Any,
) -> dict[str, Any]:
    """Return the facts of a table; "neighbours", "chance" and "rates" are those of the first number of neighbours."""
    first = neighbours[0]
    by_task = {k: dict(zip(runs[0].tasks, rates[k].mean(axis=0).tolist(), strict=True)) for k in neighbours}
    return {
        "runs": [run.place for run in runs],
        **more,
        "neighbours": first,
        "chance": chances[first],
        "rates": by_task[first],
        "others": {str(k): {"chance": chances[k], "rates": by_task[k]} for k in neighbours[1:]},
    }


def _stability_table(
    title: str,
    rate_title: str,
    run: EmbeddedRun,
    rates: Mapping[int, NDArray[np.float64]],
    chances: Mapping[int, float],
    notes: tuple[str, ...],
    facts: Mapping[str, Any],
    spread: str,
) -> Table:
    """Return the table of rates by task type: one column per number of neighbours, ordered by the first."""
    kinds = run.kinds
    found = {k: {rate.kind: rate for rate in by_type(of_k, kinds)} for k, of_k in rates.items()}
    first, *others = rates
    records: list[dict[str, Any]] = []
    for kind, rate in found[first].items():
        record = {"type": kind, "tasks": rate.tasks}
        for k in rates:
            suffix = "" if k == first else f"_k{k}"
            record |= {f"{key}{suffix}": getattr(found[k][kind], key) for key in ("mean", "std_runs", "std_tasks")}
        if rate.tasks == 1 and kind != ALL:
            record["only"] = f"(only {run.tasks[kinds.index(kind)]})"
        records.append(record)
    records.append({"type": "chance", "mean": chances[first], **{f"mean_k{k}": chances[k] for k in others}})
    columns = [Column("type", "task type", mark="only"), Column("tasks", "tasks", "count")]
    columns.append(Column("mean", f"{rate_title}, k = {first}", "percent", spread))
    columns += [Column(f"mean_k{k}", f"{rate_title}, k = {k}", "percent", f"{spread}_k{k}") for k in others]
    if any("only" in record for record in records):
        notes += ("A type with one task has no mean: its line shows this task, without a standard deviation, last.",)
    return Table(title, tuple(columns), tuple(records), notes, facts)
