"""Read the task embeddings of a run, and what is stored beside them: results, features, how far z moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metaeval_datasets.catalog import UnknownTaskError, get_task
from metaeval_hub.analysis.distance_from_start import check_start_cosines
from metaeval_hub.hub.client import local_folder, repo_state
from metaeval_hub.results.run_results import CONFIG, RESULTS, at_home, is_run, read_results, read_runs, without_results
from metaeval_hub.results.schema import RunFacts, TaskResult
from metaeval_hub.task_data.task_embeddings import NAMES_FILE, TaskEmbeddings
from metaeval_hub.task_data.task_features import TABLE_FILE, TaskFeatures

EMBEDDINGS, MODEL = "task_embeddings", "model"  # folders of a run
UNKNOWN = "unknown"  # type of a task that is in no catalogue
# Where a run without task embeddings of its own may hold vectors of tasks: TextEmb, Fisher, what zero-shot trained.
INNER = ("*", "*/*", f"train/*/*/{EMBEDDINGS}")


@dataclass(frozen=True, eq=False)
class EmbeddedRun:
    """A run with task embeddings.

    Args:
        name: what it is called in tables.
        place: folder or Hub id it was read from.
        embeddings: its n tasks.
        features: what is known of the tasks without labels; None where it is not stored.
        moved: (n,) cosine of each task's z with its random start; None where it is not stored.
        rows: task -> its results; empty where there are none.
        facts: of the run as a whole.
    """

    name: str
    place: str
    embeddings: TaskEmbeddings
    features: TaskFeatures | None = None
    start_cosines: NDArray[np.float64] | None = None
    results: Mapping[str, TaskResult] = field(default_factory=dict)
    facts: RunFacts = field(default_factory=RunFacts)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, in order."""
        return self.embeddings.names

    @property
    def kinds(self) -> tuple[str, ...]:
        """Type of each task, by the catalogue, or as stored with the run."""
        stored = {} if self.features is None else {entry.task: entry.type.value for entry in self.features.aspects}
        return tuple(task_kind(name) or stored.get(name, UNKNOWN) for name in self.tasks)

    def check(self, *, force: bool = False) -> str | None:
        """Refuse a run whose z is still its random start; see ``check_start_cosines``."""
        return check_start_cosines(self.start_cosines, self.name, force=force)

    def select(self, tasks: Sequence[str]) -> EmbeddedRun:
        """The same run on some of its tasks, in the order given.

        Raises:
            KeyError: it lacks one.
        """
        rows = [self.embeddings.index(name) for name in tasks]
        features = self.features
        if features is not None:
            features = features.select(tasks) if set(tasks) <= set(features.names) else None
        start_cosines = None if self.start_cosines is None else self.start_cosines[rows]
        return replace(self, embeddings=self.embeddings.select(tasks), features=features, start_cosines=start_cosines)


def task_kind(name: str) -> str | None:
    """Type of a task of the catalogue, or None."""
    try:
        return str(get_task(name).type.value)
    except UnknownTaskError:
        return None


def read_embedded(place: str, name: str | None = None) -> EmbeddedRun:
    """Read a run.

    Args:
        place: the folder of a run; a folder of task embeddings; the folder or Hub id of a model; or the Hub id of a
            dataset of task embeddings.
        name: what to call it; by default the last part of ``place``.

    Raises:
        ValueError: there is nothing of the kind, the run is not finished, or its method has no task embeddings.
        OSError: the Hub does not give it.
    """
    folder = at_home(place)
    name = name or (folder.resolve().name if folder.exists() else place)
    if (folder / RESULTS).is_file() and (folder / EMBEDDINGS / NAMES_FILE).is_file():
        run = read_results(folder / RESULTS, name)
        embeddings = TaskEmbeddings.load(folder / EMBEDDINGS)
        cosines = [run.tasks[task].cos_z_z0 if task in run.tasks else None for task in embeddings.names]
        start_cosines = None if None in cosines else np.array(cosines, np.float64)
        features = stored_features(folder / MODEL, embeddings.names)
        return EmbeddedRun(name, place, embeddings, features, start_cosines, run.tasks, run.facts)
    if (folder / NAMES_FILE).is_file():
        embeddings = TaskEmbeddings.load(folder)
        features = stored_features(folder, embeddings.names)
        return EmbeddedRun(name, place, embeddings, features, None if features is None else features.moved)
    if folder.is_dir():
        _refuse_other_runs(place, folder)
    return _read_model(place, name)


def _refuse_other_runs(place: str, folder: Path) -> None:
    """Nothing for a model's folder.

    Raises:
        ValueError: it is the folder of a run without task embeddings, of an unfinished run, or of nothing of the kind.
    """
    is_model = (folder / CONFIG).is_file() and not is_run(folder)
    if (folder / RESULTS).is_file() or (not is_model and any(folder.glob(f"*/{RESULTS}"))):
        found = [file.parent for pattern in INNER for file in sorted(folder.glob(f"{pattern}/{NAMES_FILE}"))]
        others = f"; there are some in {', '.join(map(str, found))}" if found else ""
        raise ValueError(
            f"{place} has no task embeddings of its own{_what_it_is(folder)}; expected a run of training/multitask.py "
            f"with a z, a folder of task embeddings, or a model{others}"
        )
    if is_run(folder):
        raise without_results(folder)
    if not is_model:
        raise ValueError(
            f"{place} has neither {RESULTS} nor {NAMES_FILE} nor the {CONFIG} of a run or a model: it is none of these"
        )


def _what_it_is(folder: Path) -> str:
    """The experiment or methods of the results in a folder, in a few words; nothing where they are no scores."""
    runs = read_runs(folder)
    if any(run.tasks and not any(row.test or row.validation for row in run.tasks.values()) for run in runs):
        return ""  # of training/task_vectors.py
    if experiment := next((run.facts.experiment for run in runs if run.facts.experiment), None):
        return f": it is a run of the experiment {experiment}"
    names = [run.facts.method or str(run.facts.settings.get("conditioning") or "another method") for run in runs]
    return f": it is a run of {', '.join(dict.fromkeys(names))}"


def _read_model(place: str, name: str) -> EmbeddedRun:
    from metaeval_hub.model.model import ConditionalAdapterModel  # imports torch

    if local_folder(place) is None and repo_state(place) is None:  # it is no model
        return EmbeddedRun(name, place, TaskEmbeddings.from_hub(place))
    model = ConditionalAdapterModel.from_pretrained(place)
    features = model.features
    if features is not None:
        features = features.select(model.task_names) if set(model.task_names) <= set(features.names) else None
    return EmbeddedRun(name, place, model.task_embeddings, features, None if features is None else features.moved)


def stored_features(folder: Path, tasks: Sequence[str]) -> TaskFeatures | None:
    """Features stored in a folder, of these tasks in this order; None where there are none, or not of all tasks.

    Raises:
        UnsafeRepositoryError: the files are not of the expected form.
    """
    if not (folder / TABLE_FILE).is_file():
        return None
    features = TaskFeatures.load(folder)
    return features.select(tasks) if set(tasks) <= set(features.names) else None


def read_all(places: Sequence[str]) -> list[EmbeddedRun]:
    """Read several runs; where two folders have one name, runs are called by their places.

    Raises:
        ValueError, OSError: see `read_embedded`.
    """
    runs = [read_embedded(place) for place in places]
    names = [run.name for run in runs]
    return [run if names.count(run.name) == 1 else replace(run, name=run.place) for run in runs]


def same_tasks(runs: Sequence[EmbeddedRun], least: int = 1) -> list[EmbeddedRun]:
    """The runs on the tasks that all of them have, in the order of the first.

    Raises:
        ValueError: they have fewer than ``least`` in common.
    """
    common = [task for task in runs[0].tasks if all(task in run.tasks for run in runs[1:])]
    if len(common) < least:
        counts = ", ".join(f"{run.name}: {len(run.tasks)}" for run in runs)
        raise ValueError(f"{len(common)} tasks are in all runs ({counts}); expected at least {least}")
    return [run.select(common) for run in runs]
