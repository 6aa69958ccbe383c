"""What the page shows of a run and of its tasks: from the run's files, the catalogue and, where asked, the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from metaeval_datasets.aspects import aspects_of
from metaeval_datasets.catalog import DEMO_GROUP, UnknownTaskError, get_task
from metaeval_datasets.schema import LABEL
from metaeval_datasets.spec import TaskSpec
from metaeval_hub.analysis.embedded_runs import UNKNOWN, EmbeddedRun
from metaeval_hub.analysis.task_titles import type_title
from metaeval_hub.page.content import NOT_KNOWN, TASK_TYPE, Example, Space, TaskFacts, make_space
from metaeval_hub.results.schema import TaskResult

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

# Licences under which a few short texts may be passed on with the name of their source, which the page shows.
OPEN_LICENSES = frozenset(
    ["apache-2.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "mit", "odc-by"]
)
MOST_EXAMPLES = 4  # of a task, of as many classes
MOST_CHARACTERS = 200  # of a text that is shown

Which = Literal["none", "demo", "open", "all"]


def space_of(
    run: EmbeddedRun, *, methods: Sequence[Literal["pca", "umap"]], seed: int = 0, force: bool = False
) -> Space:
    """What the page shows of a run.

    Args:
        run: as ``read_embedded`` gives it.
        methods: of the maps, the first shown first; one that needs more tasks is left out.
        seed: of the UMAP.
        force: whether to show a run whose z has not moved from its random start.

    Raises:
        StillAtStartError: z has not moved, and ``force`` is off.
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
    warning = run.check(force=force) or ""
    return make_space(
        run.name, run.embeddings, methods=methods, seed=seed, statistics=statistics, about=_about(run), warning=warning
    )


def _about(run: EmbeddedRun) -> dict[str, str]:
    """Facts of the run, as far as they are known."""
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
    """What is known of the tasks of runs without reading their data: from the catalogue and the runs' results."""
    domains: dict[str, str] = {}
    if features := next((run.features for run in runs if run.features is not None), None):  # clusters are of one table
        clusters = features.classes("domain_cluster").tolist()
        domains = {task: f"Cluster {cluster + 1}" for task, cluster in zip(features.names, clusters, strict=True)}
    found: dict[str, TaskFacts] = {}
    for run in runs:
        for place, (task, kind) in enumerate(zip(run.tasks, run.kinds, strict=True)):
            if task not in found:
                found[task] = _facts(run, place, kind, domains.get(task))
    return found


def _facts(run: EmbeddedRun, place: int, kind: str, domain: str | None) -> TaskFacts:
    """Facts of one task of a run; its type, which a run may know of a task that is in no catalogue; its domain."""
    task = run.tasks[place]
    row = run.results.get(task, TaskResult())
    spec = declared(task, row.edition or "careful")
    measured = None if run.features is None else run.features.aspects[place]
    fields = spec.num_text_fields if spec else measured.text_fields if measured else None
    available = row.rows["train"].available if "train" in row.rows else measured.train_rows if measured else None
    source = row.source or ""
    return TaskFacts(
        {
            TASK_TYPE: NOT_KNOWN if kind == UNKNOWN else type_title(kind),
            "Texts": {1: "Single", 2: "Pairs"}.get(fields or 0),
            "Group": task.rpartition("/")[0] or None,
            "Classes": len(spec.names) if spec else row.classes,
            "Training rows": available,
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


def editions_of(runs: Sequence[EmbeddedRun]) -> dict[str, str]:
    """Task -> edition of its rows, for the tasks of the catalogue; as the first run with the task has it."""
    found: dict[str, str] = {}
    for run in runs:
        for task in run.tasks:
            edition = run.results.get(task, TaskResult()).edition
            if declared(task):
                found.setdefault(task, "paper" if edition == "paper" else "careful")
    return found


def declared(task: str, edition: str = "careful") -> TaskSpec | None:
    """The task's declaration; None for a task that is not in the catalogue, such as a user's own."""
    try:
        spec = get_task(task)
    except UnknownTaskError:
        return None
    return spec.edition("paper") if edition == "paper" else spec


def may_show(spec: TaskSpec, which: Which) -> bool:
    """Whether texts of a task are to be shown: of the demo tasks, also of those under an open licence, or of all."""
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
    """Add what only the data tell: the median length of the texts, and examples.

    Args:
        facts: task -> facts.
        load: loads a task by name and edition.
        editions: tasks to load -> edition; others stay as they are.
        which: of which tasks texts may be shown.
        on_task: called with each name, before it is loaded.

    Returns:
        All facts; and for each task that could not be loaded the reason in one line.
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
        except Exception as error:  # any reason counts: the page does without, and the reason is shown
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
    """The first row of each of the first classes."""
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
