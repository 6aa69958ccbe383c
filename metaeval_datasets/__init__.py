"""Load the tasks of MetaEval, all in one schema.

>>> from metaeval_datasets import load_dataset
>>> load_dataset("metaeval", "glue/cola")["train"][0]  # doctest: +SKIP

Importing this package registers the name "metaeval" with ``datasets``. ``load_dataset`` is its own function.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metaeval_datasets.catalog import (
    UnknownTaskError,
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
    from datasets import load_dataset

    from metaeval_datasets.own import task_from
    from metaeval_datasets.report import Report, read_report
    from metaeval_datasets.sources.asking import NoSourceError

register()

# Imported on first use: looking at declarations does not wait for ``datasets``.
_PLACES = {
    "NoSourceError": "metaeval_datasets.sources.asking",
    "Report": "metaeval_datasets.report",
    "load_dataset": "datasets",
    "read_report": "metaeval_datasets.report",
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
    "register_task",
    "select_tasks",
    "task_from",
    "unregister_task",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
