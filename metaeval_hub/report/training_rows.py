"""Accuracy by number of training rows per task, of runs that differ in nothing else: a table and a figure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from metaeval_hub.analysis.plot_tables import draw_by_rows
from metaeval_hub.report.document import Picture, Section, Shown
from metaeval_hub.report.inputs import OTHER, ROWS, method_of, one_per_seed
from metaeval_hub.report.paper_tables import reference_of, title_of
from metaeval_hub.results.comparison import Comparison, compare
from metaeval_hub.results.comparison_tables import show_change, show_interval
from metaeval_hub.results.intervals import INTERVALS
from metaeval_hub.results.schema import RunResult
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.results.terminal import ShowStep

SECTION = "Beyond the paper: accuracy by number of training rows"
STEM = "training_rows"
ALL = "all"  # shown instead of 0, which is the setting for all rows

Comparisons = Mapping[float, Comparison]  # training rows per task, ascending; infinity for all rows


def compare_by_rows(groups: Sequence[Sequence[RunResult]]) -> Comparisons:
    """Compare methods that were trained with several numbers of rows, on the tasks that all their runs share.

    Args:
        groups: the ``by_rows`` of the report's inputs.

    Returns:
        Number of rows -> comparison of the methods that have runs with it; empty if the runs share no task.
    """
    names = [method_of(group[0]) for group in groups]
    runs: dict[float, list[RunResult]] = {}
    for place, (name, group) in enumerate(zip(names, groups, strict=True)):
        earlier = names[:place].count(name)  # groups of the same method that differ in other settings
        label = f"{name}{OTHER}other settings {earlier}" if earlier else name
        for run in group:
            rows = float(run.facts.settings.get(ROWS) or math.inf)  # type: ignore[arg-type]
            runs.setdefault(rows, []).append(replace(run, label=label))
    scored = [{task for task, result in run.tasks.items() if result.test} for each in runs.values() for run in each]
    shared = set.intersection(*scored) if scored else set()
    found = {}
    for rows in sorted(runs) if shared else ():
        kept = []
        for label in dict.fromkeys(run.label for run in runs[rows]):
            kept += one_per_seed([_on(shared, run) for run in runs[rows] if run.label == label])[0]
        found[rows] = compare(kept, reference=reference_of([run.label for run in kept]))
    return found


def _on(tasks: Collection[str], run: RunResult) -> RunResult:
    return replace(run, tasks={name: result for name, result in run.tasks.items() if name in tasks})


def rows_table(found: Comparisons) -> Table:
    """Return a table with one record per number of rows and method."""
    records: list[dict[str, Any]] = []
    for rows, comparison in found.items():
        for summary in comparison.summaries:
            records.append(
                {
                    "rows": ALL if math.isinf(rows) else f"{rows:,.0f}",
                    "method": title_of(summary.label),
                    "runs": summary.runs,
                    "mean": summary.mean,
                    "spread": summary.spread,
                    "interval": show_interval(summary.interval),
                    "difference": show_change(summary.difference, summary.difference_interval),
                    "better": None if summary.difference is None else f"{summary.better} / {summary.worse}",
                }
            )
    references = dict.fromkeys(title_of(comparison.reference) for comparison in found.values())
    tasks = next(iter(found.values())).tasks
    columns = (
        *(
            Column("rows", "training rows per task, at most"),
            Column("method", "method"),
            Column("runs", "runs", "count"),
        ),
        *(Column("mean", "mean %", "percent", spread="spread"), Column("interval", "95 % interval")),
        Column("difference", f"difference from {' or '.join(references)}"),
        Column("better", "tasks better / worse"),
    )
    notes = (
        f"Mean test accuracy over the {len(tasks)} tasks that all these runs share. The runs of a method differ in "
        "their number of training rows and in nothing else; tasks with fewer rows use all of theirs.",
        f"± is the standard deviation over seeds. Intervals: {INTERVALS}; those of differences are paired by task.",
    )
    facts = {"tasks": list(tasks)}
    return Table("Accuracy by number of training rows", columns, tuple(records), notes, facts)


def section(
    groups: Sequence[Sequence[RunResult]], folder: Path, made: Mapping[str, Any], step: ShowStep
) -> list[Section]:
    """Return the section, and write its figure; nothing if no runs differ in their number of rows.

    Args:
        groups: the ``by_rows`` of the report's inputs.
        folder: folder to write to.
        made: command and version that made the report.
        step: called with a short description before the figure.
    """
    found = compare_by_rows(groups)
    if not found:
        return []
    step(SECTION)
    table = rows_table(found)
    table.save(folder, STEM, made)
    draw_by_rows(table, folder, STEM)
    return [Section(SECTION, (Picture(STEM, f"{table.title}. {table.notes[0]}"), Shown(STEM, table)))]
