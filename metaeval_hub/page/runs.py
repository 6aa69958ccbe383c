"""Collect what the page shows about a run and its tasks, from the run's files, the catalogue and the tasks' data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from metaeval_datasets.aspects import aspects_of
from metaeval_datasets.catalog import DEMO_GROUP, UnknownTaskError, get_task
from metaeval_datasets.schema import LABEL
from metaeval_datasets.sources.opening import read_splits
from metaeval_datasets.spec import TaskSpec, rows_per_source_row
from metaeval_datasets.splits import split_rule, training_rows
from metaeval_hub.analysis.embedded_runs import UNKNOWN, EmbeddedRun
from metaeval_hub.analysis.projection import ProjectionMethod
from metaeval_hub.analysis.task_titles import type_title
from metaeval_hub.page.content import NOT_KNOWN, TASK_TYPE, TRAINING_ROWS, Example, Space, TaskFacts, make_space
from metaeval_hub.results.schema import TaskResult

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

# Licences that allow sharing a few short texts with the name of their source, which the page shows.
OPEN_LICENSES = frozenset(
    ["apache-2.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "mit", "odc-by"]
)
MOST_EXAMPLES = 4  # per task, each of a different class
MOST_CHARACTERS = 200  # longer texts are shortened

Which = Literal["none", "demo", "open", "all"]


def space_of(run: EmbeddedRun, *, methods: Sequence[ProjectionMethod], seed: int = 0, force: bool = False) -> Space:
    """Return what the page shows about a run.

    Args:
        run: result of ``read_embedded``.
        methods: projections; the page opens with the first. One that needs more tasks is left out.
        seed: random seed of UMAP.
        force: whether to show a run whose z is noise.

    Raises:
        NoInformationError: see ``EmbeddedRun.check``.
        ValueError: there are too few tasks.
    """
    rows = [run.results.get(task, TaskResult()) for task in run.tasks]
    statistics = {
        "test": [math.nan if row.test is None else row.test.accuracy for row in rows],
        "validation": [math.nan if row.validation is None else row.validation.accuracy for row in rows],
        "majority": [math.nan if row.majority is None else row.majority for row in rows],
        "cos_z_z0": [math.nan] * len(rows) if run.start_cosines is None else run.start_cosines.tolist(),
        "train_rows": [row.rows["train"].kept if "train" in row.rows else math.nan for row in rows],
        "test_rows": [row.rows["test"].kept if "test" in row.rows else math.nan for row in rows],
    }
    statistics = {key: values for key, values in statistics.items() if not all(map(math.isnan, values))}
    warning, control = run.check(force=force)
    return make_space(
        run.name,
        run.embeddings,
        methods=methods,
        seed=seed,
        statistics=statistics,
        about=_about(run) | {"Control tasks": control.removeprefix(f"{run.name}: ")},
        warning=warning,
    )


def _about(run: EmbeddedRun) -> dict[str, str]:
    """Return the known facts about a run."""
    facts = run.facts
    found = {
        "Encoder": facts.encoder,
        "Conditioning": facts.settings.get("conditioning"),
        "Size of z": run.embeddings.values.shape[-1],
        "Training steps": None if facts.steps is None else f"{facts.steps:,}",
        "Seed": facts.seed,
        "Written by": None if facts.version is None else f"metaeval {facts.version}",
    }
    return {title: str(value) for title, value in found.items() if value is not None}


# --- Tasks ----------------------------------------------------------------------------------------------------------


def facts_of(runs: Sequence[EmbeddedRun]) -> dict[str, TaskFacts]:
    """Return the facts about tasks that the catalogue and the runs' results provide, without reading data."""
    domains: dict[str, str] = {}
    if features := next(
        (run.features for run in runs if run.features is not None), None
    ):  # cluster numbers are comparable only within one table
        clusters = features.classes("domain_cluster").tolist()
        domains = {task: f"Cluster {cluster + 1}" for task, cluster in zip(features.names, clusters, strict=True)}
    found: dict[str, TaskFacts] = {}
    for run in runs:
        for place, (task, kind) in enumerate(zip(run.tasks, run.kinds, strict=True)):
            if task not in found:
                found[task] = _facts(run, place, kind, domains.get(task))
    return found


def _facts(run: EmbeddedRun, place: int, kind: str, domain: str | None) -> TaskFacts:
    """Return the facts about one task of a run. Its type may come from the run if the catalogue lacks the task."""
    task = run.tasks[place]
    row = run.results.get(task, TaskResult())
    spec = declared(task, row.edition or "careful")
    measured = None if run.features is None else run.features.aspects[place]
    fields = spec.num_text_fields if spec else measured.text_fields if measured else None
    source = row.source or ""
    return TaskFacts(
        {
            TASK_TYPE: NOT_KNOWN if kind == UNKNOWN else type_title(kind),
            "Texts": {1: "Single", 2: "Pairs"}.get(fields or 0),
            "Group": task.rpartition("/")[0] or None,
            "Classes": len(spec.names) if spec else row.classes,
            TRAINING_ROWS: _training_rows(run, place, spec),
            "Median words": measured.median_words if measured else None,
            "Domain": domain,
            "Licence": spec.license if spec else None,
        },
        labels=spec.names if spec else (),
        source=source,
        repo=repo if "/" in (repo := source.split(" ", 1)[0]) else "",
        commit=row.commit or "",
        notes=spec.notes if spec else "",
    )


def _training_rows(run: EmbeddedRun, place: int, spec: TaskSpec | None) -> int | None:
    """Return the number of training rows of a task, also if the run read a source with only a part of them.

    Such a source is, for example, a mirror with the first rows of each split. The number of rows is then the declared
    one, less the splits that are derived from the official train split.
    """
    task = run.tasks[place]
    result, read = run.results.get(task, TaskResult()), run.source_rows.get(task)
    declared = (spec.rows.get("train") or 0) * rows_per_source_row(spec.sources[0]) if spec else 0
    if spec and read and read.read.get("train", declared) < declared:
        return training_rows(declared, split_rule(read_splits(spec)).derived)
    if "train" in result.rows:
        return result.rows["train"].available
    return run.features.aspects[place].train_rows if run.features else None


def editions_of(runs: Sequence[EmbeddedRun]) -> dict[str, str]:
    """Return task -> edition for the tasks of the catalogue, taken from the first run with the task."""
    found: dict[str, str] = {}
    for run in runs:
        for task in run.tasks:
            edition = run.results.get(task, TaskResult()).edition
            if declared(task):
                found.setdefault(task, "paper" if edition == "paper" else "careful")
    return found


def declared(task: str, edition: str = "careful") -> TaskSpec | None:
    """Return the declaration of a task; None for a task outside the catalogue, such as a user's own."""
    try:
        spec = get_task(task)
    except UnknownTaskError:
        return None
    return spec.edition("paper") if edition == "paper" else spec


def may_show(spec: TaskSpec, which: Which) -> bool:
    """Return whether the page may show texts of a task: demo tasks, also tasks under an open licence, or all."""
    if which in ("none", "all"):
        return which == "all"
    return spec.group == DEMO_GROUP or (which == "open" and spec.license in OPEN_LICENSES)


def read_data(
    facts: Mapping[str, TaskFacts],
    load: Callable[[str, str], DatasetDict],
    editions: Mapping[str, str],
    which: Which,
    on_task: Callable[[str], None] = lambda name: None,
) -> tuple[dict[str, TaskFacts], dict[str, str]]:
    """Add facts that only the data provide: the median length of texts, and examples.

    Args:
        facts: task -> facts.
        load: loads a task by name and edition.
        editions: task to load -> edition; facts of other tasks are unchanged.
        which: tasks whose texts may be shown.
        on_task: called with the name of each task before it is loaded.

    Returns:
        All facts, and a one-line reason for each task that could not be loaded.
    """
    found, failed = dict(facts), {}
    for task, edition in editions.items():
        on_task(task)
        spec = declared(task, edition)
        if spec is None:
            continue
        try:
            splits = load(task, edition)
            median = aspects_of(splits, spec).median_words
        except Exception as error:  # whatever the reason, the page can be written without these facts
            reason = str(error).removeprefix(f"task {task}: ")
            failed[task] = " ".join(f"{type(error).__name__}: {reason}".split())
            continue
        examples: tuple[Example, ...] = ()
        note = f"Not shown: the licence of the texts is {spec.license!r}."
        if may_show(spec, which):
            examples = _examples(splits["train"], spec) if "train" in splits else ()
            note = f"Training rows, cut to {MOST_CHARACTERS} characters; licence: {spec.license}." if examples else ""
        elif which in ("none", "demo"):
            note = ""
        found[task] = replace(
            found[task],
            aspects={**found[task].aspects, "Median words": median},
            examples=examples,
            examples_note=note,
        )
    return found, failed


def _examples(rows: Dataset, spec: TaskSpec) -> tuple[Example, ...]:
    """Return the first row of each of the first classes."""
    labels = rows.with_format("arrow")[:][LABEL].to_numpy()
    shown: list[Example] = []
    for label, name in enumerate(spec.names):
        places = np.flatnonzero(labels == label)
        if len(places) and len(shown) < MOST_EXAMPLES:
            row = rows[int(places[0])]
            shown.append(Example(name, tuple(_shorten(row[text]) for text in spec.texts)))
    return tuple(shown)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1].rstrip() + "…"
