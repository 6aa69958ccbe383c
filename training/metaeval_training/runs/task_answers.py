"""Answer one task with every method of a script, and store each answer in a file of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaeval_datasets import NoSourceError
from metaeval_training.data.rows import DataError, TaskRows
from metaeval_training.runs.folder import RunFolder

Answer = tuple[dict[str, Any], str]  # what is stored for a task, as JSON values; a few words to show
Show = Callable[[str], None]
TaskMethod = Callable[[TaskRows, Show], Answer]  # rows of a task, function that shows progress


@dataclass(frozen=True)
class TaskEnd:
    """How the work on a task ended.

    Attributes:
        name: the task.
        shown: words about its new answers.
        failed: the reason if a method failed; "" otherwise.
        seconds: time that the work took.
    """

    name: str
    shown: str = ""
    failed: str = ""
    seconds: float = 0.0


def task_file(run: RunFolder, method: str, task: str) -> Path:
    """Return the path of the answer of a method to a task."""
    return run.path / method / "tasks" / f"{task}.json"


def stored_answer(run: RunFolder, method: str, task: str) -> dict[str, Any] | None:
    """Return the stored answer of a method to a task; None if it is missing or damaged."""
    return run.read_sealed(task_file(run, method, task))


def answer_task(
    run: RunFolder, methods: Mapping[str, TaskMethod], name: str, load: Callable[[str], TaskRows], show: Show
) -> TaskEnd:
    """Run every method that has no stored answer on one task, and store its answer with the "seconds" that it took.

    Args:
        run: the run.
        methods: name -> function of the rows of a task.
        name: name of the task.
        load: loads its rows.
        show: shows the progress.

    Raises:
        OSError: an answer could not be stored.
    """
    begun, words = time.monotonic(), []
    rows: TaskRows | None = None
    show(name)
    for method, work in methods.items():
        if stored_answer(run, method, name) is not None:
            continue
        started = time.monotonic()
        try:
            rows = rows or load(name)
            answer, about = work(rows, show)
        except Exception as error:  # whatever the reason, it is reported with the task's name
            known = isinstance(error, DataError | NoSourceError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            return TaskEnd(name, failed=reason, seconds=time.monotonic() - begun)
        file = task_file(run, method, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        run.write_sealed(file, {**answer, "seconds": time.monotonic() - started})
        words.append(f"{method} {about}")
    return TaskEnd(name, ", ".join(words), seconds=time.monotonic() - begun)
