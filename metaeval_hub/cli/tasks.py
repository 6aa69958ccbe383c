"""List the tasks of the collection."""

from __future__ import annotations

import argparse
import json

from metaeval_datasets import get_task, list_tasks
from metaeval_datasets.spec import TaskType


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--group", help="tasks of one group, such as glue or pragmeval; demo for the demo tasks")
    parser.add_argument("--type", choices=[kind.value for kind in TaskType], help="tasks of one type")
    parser.add_argument("--fields", type=int, choices=(1, 2), help="tasks over one sentence, or over pairs")
    parser.add_argument("--license", help="tasks of one licence, as declared")
    parser.add_argument("--in-101", action="store_true", help="only the 101 tasks of the paper")
    parser.add_argument("--json", action="store_true", help="print JSON: one object a task")


def run(options: argparse.Namespace) -> None:
    """Print the tasks that meet the conditions."""
    names = list_tasks(
        group=options.group,
        type=options.type,
        fields=options.fields,
        license=options.license,
        in_101=True if options.in_101 else None,
    )
    specs = [get_task(name) for name in names]
    if options.json:
        rows = [
            {
                "name": spec.name,
                "type": spec.type.value,
                "fields": spec.num_text_fields,
                "classes": list(spec.names),
                "train_rows": spec.rows.get("train"),
                "license": spec.license,
                "in_101": spec.in_101,
            }
            for spec in specs
        ]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "type", "fields", "classes", "train rows", "licence", box=None, header_style="bold")
    for column in table.columns[2:5]:
        column.justify = "right"
    for spec in specs:
        train_rows = spec.rows.get("train")
        table.add_row(
            spec.name,
            spec.type.value.replace("_", " "),
            str(spec.num_text_fields),
            str(len(spec.names)),
            f"{train_rows:,}" if train_rows else "-",
            spec.license,
        )
    Console().print(table)
    Console().print(f"{len(specs)} tasks")
