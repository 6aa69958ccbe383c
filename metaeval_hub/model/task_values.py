"""Check facts about tasks: classes, label vectors, and whether examples are single texts or pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from metaeval_hub.model.label_heads import vector_keys
from metaeval_hub.safe_files.names import class_names, labels_of, task_name
from metaeval_hub.safe_files.printable import shown


def checked_labels(labels: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Check class names and return them by task, as plain strings.

    Raises:
        ValueError: a name could not be stored, or a task has fewer than two distinct classes.
        TypeError: ``labels`` is not a mapping, or gives a string instead of a list of classes.
    """
    if not isinstance(labels, Mapping):
        raise TypeError(
            f"labels is {shown(labels)}; expected task name -> class names, as in {{'my/task': ['no', 'yes']}}"
        )
    return {task_name(task): class_names(task, names) for task, names in labels.items()}


def checked_label_vectors(
    labels: Mapping[str, Sequence[str]], label_vectors: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    """Check names of label vectors against the classes of each task, and return them by task.

    Raises:
        ValueError: the names do not fit the classes.
        TypeError: a string was given instead of a list of names.
    """
    if not isinstance(label_vectors, Mapping | None):
        raise TypeError(
            f"label_vectors is {shown(label_vectors)}; expected task name -> one name of a label vector per class"
        )
    vectors = {str(task): labels_of(task, names, "label_vectors") for task, names in (label_vectors or {}).items()}
    vector_keys(labels, vectors)
    return vectors


def check_fields(task: str, fields: int) -> int:
    """Check the number of texts per example of a task.

    Raises:
        ValueError: it is neither 1 nor 2.
    """
    if isinstance(fields, bool) or fields not in (1, 2):
        raise ValueError(f"{task}: fields is {fields!r}; expected 1 for a task over texts, or 2 for a task over pairs")
    return int(fields)


def check_known(given: Iterable[str], labels: Mapping[str, Sequence[str]]) -> None:
    """Check that facts are given only for tasks that have labels.

    Raises:
        ValueError: a task has no labels; the message names it.
    """
    if odd := sorted(set(given) - set(labels)):
        raise ValueError(f"{odd[0]!r} is not a task of this model: it has no entry in labels")
