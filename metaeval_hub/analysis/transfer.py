"""Rank source tasks for a target task, by embeddings and by measured gains (after Vu et al. 2020).

A ranking by embeddings is a prediction. Runs with and without a task, or a table of pairs, provide measured gains,
which show how good the prediction is.
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
    """All other tasks by cosine with the target, nearest first, with it.

    Raises:
        KeyError: there is no such task.
    """
    return embeddings.nearest(target, k=len(embeddings) - 1)


@dataclass(frozen=True, eq=False)
class Gains:
    """What a source task was measured to add to a target.

    Args:
        targets: t task names.
        sources: s task names.
        values: (t, s) gains in accuracy, 0.01 is a point; nan where it was not measured.
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
    """Measure what each task adds to each other one from runs with and without it.

    The gain of s for t is the mean accuracy of t over the runs that trained on both, less that over the runs that
    trained on t and not on s. It is nan where there is no run of either sort. Runs should differ in their tasks alone.

    Args:
        runs: for each run the test accuracy, in 0..1, of every task it trained on.

    Raises:
        ValueError: there are fewer than two runs, or all have the same tasks.
    """
    if len(runs) < 2 or len({frozenset(run) for run in runs}) < 2:
        raise ValueError(
            f"{len(runs)} runs over the same tasks measure no transfer; expected runs with and without a task"
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
    """Read measured gains from CSV: a target a row, its name first; a source a column; cells may be empty.

    Args:
        text: of the file. Gains are shares: 0.01 is a point of accuracy.
        name: of the file, for the messages.

    Raises:
        ValueError: a row has another length, a task comes twice, or a cell is no number.
    """
    rows = [row for row in csv.reader(text.splitlines()) if row]
    if len(rows) < 2 or len(rows[0]) < 2:
        raise ValueError(f"{name}: expected a line of sources, and a line for each target")
    sources, targets = tuple(rows[0][1:]), tuple(row[0] for row in rows[1:])
    if len(set(sources)) < len(sources) or len(set(targets)) < len(targets):
        raise ValueError(f"{name}: a task comes twice among the sources or the targets")
    values = np.full((len(targets), len(sources)), np.nan)
    for i, row in enumerate(rows[1:]):
        if len(row) != len(rows[0]):
            raise ValueError(f"{name}: the line of {row[0]} has {len(row)} cells; expected {len(rows[0])}")
        for j, cell in enumerate(row[1:]):
            if cell.strip():
                try:
                    values[i, j] = float(cell)
                except ValueError:
                    raise ValueError(f"{name}: {row[0]}, {sources[j]}: {cell!r} is not a number") from None
    return Gains(targets, sources, values)


@dataclass(frozen=True)
class Agreement:
    """How well a ranking of sources agrees with measured gains.

    Args:
        targets: compared, those with three or more measured sources.
        correlation: Spearman's, of cosine and gain, mean over targets.
        p_value: probability of such a mean or a higher one if the ranking were random, by permutation of each target's
            sources.
        first: mean gain of the source ranked first.
        best: mean gain of the best source, which only measuring finds.
        average: mean gain of a source drawn at random.
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
        embeddings: z, or any other vector a task.
        gains: measured; tasks without an embedding are passed over.
        permutations: for the p-value.
        seed: of the permutations.

    Raises:
        ValueError: no target has three sources that are measured and embedded.
    """
    places = {name: i for i, name in enumerate(embeddings.names)}
    similarity, generator = embeddings.cosine(), np.random.default_rng(seed)
    correlations, permuted, first, best, average = [], [], [], [], []
    for target, row in zip(gains.targets, gains.values, strict=True):
        known = [
            i
            for i, name in enumerate(gains.sources)
            if name in places and target in places and name != target and np.isfinite(row[i])
        ]
        if len(known) < 3:
            continue
        near = similarity[places[target], [places[gains.sources[i]] for i in known]]
        gain = row[known]
        one, other = _centred_ranks(near), _centred_ranks(gain)
        correlations.append(float(one @ other))
        permuted.append(generator.permuted(np.tile(one, (permutations, 1)), axis=1) @ other)
        first.append(gain[np.argmax(near)])
        best.append(gain.max())
        average.append(gain.mean())
    if not correlations:
        raise ValueError("no target has three sources with both a measured gain and an embedding")
    observed = float(np.mean(correlations))
    reached = int((np.mean(permuted, axis=0) >= observed - 1e-12).sum())
    means = (float(np.mean(each)) for each in (first, best, average))
    return Agreement(len(correlations), observed, (1 + reached) / (1 + permutations), *means)


def _centred_ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ranks less their mean, of length 1: two of them multiply to Spearman's correlation, 0 where one is constant."""
    ranks = rankdata(values)
    ranks -= ranks.mean()
    return ranks / (np.linalg.norm(ranks) or 1.0)


# --- Tables ---


MEASURED = "measured"  # the ranking by gains, beside those by spaces
Results = Mapping[str, TaskResult]


def transfer(
    target: str,
    spaces: Mapping[str, TaskEmbeddings],
    gains: Gains | None = None,
    *,
    results: Mapping[str, Results] | None = None,
    most: int = 10,
) -> Table:
    """Which tasks to borrow from for a target: the nearest in each space, and those measured to help most.

    Beside a source stand its own accuracy and that of its majority class, where there are results: one that has
    learned nothing has nothing to lend.

    Args:
        target: a task of all spaces.
        spaces: name -> vectors, such as z and TextEmb.
        gains: measured, where there are any.
        results: name of a space -> results of the run that it is from; other spaces get those of the first.
        most: tasks to list.

    Raises:
        KeyError: a space lacks the target.
    """
    ranked: dict[str, list[tuple[str, float]]] = {name: rank_sources(space, target) for name, space in spaces.items()}
    if gains is not None and target in gains.targets:
        row = gains.values[gains.targets.index(target)]
        measured = [(name, float(gain)) for name, gain in zip(gains.sources, row, strict=True) if np.isfinite(gain)]
        ranked[MEASURED] = sorted(measured, key=lambda pair: -pair[1])
    scores = {space: _accuracies(rows) for space, rows in (results or {}).items()}
    first = next((found for found in scores.values() if found), {})
    by_space = {name: scores.get(name, first) for name in ranked}
    size = min(most, max(len(each) for each in ranked.values()))
    rows = []
    for place in range(size):
        row_values: dict[str, Any] = {"rank": place + 1}
        for name, pairs in ranked.items():
            if place < len(pairs):
                source, row_values[f"{name}_score"] = pairs[place]
                row_values[name] = source
                if source in by_space[name]:
                    row_values[f"{name}_test"], row_values[f"{name}_majority"] = by_space[name][source]
        rows.append(row_values)
    columns = [Column("rank", "rank", "count")]
    for name in ranked:
        form: Literal["points", "number"] = "points" if name == MEASURED else "number"
        columns += [Column(name, f"by {name}"), Column(f"{name}_score", "gain" if form == "points" else "cosine", form)]
        if any(f"{name}_test" in row for row in rows):
            columns += [Column(f"{name}_{key}", f"{key} %", "percent") for key in ("test", "majority")]
    notes = _notes(target, ranked, by_space, size)
    return Table(f"Source tasks for {target}", tuple(columns), tuple(rows), notes, {"target": target})


def _accuracies(rows: Results) -> dict[str, tuple[float, float]]:
    """Accuracy on test and of the majority class there, of the tasks that have them."""
    return {
        name: (row.test.accuracy, row.majority) for name, row in rows.items() if row.test and row.majority is not None
    }


def _notes(
    target: str,
    ranked: Mapping[str, Sequence[tuple[str, float]]],
    scores: Mapping[str, Mapping[str, tuple[float, float]]],
    size: int,
) -> tuple[str, ...]:
    """What the columns are, as far as there are any, and which tasks have little to lend."""
    notes = ["Nearest by cosine: a prediction of which tasks help."]
    if MEASURED in ranked:
        notes[0] += " measured: test accuracy of the target with the task minus that without it, in points."
    if not any(scores.values()):
        return tuple(notes)
    notes.append("test, majority: accuracy on the task's own test rows in the run, and of their most frequent class.")
    listed = dict.fromkeys(name for pairs in ranked.values() for name, _ in pairs[:size])
    unlearned = [
        name for name in listed if any(found[name][0] <= found[name][1] for found in scores.values() if name in found)
    ]
    if unlearned:
        notes.append(f"Not above the majority class, so transfer from them may help little: {', '.join(unlearned)}.")
    own = next((found[target] for found in scores.values() if target in found), None)
    if own is not None and own[0] <= own[1]:
        notes.append(
            f"{target} itself is not above its majority class ({100 * own[0]:.1f}, majority {100 * own[1]:.1f} %), so "
            "that its place among the tasks says little."
        )
    return tuple(notes)


def transfer_agreement(spaces: Mapping[str, TaskEmbeddings], gains: Gains, *, seed: int = 0) -> Table:
    """How well nearness in each space agrees with measured gains."""
    rows = []
    for name, space in spaces.items():
        rows.append({"space": name, **vars(agreement(space, gains, seed=seed))})
    columns = (
        *(Column("space", "ranked by"), Column("targets", "targets", "count")),
        *(Column("correlation", "rank correlation", "number"), Column("p_value", "p", "p")),
        *(Column("first", "gain of the first", "points"), Column("average", "of a random one", "points")),
        Column("best", "of the best", "points"),
    )
    notes = (
        "Spearman's correlation of cosine and measured gain over the sources of a target, mean over targets; p by "
        "permutation. The gain of the task ranked first stands beside that of a task at random and of the best one.",
    )
    return Table("Do near tasks help?", columns, tuple(rows), notes, {"seed": seed})
