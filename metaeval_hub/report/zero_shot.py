"""Table 5, and zero-shot accuracy on further groups of tasks: accuracy without training on the task."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metaeval_datasets.catalog import UnknownTaskError, get_task
from metaeval_hub.analysis.task_titles import short_names, type_title
from metaeval_hub.report.document import Block, Missing, Section, Shown
from metaeval_hub.report.inputs import Inputs
from metaeval_hub.results import paper
from metaeval_hub.results.schema import RunResult
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.results.task_marks import means_without, seen_marks, seen_note

TITLES: Mapping[str, str] = {
    "supervised": "single-task full fine-tuning (supervised)",
    "majority": "majority class",
    "same_type_full": "same-type full fine-tuning",
    "same_type_mean": "same-type mean embedding",
    "mean": "mean embedding of all tasks",
    "ridge_aspects": "offline ridge, aspects",
    "ridge_textemb": "offline ridge, TextEmb",
    "aware_aspects": "features-aware, aspects",
    "aware_textemb": "features-aware, TextEmb",
}
# the paper does not state which features its offline regression in table 5 uses
PAPER: Mapping[str, str] = {"ridge_aspects": "ridge", "ridge_textemb": "ridge"}
MOST_REASONS = 8  # listed one by one; more are summarised
COMMAND = "python training/zero_shot.py --preset small --tasks all --held-out {}"


def table_5(inputs: Inputs) -> Section:
    """Return the section with GLUE left out."""
    found = inputs.zero_shot.get("glue")
    missing = Missing("the zero-shot experiment with GLUE left out", COMMAND.format("glue"))
    blocks: tuple[Block, ...] = (Shown("table5", glue_table(found)),) if found else (missing,)
    folder = next(iter(found.values())).path.parent.parent if found else ""
    command = shlex.join(["python", "training/zero_shot.py", "--resume", str(folder)]) if found else ""
    return Section("Table 5: zero-shot accuracy on GLUE", blocks, command)


def beyond(inputs: Inputs) -> Section:
    """Return the section with every group of tasks left out once."""
    found = inputs.zero_shot.get("groups")
    missing = Missing("the zero-shot experiment with every group left out once", COMMAND.format("groups"))
    blocks: tuple[Block, ...] = (Shown("zero_shot_groups", group_table(found)),) if found else (missing,)
    return Section("Beyond the paper: zero-shot accuracy on every left-out group", blocks)


def glue_table(methods: Mapping[str, RunResult]) -> Table:
    """Return a table with one record per method, ours or the paper's, and one column per task of GLUE."""
    present = [name for name in paper.GLUE if any(name in run.tasks for run in methods.values())]
    tasks = answered(methods, paper.GLUE)
    encoders = [run.facts.encoder for run in methods.values()]
    others = means_without(tasks, encoders)
    records: list[dict[str, Any]] = []
    for key in _order(methods):
        scores = {name: accuracy(methods[key], name) for name in present}
        average = _mean(scores[name] for name in tasks)
        further = {each.key: _mean(scores[name] for name in tasks if name not in each.left_out) for each in others}
        records.append({"method": TITLES.get(key, key), "source": "ours", **scores, "average": average, **further})
        of_paper = paper.TABLE_5.get(PAPER.get(key, key))
        if of_paper:
            shown = {name: of_paper[name] for name in present}
            title = TITLES.get(key, key) + (" (features not stated)" if key in PAPER else "")
            further = {
                each.key: _mean(of_paper[name] for name in tasks if name not in each.left_out) for each in others
            }
            average = paper_average(key, tasks)
            records.append({"method": title, "source": "paper", **shown, "average": average, **further})
    columns = [Column("method", "method"), Column("source", "")]
    marks = seen_marks(present, encoders)
    columns += [
        Column(name, f"{title} {marks.get(name, '')}".strip(), "percent")
        for name, title in zip(present, short_names(present), strict=True)
    ]
    columns.append(Column("average", "avg %", "percent"))
    columns += [Column(each.key, f"avg {each.title} %", "percent") for each in others]
    counts = {name: _test_rows(methods, name) for name in present}
    notes = [
        f"Test accuracy. Averages, also the paper's, are over the {len(tasks)} tasks for which all our methods have "
        f"results: {', '.join(tasks) or 'none'}.",
    ]
    if any(counts.values()):
        notes.append(f"Our test rows: {', '.join(f'{name} {count:,}' for name, count in counts.items())}.")
    absent = [name for name in paper.GLUE if name not in present]
    if absent:
        notes.append(f"Our runs have no results for {', '.join(absent)}.")
    notes += [*seen_note(present, encoders), *_notes(methods)]
    return Table("Zero-shot accuracy, GLUE left out", tuple(columns), tuple(records), tuple(notes))


def group_table(methods: Mapping[str, RunResult]) -> Table:
    """Return a table with one record per task type and one column per method, over the tasks that all methods have."""
    order = _order(methods)
    tasks = answered(methods)
    kinds = {name: type_title(task_type(name)) for name in tasks}
    chosen = {kind: [name for name in tasks if kinds[name] == kind] for kind in sorted(set(kinds.values()))}
    chosen["All"] = tasks
    encoders = [run.facts.encoder for run in methods.values()]
    others = means_without(tasks, encoders)
    chosen |= {f"All {each.title}": [name for name in tasks if name not in each.left_out] for each in others}
    records = [
        {
            "type": kind,
            "tasks": len(names),
            **{key: _mean(accuracy(methods[key], name) for name in names) for key in order},
        }
        for kind, names in chosen.items()
    ]
    columns = [Column("type", "task type"), Column("tasks", "tasks", "count")]
    columns += [Column(key, f"{TITLES.get(key, key)} %", "percent") for key in order]
    notes = (
        f"Test accuracy, mean over {len(tasks)} tasks; the whole group of each task was left out of training.",
        *seen_note(tasks, encoders),
        *_notes(methods),
    )
    return Table("Zero-shot accuracy, every group left out once", tuple(columns), tuple(records), notes)


def answered(methods: Mapping[str, RunResult], names: Sequence[str] | None = None) -> list[str]:
    """Return the tasks for which all methods have a result, among ``names`` if given."""
    known = next(iter(methods.values())).tasks if names is None else names
    return [name for name in known if all(accuracy(run, name) is not None for run in methods.values())]


def paper_average(method: str, tasks: Sequence[str]) -> float | None:
    """Return the paper's mean accuracy over tasks of GLUE, its printed average if all are given; None if unknown."""
    found = paper.TABLE_5.get(PAPER.get(method, method))
    if not found or not tasks:
        return None
    return found["average"] if set(tasks) == set(paper.GLUE) else _mean(found[name] for name in tasks)


def _test_rows(methods: Mapping[str, RunResult], task: str) -> int:
    """Return the number of test rows of a task; 0 if it is not known."""
    rows = (run.tasks[task].rows.get("test") for run in methods.values() if task in run.tasks)
    return max((each.kept for each in rows if each is not None), default=0)


def _order(methods: Mapping[str, RunResult]) -> list[str]:
    return [*(key for key in TITLES if key in methods), *(key for key in methods if key not in TITLES)]


def _notes(methods: Mapping[str, RunResult]) -> list[str]:
    """Return the notes stored with the experiment, and the tasks without a result, grouped by reason."""
    notes = list(dict.fromkeys(note for run in methods.values() for note in run.facts.notes))
    lacking: dict[tuple[str, str], list[str]] = {}  # task and reason -> methods
    for key in _order(methods):
        for task, reason in methods[key].facts.unanswered.items():
            lacking.setdefault((task, reason), []).append(TITLES.get(key, key))
    tasks: dict[tuple[str, str], list[str]] = {}  # reason and methods -> tasks
    for (task, reason), titles in lacking.items():
        tasks.setdefault((reason, "; ".join(titles)), []).append(task)
    sentences = [f"No result for {', '.join(of)} ({why}): {titles}." for (why, titles), of in tasks.items()]
    if len(sentences) <= MOST_REASONS:
        return notes + sentences
    names = list(dict.fromkeys(task for task, _ in lacking))
    return [
        *notes,
        f"Some methods have no result for {len(names)} tasks, mostly because no other group trains one of their "
        f"labels; the results of these methods state the reasons: {', '.join(names)}.",
    ]


def accuracy(run: RunResult, task: str) -> float | None:
    """Return the test accuracy of a task, or None."""
    result = run.tasks.get(task)
    return None if result is None or result.test is None else result.test.accuracy


def _mean(values: Any) -> float | None:
    found = list(values)
    return None if None in found or not found else float(np.mean(found))


def task_type(name: str) -> str:
    """Return the type of a task, or "unknown" if the catalogue lacks the task."""
    try:
        return str(get_task(name).type.value)
    except UnknownTaskError:
        return "unknown"
