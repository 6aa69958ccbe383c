"""Tables of a comparison: one by task, and one by run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metaeval_hub.results.comparison import Comparison, Interval
from metaeval_hub.results.intervals import INTERVALS
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.results.task_marks import seen_marks, seen_note


def task_table(comparison: Comparison) -> Table:
    """Return a table with one record per task, one column per label, and the means in the last record.

    The majority class has a column if the metric is accuracy and no run is called "majority".
    """
    majority = None if "majority" in comparison.labels else comparison.majority
    columns = [Column("task", "task", mark="mark")]
    columns += [] if majority is None else [Column("majority", "majority", "percent")]
    keys = [f"run {number}" for number in range(len(comparison.labels))]  # a run may be called "task"
    columns += [Column(key, label, "percent") for key, label in zip(keys, comparison.labels, strict=True)]
    marks = seen_marks(comparison.tasks, comparison.encoders)
    records: list[dict[str, Any]] = [
        {"task": task, **dict(zip(keys, comparison.values[i].tolist(), strict=True))}
        for i, task in enumerate(comparison.tasks)
    ]
    for record in records:
        record |= {"mark": marks[str(record["task"])]} if record["task"] in marks else {}
    means = comparison.values.mean(axis=0).tolist()
    records.append({"task": f"mean of {len(records)}", **dict(zip(keys, means, strict=True))})
    if majority is not None:
        for record, share in zip(records, [*majority.tolist(), float(majority.mean())], strict=True):
            record["majority"] = share
    notes = seen_note(comparison.tasks, comparison.encoders)
    return Table(caption(comparison), tuple(columns), tuple(records), tuple(notes))


def summary_table(comparison: Comparison) -> Table:
    """Return a table with one record per label: mean, gain over majority class and reference, with intervals."""
    metric = comparison.metric.replace("_", " ")
    several = any(summary.runs > 1 for summary in comparison.summaries)
    over_majority = comparison.metric == "accuracy" and comparison.reference != "majority"
    columns = [
        Column("label", "run"),
        *([Column("runs", "runs", "count")] if several else []),
        Column("mean", f"mean {metric}", "percent", spread="spread"),
        Column("range", "95 % interval"),
        *(Column(each.key, each.title, "percent") for each in comparison.without),
        *([Column("gain", "over majority")] if over_majority else []),
        *([Column("change", f"over {comparison.reference}")] if len(comparison.labels) > 1 else []),
        *([Column("signs", "better, equal, worse")] if len(comparison.labels) > 1 else []),
    ]
    records = [
        {
            **vars(summary),
            "range": show_interval(summary.interval),
            **{each.key: comparison.means_of_others(each)[summary.label] for each in comparison.without},
            "gain": show_change(summary.over_majority, summary.over_majority_interval),
            "change": show_change(summary.difference, summary.difference_interval),
            "signs": None if summary.difference is None else f"{summary.better}, {summary.equal}, {summary.worse}",
        }
        for summary in comparison.summaries
    ]
    notes = [f"Intervals: {INTERVALS}; intervals in brackets are paired by task."]
    notes += [*(each.note for each in comparison.without), *remarks(comparison)]
    return Table(f"Means over {len(comparison.tasks)} tasks", tuple(columns), tuple(records), tuple(notes))


def caption(comparison: Comparison) -> str:
    """Return the caption: metric, split and unit."""
    if comparison.metric == "matthews":  # a correlation is not a percentage
        return f"Matthews correlation on {comparison.split}, times 100"
    return f"{comparison.metric.replace('_', ' ').capitalize()} on {comparison.split}, in percent"


def remarks(comparison: Comparison, most: int = 8) -> list[str]:
    """Return sentences on left-out tasks, on tasks scored on different rows, and on averaged runs."""
    by_labels: dict[tuple[str, ...], list[str]] = {}
    for task, labels in comparison.left_out.items():
        by_labels.setdefault(labels, []).append(task)
    lines = [
        f"Left out, not scored on {comparison.split} by {', '.join(labels)}: {_some(tasks, most)}."
        for labels, tasks in by_labels.items()
    ]
    if comparison.other_rows:
        lines.append(
            "Scored on different rows by some runs, which adds noise to the differences: "
            f"{_some(comparison.other_rows, most)}."
        )
    if any(summary.spread is not None for summary in comparison.summaries):
        lines.append("Runs with the same label are averaged by task; ± is the standard deviation of their means.")
    if comparison.same_seed:
        lines.append(
            f"Two runs of {', '.join(comparison.same_seed)} have the same seed, so their spread underestimates the "
            "spread over seeds."
        )
    return lines


def to_markdown(comparison: Comparison) -> str:
    """Return both tables and the remarks as Markdown."""
    summary, tasks = summary_table(comparison), task_table(comparison)
    parts = [summary.title + ".", summary.to_markdown(), *summary.notes, tasks.title + ".", tasks.to_markdown()]
    parts += tasks.notes
    return "\n\n".join(parts) + "\n"


def _some(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more} ({len(names)} task{'s' * (len(names) != 1)})"


def show_interval(interval: Interval | None) -> str | None:
    """Format an interval of shares in percent: "48.2 to 53.1"; None for None."""
    return None if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def show_change(value: float | None, interval: Interval | None) -> str | None:
    """Format a difference of shares in points with its interval: "+1.2 (-0.3 to +2.7)"; None for None."""
    if value is None:
        return None
    bounds = "" if interval is None else f" ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})"
    return f"{100 * value:+.1f}{bounds}"
