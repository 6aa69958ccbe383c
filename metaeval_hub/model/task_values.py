"""What is said of tasks, checked: their classes, label rows, and whether their examples are texts or pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from metaeval_hub.model.label_heads import row_keys
from metaeval_hub.safe_files.names import class_names, labels_of, task_name
from metaeval_hub.safe_files.printable import shown


def checked_labels(labels: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return task name -> class names, checked, as plain strings.

    Raises:
        ValueError: a name could not be stored, or classes make no task.
        TypeError: ``labels`` is no mapping, or has one string for a list of classes.
    """
    if not isinstance(labels, Mapping):
        raise TypeError(
            f"labels is {shown(labels)}; expected task name -> class names, as in {{'my/task': ['no', 'yes']}}"
        )
    return {task_name(task): class_names(task, names) for task, names in labels.items()}


def checked_rows(
    labels: Mapping[str, Sequence[str]], label_rows: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    """Return task name -> names of its label rows, checked against its classes.

    Raises:
        ValueError: the names do not fit the classes.
        TypeError: one string was given for a list of names.
    """
    if not isinstance(label_rows, Mapping | None):
        raise TypeError(f"label_rows is {shown(label_rows)}; expected task name -> name of the row of each class")
    rows = {str(task): labels_of(task, names, "label_rows") for task, names in (label_rows or {}).items()}
    row_keys(labels, rows)
    return rows


def check_fields(task: str, fields: int) -> int:
    """Check how many texts an example of a task has.

    Raises:
        ValueError: neither 1 nor 2.
    """
    if isinstance(fields, bool) or fields not in (1, 2):
        raise ValueError(f"{task}: fields is {fields!r}; expected 1 for a task over texts, or 2 for one over pairs")
    return int(fields)


def check_known(given: Iterable[str], labels: Mapping[str, Sequence[str]]) -> None:
    """Check that what is said of tasks is said of tasks that have labels.

    Raises:
        ValueError: names one that has none.
    """
    if odd := sorted(set(given) - set(labels)):
        raise ValueError(f"{odd[0]!r} is not a task of this model: it has no entry in labels")
