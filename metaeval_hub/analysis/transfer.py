"""Rank source tasks for a target task by their embeddings, and compare the ranking with measured gains.

This follows Vu et al. 2020. A ranking by embeddings is a prediction. Measured gains, from runs with and without a task
or from a table of pairs, show how good the prediction is.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from metaeval_hub.results.schema import TaskResult
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings


def rank_sources(embeddings: TaskEmbeddings, target: str) -> list[tuple[str, float]]:
    """Return all other tasks with their cosine to the target, nearest first.

    Raises:
        KeyError: the embeddings do not contain the target.
    """
    return embeddings.nearest(target, k=len(embeddings) - 1)


@dataclass(frozen=True, eq=False)
class Gains:
    """Measured gains in the accuracy of target tasks from source tasks.

    Args:
        targets: names of t tasks.
        sources: names of s tasks.
        values: (t, s) gains in accuracy, where 0.01 is one percentage point; nan if a pair was not measured.
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.targets), len(self.sources)):
            raise ValueError(
                f"gains have shape {self.values.shape}; expected ({len(self.targets)}, {len(self.sources)})"
            )


def gains_of_runs(runs: Sequence[Mapping[str, float]]) -> Gains:
    """Compute the gain of each task from each other task, from runs with and without the other task.

    The gain of t from s is the mean accuracy of t over the runs that trained on both tasks, minus its mean accuracy
    over the runs that trained on t but not on s. It is nan if either mean has no runs. The runs should differ only in
    their tasks.

    Args:
        runs: for each run, task name -> test accuracy in 0..1, for all tasks that it trained on.

    Raises:
        ValueError: there are fewer than two runs, or all runs have the same tasks.
    """
    if len(runs) < 2 or len({frozenset(run) for run in runs}) < 2:
        raise ValueError(
            f"{len(runs)} runs with the same tasks cannot measure transfer; give runs with and without a task"
        )
    names = tuple(sorted({name for run in runs for name in run}))
    present = np.array([[name in run for name in names] for run in runs], float)  # (R, n)
    scores = np.array([[run.get(name, 0.0) for name in names] for run in runs])
    with_both, total_both = present.T @ present, scores.T @ present  # (n, n), target by source
    without, total_without = present.T @ (1 - present), scores.T @ (1 - present)
    with np.errstate(invalid="ignore", divide="ignore"):
        gains = total_both / with_both - total_without / without
    gains[(with_both == 0) | (without == 0)] = np.nan
    np.fill_diagonal(gains, np.nan)
    return Gains(names, names, gains)


def gains_of_table(text: str, name: str) -> Gains:
    """Parse measured gains from CSV with one line per target and one column per source.

    The first line names the sources, and the first cell of each other line names its target. Cells may be empty.

    Args:
        text: content of the file. Gains are shares: 0.01 is one percentage point of accuracy.
        name: name of the file, for error messages.

    Raises:
        ValueError: lines have different lengths, a task is repeated, or a cell is not a number.
    """
    lines = [line for line in csv.reader(text.splitlines()) if line]
    if len(lines) < 2 or len(lines[0]) < 2:
        raise ValueError(f"{name}: expected a line with the names of the sources, and one line per target")
    head, *lines = lines
    sources, targets = tuple(head[1:]), tuple(line[0] for line in lines)
    if len(set(sources)) < len(sources) or len(set(targets)) < len(targets):
        raise ValueError(f"{name}: a task is repeated among the sources or the targets; name each task once")
    values = np.full((len(targets), len(sources)), np.nan)
    for i, line in enumerate(lines):
        if len(line) != len(head):
            raise ValueError(f"{name}: the line of {line[0]} has {len(line)} cells; expected {len(head)}")
        for j, cell in enumerate(line[1:]):
            if cell.strip():
                try:
                    values[i, j] = float(cell)
                except ValueError:
                    raise ValueError(f"{name}: {line[0]}, {sources[j]}: {cell!r} is not a number") from None
    return Gains(targets, sources, values)


@dataclass(frozen=True)
class Agreement:
    """Agreement between a ranking of sources and measured gains.

    Args:
        targets: number of compared targets, which have three or more measured sources.
        correlation: Spearman correlation of cosine and gain, mean over targets.
        p_value: probability of a mean correlation at least as high if the ranking were random, by permutation of the
            sources of each target.
        first: mean gain from the source that is ranked first.
        best: mean gain from the best source, which is known only from measurements.
        average: mean gain from a source drawn at random.
    """

    targets: int
    correlation: float
    p_value: float
    first: float
    best: float
    average: float


def agreement(embeddings: TaskEmbeddings, gains: Gains, *, permutations: int = 1000, seed: int = 0) -> Agreement:
    """Compare the ranking by cosine with measured gains.

    Args:
        embeddings: z, or other vectors per task.
        gains: measured gains; tasks without an embedding are skipped.
        permutations: number of permutations for the p-value.
        seed: random seed of the permutations.

    Raises:
        ValueError: no target has three sources that have both a measured gain and an embedding.
    """
    places = {name: i for i, name in enumerate(embeddings.names)}
    similarity, generator = embeddings.cosine(), np.random.default_rng(seed)
    correlations, permuted, first, best, average = [], [], [], [], []
    for target, of_target in zip(gains.targets, gains.values, strict=True):
        known = [
            i
            for i, name in enumerate(gains.sources)
            if name in places and target in places and name != target and np.isfinite(of_target[i])
        ]
        if len(known) < 3:
            continue
        near = similarity[places[target], [places[gains.sources[i]] for i in known]]
        gain = of_target[known]
        one, other = _centred_ranks(near), _centred_ranks(gain)
        correlations.append(float(one @ other))
        permuted.append(generator.permuted(np.tile(one, (permutations, 1)), axis=1) @ other)
        first.append(gain[np.argmax(near)])
        best.append(gain.max())
        average.append(gain.mean())
    if not correlations:
        raise ValueError(
            "no target has three sources with both a measured gain and an embedding; give more measured gains"
        )
    observed = float(np.mean(correlations))
    reached = int((np.mean(permuted, axis=0) >= observed - 1e-12).sum())
    means = (float(np.mean(each)) for each in (first, best, average))
    return Agreement(len(correlations), observed, (1 + reached) / (1 + permutations), *means)


def _centred_ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return centred ranks of length 1. The product of two is their Spearman correlation; 0 if one is constant."""
    ranks = rankdata(values)
    ranks -= ranks.mean()
    return ranks / (np.linalg.norm(ranks) or 1.0)


# --- Tables ---


MEASURED = "measured"  # name of the ranking by measured gains
Results = Mapping[str, TaskResult]


def transfer(
    target: str,
    spaces: Mapping[str, TaskEmbeddings],
    gains: Gains | None = None,
    *,
    results: Mapping[str, Results] | None = None,
    most: int = 10,
) -> Table:
    """Return the source tasks for a target: the nearest in each space, and those with the largest measured gains.

    If results are given, the table shows the accuracy of each source next to its majority class, because a task that
    the model has not learned is unlikely to help another.

    Args:
        target: target task, which every space contains.
        spaces: name of a space -> vectors, such as z and TextEmb.
        gains: measured gains; None if nothing was measured.
        results: name of a space -> results of the run that the space is from. Spaces without results use those of the
            first space that has some.
        most: maximum number of tasks to list.

    Raises:
        KeyError: a space does not contain the target.
    """
    ranked: dict[str, list[tuple[str, float]]] = {name: rank_sources(space, target) for name, space in spaces.items()}
    if gains is not None and target in gains.targets:
        of_target = gains.values[gains.targets.index(target)]
        measured = [
            (name, float(gain)) for name, gain in zip(gains.sources, of_target, strict=True) if np.isfinite(gain)
        ]
        ranked[MEASURED] = sorted(measured, key=lambda pair: -pair[1])
    scores = {space: _accuracies(of_space) for space, of_space in (results or {}).items()}
    first = next((found for found in scores.values() if found), {})
    by_space = {name: scores.get(name, first) for name in ranked}
    size = min(most, max(len(each) for each in ranked.values()))
    records = []
    for place in range(size):
        record: dict[str, Any] = {"rank": place + 1}
        for name, pairs in ranked.items():
            if place < len(pairs):
                source, record[f"{name}_score"] = pairs[place]
                record[name] = source
                if source in by_space[name]:
                    record[f"{name}_test"], record[f"{name}_majority"] = by_space[name][source]
        records.append(record)
    columns = [Column("rank", "rank", "count")]
    for name in ranked:
        form: Literal["points", "number"] = "points" if name == MEASURED else "number"
        columns += [Column(name, f"by {name}"), Column(f"{name}_score", "gain" if form == "points" else "cosine", form)]
        if any(f"{name}_test" in record for record in records):
            columns += [Column(f"{name}_{key}", f"{key} %", "percent") for key in ("test", "majority")]
    notes = _notes(target, ranked, by_space, size)
    return Table(f"Source tasks for {target}", tuple(columns), tuple(records), notes, {"target": target})


def _accuracies(results: Results) -> dict[str, tuple[float, float]]:
    """Return task -> accuracy on test and of the majority class, for the tasks that have both."""
    return {
        name: (result.test.accuracy, result.majority)
        for name, result in results.items()
        if result.test and result.majority is not None
    }


def _notes(
    target: str,
    ranked: Mapping[str, Sequence[tuple[str, float]]],
    scores: Mapping[str, Mapping[str, tuple[float, float]]],
    size: int,
) -> tuple[str, ...]:
    """Return sentences that explain the columns and name the tasks that are unlikely to help."""
    notes = ["Tasks are ordered by cosine, which is only a prediction of which tasks help."]
    if MEASURED in ranked:
        notes[0] += " measured: test accuracy of the target with the task minus that without it, in points."
    if not any(scores.values()):
        return tuple(notes)
    notes.append(
        "test: accuracy of the run on the task's own test rows. majority: accuracy of their most frequent class."
    )
    listed = dict.fromkeys(name for pairs in ranked.values() for name, _ in pairs[:size])
    unlearned = [
        name for name in listed if any(found[name][0] <= found[name][1] for found in scores.values() if name in found)
    ]
    if unlearned:
        notes.append(f"Not more accurate than their majority class, so unlikely to help: {', '.join(unlearned)}.")
    own = next((found[target] for found in scores.values() if target in found), None)
    if own is not None and own[0] <= own[1]:
        notes.append(
            f"{target} itself is not more accurate than its majority class ({100 * own[0]:.1f} %, majority "
            f"{100 * own[1]:.1f} %), so its embedding says little about it."
        )
    return tuple(notes)


def transfer_agreement(spaces: Mapping[str, TaskEmbeddings], gains: Gains, *, seed: int = 0) -> Table:
    """Return how well the ranking by cosine in each space agrees with measured gains."""
    records = []
    for name, space in spaces.items():
        records.append({"space": name, **vars(agreement(space, gains, seed=seed))})
    columns = (
        *(Column("space", "ranked by"), Column("targets", "targets", "count")),
        *(Column("correlation", "rank correlation", "number"), Column("p_value", "p", "p")),
        *(Column("first", "gain of the first", "points"), Column("average", "of a random one", "points")),
        Column("best", "of the best", "points"),
    )
    notes = (
        "Rank correlation: Spearman correlation of cosine and measured gain over the sources of a target, mean over "
        "targets; p by permutation. The other columns compare the gain from the source that is ranked first with the "
        "gains from a random source and from the best one.",
    )
    return Table("Do near tasks help?", columns, tuple(records), notes, {"seed": seed})
