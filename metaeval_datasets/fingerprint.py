"""Name prepared data in caches: by the declaration of a task and by explicit versions of what the code does.

Raise a version when the same input gives another output, so that caches written before are ignored. Comments, moved
modules and refactorings leave it as it is. ``tests/metaeval_datasets/test_fingerprint.py`` compares the output on fixed
input with the output that was recorded for each version, and fails if one changes without the other.
"""

from __future__ import annotations

import hashlib

from metaeval_datasets.spec import TaskSpec

ROWS_VERSION = 1  # rows and report of a task: what is read, converted, dropped, and which split a row goes to
ASPECTS_VERSION = 1  # aspects of a task: counted words, medians, quartiles
OVERLAP_VERSION = 1  # which texts count as the same, and which rows are left out for it


def rows_version() -> str:
    """Return the name of the current version of the rows, a part of the names of prepared tasks."""
    return f"rows-{ROWS_VERSION}"


def task_hash(spec: TaskSpec, *others: str) -> str:
    """Return 16 hexadecimal digits that change with a declaration and with other texts."""
    return hashlib.sha256("\n".join([spec.digest(), *others]).encode()).hexdigest()[:16]
