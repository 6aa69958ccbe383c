"""Read the task embeddings of a run together with its results, task features and distances from the random start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metaeval_datasets.catalog import UnknownTaskError, get_task
from metaeval_hub.analysis.controls import base_name, check_controls
from metaeval_hub.analysis.distance_from_start import check_start_cosines
from metaeval_hub.hub.names import local_folder
from metaeval_hub.hub.repo_state import repo_state
from metaeval_hub.results.run_results import (
    CONFIG,
    RESULTS,
    SourceRows,
    at_home,
    is_run,
    name_of,
    read_results,
    read_runs,
    read_source_rows,
    without_results,
)
from metaeval_hub.results.schema import RunFacts, TaskResult
from metaeval_hub.task_data.task_embeddings import NAMES_FILE, TaskEmbeddings
from metaeval_hub.task_data.task_features import TABLE_FILE, TaskFeatures

EMBEDDINGS, MODEL = "task_embeddings", "model"  # sub-folders of a run
UNKNOWN = "unknown"  # type of a task outside the catalogue
# Where runs without task embeddings of their own have task vectors: TextEmb, Fisher, models of zero-shot experiments.
VECTOR_PATTERNS = ("*", "*/*", f"train/*/*/{EMBEDDINGS}")


@dataclass(frozen=True, eq=False)
class EmbeddedRun:
    """A run with task embeddings.

    Args:
        name: name in tables.
        place: folder or Hub id that the run was read from.
        embeddings: task embeddings of n tasks.
        features: features of the tasks; None if they are not stored.
        start_cosines: (n,) cosine of each task's z with its random start; None if it is not stored.
        results: task -> its result; empty if the run has none.
        facts: facts about the run as a whole.
        source_rows: task -> splits and rows that its source provided; empty if the run does not state them.
    """

    name: str
    place: str
    embeddings: TaskEmbeddings
    features: TaskFeatures | None = None
    start_cosines: NDArray[np.float64] | None = None
    results: Mapping[str, TaskResult] = field(default_factory=dict)
    facts: RunFacts = field(default_factory=RunFacts)
    source_rows: Mapping[str, SourceRows] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in order."""
        return self.embeddings.names

    @property
    def kinds(self) -> tuple[str, ...]:
        """Type of each task, by the catalogue, or as stored with the run."""
        stored = {} if self.features is None else {entry.task: entry.type.value for entry in self.features.aspects}
        return tuple(task_kind(base_name(name)) or stored.get(name, UNKNOWN) for name in self.tasks)

    def check(self, *, force: bool = False) -> tuple[str, str]:
        """Refuse a run whose z is noise, as far as this is known.

        Args:
            force: whether to return a warning instead of raising an error.

        Returns:
            Two sentences to show with the results: a warning if z is near its random start, else ""; and what the
            control tasks of the run show.

        Raises:
            NoInformationError: z is close to its random start, or does not tell twins apart; and ``force`` is False.
        """
        start = check_start_cosines(self.start_cosines, self.name, force=force)
        return start or "", check_controls(self.embeddings, self.name, force=force)

    def select(self, tasks: Sequence[str]) -> EmbeddedRun:
        """Restrict the run to the given tasks, in the given order.

        Raises:
            KeyError: the run lacks a task.
        """
        places = [self.embeddings.index(name) for name in tasks]
        features = self.features
        if features is not None:
            features = features.select(tasks) if set(tasks) <= set(features.names) else None
        start_cosines = None if self.start_cosines is None else self.start_cosines[places]
        return replace(self, embeddings=self.embeddings.select(tasks), features=features, start_cosines=start_cosines)


def task_kind(name: str) -> str | None:
    """Return the type of a task, or None if the catalogue lacks the task."""
    try:
        return str(get_task(name).type.value)
    except UnknownTaskError:
        return None


def read_embedded(place: str, name: str | None = None) -> EmbeddedRun:
    """Read a run.

    Args:
        place: the folder of a run; a folder of task embeddings; the folder or Hub id of a model; or the Hub id of a
            dataset of task embeddings.
        name: name in tables, by default the last part of ``place``.

    Raises:
        ValueError: the place has no task embeddings, or the run is not finished.
        OSError: the files cannot be read or downloaded.
    """
    folder = at_home(place)
    name = name or (name_of(folder) if folder.exists() else place)
    if (folder / RESULTS).is_file() and (folder / EMBEDDINGS / NAMES_FILE).is_file():
        run = read_results(folder / RESULTS, name)
        embeddings = TaskEmbeddings.load(folder / EMBEDDINGS)
        cosines = [run.tasks[task].cos_z_z0 if task in run.tasks else None for task in embeddings.names]
        start_cosines = None if None in cosines else np.array(cosines, np.float64)
        features = stored_features(folder / MODEL, embeddings.names)
        read = read_source_rows(folder)
        return EmbeddedRun(name, place, embeddings, features, start_cosines, run.tasks, run.facts, read)
    if (folder / NAMES_FILE).is_file():
        embeddings = TaskEmbeddings.load(folder)
        features = stored_features(folder, embeddings.names)
        return EmbeddedRun(name, place, embeddings, features, None if features is None else features.cosine_with_start)
    if folder.is_dir():
        _refuse_other_runs(place, folder)
    return _read_model(place, name)


def _refuse_other_runs(place: str, folder: Path) -> None:
    """Raise an error that explains why a folder has no task embeddings, unless it is the folder of a model.

    Raises:
        ValueError: it is a run without task embeddings, an unfinished run, or another folder.
    """
    is_model = (folder / CONFIG).is_file() and not is_run(folder)
    if (folder / RESULTS).is_file() or (not is_model and any(folder.glob(f"*/{RESULTS}"))):
        found = [file.parent for pattern in VECTOR_PATTERNS for file in sorted(folder.glob(f"{pattern}/{NAMES_FILE}"))]
        others = f"; these folders have some: {', '.join(map(str, found))}" if found else ""
        raise ValueError(
            f"{place} has no task embeddings of its own{_describe_run(folder)}; expected a run of "
            f"training/multitask.py with a z, a folder of task embeddings, or a model{others}"
        )
    if is_run(folder):
        raise without_results(folder)
    if not is_model:
        raise ValueError(
            f"{place} has neither a {RESULTS} nor a {NAMES_FILE} nor the {CONFIG} of a run or a model; expected one "
            "of these folders"
        )


def _describe_run(folder: Path) -> str:
    """Describe the experiment or methods of the results in a folder; return "" if they contain no scores."""
    runs = read_runs(folder)
    if any(run.tasks and not any(result.test or result.validation for result in run.tasks.values()) for run in runs):
        return ""  # written by training/task_vectors.py
    if experiment := next((run.facts.experiment for run in runs if run.facts.experiment), None):
        return f": it is a run of the experiment {experiment}"
    names = [run.facts.method or str(run.facts.settings.get("conditioning") or "another method") for run in runs]
    return f": it is a run of {', '.join(dict.fromkeys(names))}"


def _read_model(place: str, name: str) -> EmbeddedRun:
    from metaeval_hub.model.model import ConditionalAdapterModel  # imports torch

    try:
        folder = local_folder(place)
    except ValueError as error:
        raise ValueError(f"{error}; expected the folder of a run, such as runs/multitask-1") from None
    if folder is None and repo_state(place) is None:  # not a model, so a dataset of task embeddings
        return EmbeddedRun(name, place, TaskEmbeddings.from_hub(place))
    model = ConditionalAdapterModel.from_pretrained(place)
    features = model.features
    if features is not None:
        features = features.select(model.task_names) if set(model.task_names) <= set(features.names) else None
    return EmbeddedRun(
        name, place, model.task_embeddings, features, None if features is None else features.cosine_with_start
    )


def stored_features(folder: Path, tasks: Sequence[str]) -> TaskFeatures | None:
    """Return the stored features of the given tasks, in this order; None unless the folder has features of all of them.

    Raises:
        UnsafeRepositoryError: the files do not have the expected form.
    """
    if not (folder / TABLE_FILE).is_file():
        return None
    features = TaskFeatures.load(folder)
    return features.select(tasks) if set(tasks) <= set(features.names) else None


def read_all(places: Sequence[str]) -> list[EmbeddedRun]:
    """Read several runs; runs with the same name are named by their places.

    Raises:
        ValueError, OSError: see `read_embedded`.
    """
    runs = [read_embedded(place) for place in places]
    names = [run.name for run in runs]
    return [run if names.count(run.name) == 1 else replace(run, name=run.place) for run in runs]


def same_tasks(runs: Sequence[EmbeddedRun], least: int = 1) -> list[EmbeddedRun]:
    """Restrict runs to the tasks that all of them have, in the order of the first run.

    Raises:
        ValueError: fewer than ``least`` tasks are in all runs.
    """
    common = [task for task in runs[0].tasks if all(task in run.tasks for run in runs[1:])]
    if len(common) < least:
        counts = ", ".join(f"{run.name}: {len(run.tasks)}" for run in runs)
        raise ValueError(f"{len(common)} tasks are in all runs ({counts}); expected at least {least}")
    return [run.select(common) for run in runs]
