"""Load the tasks of MetaEval, all in one schema.

>>> from metaeval_datasets import load_dataset
>>> load_dataset("metaeval", "glue/cola")["train"][0]  # doctest: +SKIP

Importing this package registers the name "metaeval" with ``datasets``. ``load_dataset`` is its own function.
"""

from datasets import load_dataset

from metaeval_datasets.catalog import UnknownTaskError, get_task, list_tasks, select_tasks
from metaeval_datasets.hook import register
from metaeval_datasets.metric import load_metric
from metaeval_datasets.report import Report, read_report
from metaeval_datasets.sources.asking import NoSourceError
from metaeval_datasets.spec import Embedded, PaperEdition, Source, SpecError, TaskSpec, TaskType

register()

__all__ = [
    "Embedded",
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
    "select_tasks",
]
