"""Describe a task as data: where its rows are, which columns to read, and what its classes are called.

A declaration is built from the classes of this package. Each class checks its fields when an object is created, so a
mistake in ``tasks/<group>.py`` raises an error that names the task and the field, instead of producing wrong rows.

A row is made from a declaration as follows (``cast.py`` processes a batch of rows at a time):

1. The columns are read from the files of the source.
2. ``Source.steps`` transform the rows (``Stack``, ``Orient``, ``Keep``).
3. ``Source.columns`` maps the source's column names to those that the task uses, where they differ.
4. The task's ``sentence`` (or ``sentence1`` and ``sentence2``) and ``label`` are read from those columns.

A fallback source with other column names therefore needs only ``columns``, and an edition only lists what differs.
"""

from metaeval_datasets.spec.checks import SPLITS, SpecError
from metaeval_datasets.spec.files import Files
from metaeval_datasets.spec.groups import Alone, Groups, RowModulus, SameRow, SameText
from metaeval_datasets.spec.source import AnySource, Embedded, Source, rows_per_source_row
from metaeval_datasets.spec.steps import Keep, Orient, Stack, Step
from metaeval_datasets.spec.task import EDITIONS, EditionName, PaperEdition, TaskSpec, TaskType, normal_name
from metaeval_datasets.spec.texts import After, Before, ConfigText, Items, Join, Replace, Text, text_columns

SpecError.__module__ = __name__  # tracebacks show the public name

__all__ = [
    "EDITIONS",
    "SPLITS",
    "After",
    "Alone",
    "AnySource",
    "Before",
    "ConfigText",
    "EditionName",
    "Embedded",
    "Files",
    "Groups",
    "Items",
    "Join",
    "Keep",
    "Orient",
    "PaperEdition",
    "Replace",
    "RowModulus",
    "SameRow",
    "SameText",
    "Source",
    "SpecError",
    "Stack",
    "Step",
    "TaskSpec",
    "TaskType",
    "Text",
    "normal_name",
    "rows_per_source_row",
    "text_columns",
]
