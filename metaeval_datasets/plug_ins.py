"""Find the tasks that installed packages contribute through the entry-point group ``metaeval.tasks``.

An entry point names a function without arguments, an iterable of ``TaskSpec``, or the path of a task file; a function
returns one of the others. Entry points are read when a task is looked up that is neither in the catalogue nor
registered, or when tasks are listed. Reading one imports its package, which runs the code of that package, as any
import does. A plug-in that fails is named in a warning, and its tasks are missing; of a task file, only the tasks whose
entries are wrong are missing.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from metaeval_datasets.catalog import check_own_name
from metaeval_datasets.spec import TaskSpec
from metaeval_datasets.task_file import usable_tasks

GROUP = "metaeval.tasks"

logger = logging.getLogger(__name__)
_found: list[dict[str, TaskSpec]] = []  # the result of the first call; empty before it


def find_tasks() -> Mapping[str, TaskSpec]:
    """Return name -> declaration of the tasks of all plug-ins; they are only read once per process."""
    if not _found:
        _found.append({})  # a plug-in that looks up tasks while it is read finds none of other plug-ins
        for entry in entry_points(group=GROUP):
            _add(entry, _found[0])
    return _found[0]


def _add(entry: EntryPoint, tasks: dict[str, TaskSpec]) -> None:
    package = f" of {entry.dist.name}" if entry.dist is not None else ""
    try:
        specs = _specs(entry.load())
        for spec in specs:
            check_own_name(spec.name)
            if spec.name in tasks:
                raise ValueError(f"task {spec.name} is also in another plug-in")
        tasks.update({spec.name: dataclasses.replace(spec, in_101=False) for spec in specs})
    except Exception as error:  # a package that others wrote must not end this program
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        logger.warning("tasks of the plug-in %s%s (%s) cannot be used: %s", entry.name, package, entry.value, reason)


def _specs(loaded: Any) -> list[TaskSpec]:
    """Return the tasks that an entry point contributes, after checking all of them."""
    given = loaded() if callable(loaded) else loaded
    if isinstance(given, str | os.PathLike):
        return usable_tasks(given)[0]
    specs = list(given) if isinstance(given, Iterable) else [given]
    for spec in specs:
        if not isinstance(spec, TaskSpec):
            raise TypeError(
                f"expected TaskSpec, a path of a task file, or a function that returns them, got {spec!r:.80}"
            )
    return specs
