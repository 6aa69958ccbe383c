"""List the tasks of the collection, and your own tasks.

Names and conditions are combined: metaeval tasks glue pragmeval --type nli --max-rows 10000. Numbers of rows are the
declared rows of the official train split, or of the test split if a task has no other. A terminal too narrow for all
columns does not show the last ones; pipes and --json always contain everything.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from metaeval_hub.cli.places import add_task_file
from metaeval_hub.results.terminal import make_console, print_columns

if TYPE_CHECKING:
    from rich.console import Console

    from metaeval_datasets import TaskSpec

# Same as TaskType, which is not imported because `metaeval --help` would take seconds.
TYPES = (
    *("acceptability", "discourse", "emotion", "facticity", "grammar", "nli", "paraphrase_detection"),
    "other",
)
COLUMNS = (
    "task",
    "type",
    "classes",
    "rows",
    "fields",
    "licence",
)  # the last columns are dropped first if there is no room


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "names",
        nargs="*",
        help="tasks and groups, such as pragmeval or glue/cola, or all (default: all, without demo tasks)",
    )
    parser.add_argument(
        "--type", nargs="+", metavar="TYPE", choices=TYPES, help="only tasks of these types: " + ", ".join(TYPES),
    )  # fmt: skip
    parser.add_argument("--fields", type=int, choices=(1, 2), help="only tasks with this number of text fields")
    parser.add_argument("--min-rows", type=int, metavar="N", help="only tasks with at least N rows")
    parser.add_argument("--max-rows", type=int, metavar="N", help="only tasks with at most N rows")
    parser.add_argument(
        "--license", nargs="+", metavar="LICENCE", help="only tasks under one of these licences, as declared"
    )
    parser.add_argument("--in-101", action="store_true", help="only the 101 tasks of the paper")
    parser.add_argument("--json", action="store_true", help="print JSON, one object per task")
    add_task_file(parser)


def run(options: argparse.Namespace) -> None:
    """Print the tasks that meet all conditions."""
    specs = [spec for spec in _named(options.names) if _meets(spec, options)]
    if options.license:
        _check_licenses(options.license)
    unknown = 0
    if options.min_rows is not None or options.max_rows is not None:
        sized = [spec for spec in specs if size(spec) is not None]
        unknown = len(specs) - len(sized)
        least, most = options.min_rows or 0, options.max_rows
        specs = [spec for spec in sized if least <= (size(spec) or 0) and (most is None or (size(spec) or 0) <= most)]
    if options.json:
        print(json.dumps([_facts(spec) for spec in specs], indent=1, ensure_ascii=False))
    else:
        _show(make_console(), specs)
    if unknown:
        print(f"not listed: {unknown} tasks whose number of rows is not declared", file=sys.stderr)


def size(spec: TaskSpec) -> int | None:
    """Return the declared rows of the official train split, or of the test split if a task has no other."""
    return declared_rows(spec)["train" if "train" in spec.splits else spec.splits[-1]]


def declared_rows(spec: TaskSpec) -> dict[str, int | None]:
    """Return official split -> rows of the task (one source row can give several); None if unknown."""
    from metaeval_datasets.spec import rows_per_source_row

    factor = rows_per_source_row(spec.sources[0])
    return {split: None if (rows := spec.rows.get(split)) is None else rows * factor for split in spec.splits}


def _named(names: list[str]) -> list[TaskSpec]:
    from metaeval_datasets import get_task, list_tasks, select_tasks

    return [get_task(name) for name in (select_tasks(names) if names else list_tasks())]


def _meets(spec: TaskSpec, options: argparse.Namespace) -> bool:
    return (
        (options.type is None or spec.type.value in options.type)
        and (options.fields is None or spec.num_text_fields == options.fields)
        and (not options.in_101 or spec.in_101)
        and (options.license is None or spec.license.lower() in [name.lower() for name in options.license])
    )


def _check_licenses(licenses: list[str]) -> None:
    from metaeval_datasets import get_task, list_tasks

    known = sorted({get_task(name).license for name in [*list_tasks(), *list_tasks(group="demo")]})
    for name in licenses:
        if name.lower() not in known:
            raise ValueError(f"no task has the licence {name!r}; expected one of {', '.join(known)}")


def _facts(spec: TaskSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "type": spec.type.value,
        "fields": spec.num_text_fields,
        "classes": list(spec.names),
        "train_rows": declared_rows(spec).get("train"),
        "rows": declared_rows(spec),
        "license": spec.license,
        "in_101": spec.in_101,
        "editions": ["careful"] if spec.paper is None else ["careful", "paper"],
    }


def _show(console: Console, specs: list[TaskSpec]) -> None:
    numbers = [place for place, name in enumerate(COLUMNS) if name in ("classes", "rows", "fields")]
    if specs:
        print_columns(console, COLUMNS, [_cells(spec) for spec in specs], numbers=numbers, hint="--json")
    console.print(f"{len(specs)} task{'s' * (len(specs) != 1)}")


def _cells(spec: TaskSpec) -> tuple[str, ...]:
    rows = size(spec)
    return (
        *(spec.name, spec.type.value.replace("_", " "), str(len(spec.names)), "?" if rows is None else f"{rows:,}"),
        *(str(spec.num_text_fields), spec.license),
    )
