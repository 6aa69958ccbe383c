"""The accuracy of every method on every task, which the paper does not report."""

from __future__ import annotations

from typing import Any

from metaeval_hub.analysis.task_titles import type_title
from metaeval_hub.report.document import Section, Shown
from metaeval_hub.report.inputs import Inputs
from metaeval_hub.report.paper_tables import TITLES, numbered, other_tasks, title_of
from metaeval_hub.report.zero_shot import task_type
from metaeval_hub.results.comparison import Comparison, ComparisonError
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.results.task_marks import seen_marks, seen_note


def by_task(inputs: Inputs, found: Comparison | ComparisonError | None, number: int = 0) -> Section | None:
    """Return a section with one record per task and one column per method; None if nothing is compared.

    Args:
        inputs: inputs of the report; tasks whose source lacks splits or rows are marked.
        found: comparison that table 1 shows.
        number: number of the group of runs that share tasks, from 0.
    """
    if not isinstance(found, Comparison):
        return None
    marks = seen_marks(found.tasks, found.encoders)
    records = []
    for place, task in enumerate(found.tasks):
        record: dict[str, Any] = {"task": task, "type": type_title(task_type(task))}
        record |= {"mark": marks[task]} if task in marks else {}
        record |= {} if found.majority is None else {"majority": float(found.majority[place])}
        record |= {label: float(found.values[place, column]) for column, label in enumerate(found.labels)}
        records.append({**record, "lacks": inputs.partial.get(task)})
    methods = [label for label in found.labels if label != "majority"]
    columns = (
        *(Column("task", "task", mark="mark"), Column("type", "type")),
        Column("majority", f"{TITLES['majority']} %", "percent"),
        *(Column(label, f"{title_of(label)} %", "percent") for label in methods),
        *((Column("lacks", "missing in the source"),) if inputs.partial else ()),
    )
    ordered = tuple(sorted(records, key=lambda record: (record["type"], record["task"])))
    table = Table("Test accuracy by task", columns, ordered, tuple(seen_note(found.tasks, found.encoders)))
    title = "Beyond the paper: accuracy by task" + other_tasks(number)
    return Section(title, (Shown(numbered("tasks", number), table),))
