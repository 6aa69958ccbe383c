"""Decide which classes share a label vector: those of different tasks that have the same canonical name."""

from __future__ import annotations

from metaeval_datasets import get_task
from metaeval_training.data.rows import TaskRows


def canonical_labels(task: TaskRows) -> tuple[str, ...]:
    """Return the canonical names of a task's classes; tasks with the same name can share its label vector."""
    return get_task(task.catalogue_name).edition(task.edition).canonical
