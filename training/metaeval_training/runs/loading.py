"""Load the tasks of a multitask run and report which tasks and rows are left out."""

from __future__ import annotations

from collections.abc import Sequence

from accelerate import Accelerator

from metaeval_datasets import UnknownTaskError
from metaeval_training.config import ConfigError, TrainConfig
from metaeval_training.data.cache import DataCache
from metaeval_training.data.controls import add_controls
from metaeval_training.data.rows import TaskRows, expand_tasks, load_tasks, row_choice
from metaeval_training.runs.reporter import Reporter, shorten


def load_rows(
    config: TrainConfig, accelerator: Accelerator, reporter: Reporter, cache: DataCache
) -> tuple[list[TaskRows], dict[str, str]]:
    """Load the tasks that the settings ask for, and report what was left out.

    One process of each machine loads first, so that the others find the tasks in the cache.

    Returns:
        The tasks; and task -> why it was left out.

    Raises:
        ConfigError: a task or group is unknown, or no task is left.
        DataError: tasks failed to load.
    """
    names, held_out = _task_names(config)
    with accelerator.local_main_process_first(), reporter.progress("loading tasks", len(names)) as display:
        done = iter(range(1, len(names) + 1))
        tasks, skipped = load_tasks(
            names,
            row_choice(config),
            decontaminate=config.decontaminate,
            held_out=held_out,
            skip_unavailable=config.skip_unavailable,
            cache=cache,
            on_task=lambda name: display.update(next(done), name),
            on_split=lambda task, split: display.update(len(names), f"comparing texts: {task} {split}"),
        )
    for name, reason in skipped.items():
        reporter.warn(f"left out {name}: {shorten(reason)}")
    _report_sources(tasks, reporter)
    _report_left_out_rows(tasks, config, reporter)
    return add_controls(tasks, config), skipped


def _task_names(config: TrainConfig) -> tuple[list[str], list[str]]:
    """Return the tasks to train on and the held-out ones."""
    held_out = _expand("--held-out", config.held_out)
    names = [name for name in _expand("--tasks", config.tasks) if name not in held_out]
    if not names:
        raise ConfigError("--held-out contains all of the --tasks; leave at least one task to train on")
    return names, held_out


def _expand(flag: str, names: Sequence[str]) -> list[str]:
    try:
        return expand_tasks(names)
    except UnknownTaskError as error:
        raise ConfigError(f"{flag}: {error}") from error


def _report_sources(tasks: Sequence[TaskRows], reporter: Reporter) -> None:
    notes = (
        ("come from a fallback source", [task.name for task in tasks if task.origin["passed_over"]]),
        ("lack a part that their source should have", [task.name for task in tasks if task.origin["missing"]]),
    )
    for note, names in notes:
        if names:
            reporter.line(f"{len(names)} tasks {note} (see data.json): {shorten(', '.join(names))}")


def _report_left_out_rows(tasks: Sequence[TaskRows], config: TrainConfig, reporter: Reporter) -> None:
    counts = {task.name: task.left_out for task in tasks if task.left_out}
    if counts:
        most_first = sorted(counts, key=lambda name: -counts[name])
        unit = "whole texts" if config.decontaminate == "whole" else "texts or sentences"
        reporter.line(
            f"left out {sum(counts.values()):,} training rows of {len(counts)} tasks whose {unit} are in evaluation "
            f"splits (see data.json): {shorten(', '.join(f'{name} {counts[name]:,}' for name in most_first))}"
        )
