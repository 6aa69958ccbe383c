"""Load the tasks of MetaEval, all in one schema.

>>> from metaeval_datasets import load_dataset
>>> load_dataset("metaeval", "glue/cola")["train"][0]  # doctest: +SKIP

Importing this package registers the name "metaeval" with ``datasets``. ``load_dataset`` is its own function.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metaeval_datasets.catalog import (
    UnknownTaskError,
    add_plug_ins,
    get_task,
    list_tasks,
    register_task,
    select_tasks,
    unregister_task,
)
from metaeval_datasets.hook import register
from metaeval_datasets.metric import load_metric
from metaeval_datasets.spec import Embedded, Files, PaperEdition, Source, SpecError, TaskSpec, TaskType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datasets import load_dataset

    from metaeval_datasets.own import task_from
    from metaeval_datasets.report import Report, read_report
    from metaeval_datasets.sources.asking import NoSourceError
    from metaeval_datasets.task_file import read_task_file


def _plug_ins() -> "Mapping[str, TaskSpec]":
    from metaeval_datasets.plug_ins import find_tasks

    return find_tasks()


register()
add_plug_ins(_plug_ins)

# Imported on first use: looking at declarations does not wait for ``datasets``.
_PLACES = {
    "NoSourceError": "metaeval_datasets.sources.asking",
    "Report": "metaeval_datasets.report",
    "load_dataset": "datasets",
    "read_report": "metaeval_datasets.report",
    "read_task_file": "metaeval_datasets.task_file",
    "task_from": "metaeval_datasets.own",
}

__all__ = [
    "Embedded",
    "Files",
    "NoSourceError",
    "PaperEdition",
    "Report",
    "Source",
    "SpecError",
    "TaskSpec",
    "TaskType",
    "UnknownTaskError",
    "get_task",
    "list_tasks",
    "load_dataset",
    "load_metric",
    "read_report",
    "read_task_file",
    "register_task",
    "select_tasks",
    "task_from",
    "unregister_task",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
