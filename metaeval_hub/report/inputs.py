"""Read the runs of a report and sort them by the part of the paper that they belong to."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from metaeval_datasets.catalog import UnknownTaskError, get_task
from metaeval_hub.analysis.embedded_runs import EMBEDDINGS, EmbeddedRun, read_embedded
from metaeval_hub.report.as_trained import as_trained
from metaeval_hub.results.run_results import (
    RESULTS,
    NoRunError,
    SourceRows,
    UnfinishedRunError,
    at_home,
    read_runs,
    read_source_rows,
)
from metaeval_hub.results.schema import FEW_SHOT, ZERO_SHOT, RunResult, Setting
from metaeval_hub.task_data.task_embeddings import NAMES_FILE, TaskEmbeddings
from metaeval_hub.task_data.task_features import TaskFeatures

RunsByMethod = Mapping[str, Sequence[RunResult]]
Each = TypeVar("Each", RunResult, EmbeddedRun)
SEVERAL = ", embeddings per task: "  # part of a method's name, followed by the number
NORM = ", LayerNorm in the adapter"  # part of a method's name, as section 3.1 of the paper describes the adapters
OWN = ", values per task: "  # part of a method's name, followed by their number if they are projected to z
PRIVATE = ", private part of rank "  # part of a method's name, followed by the rank; the paper has no such part
REFITTED = ", classifiers refitted"  # part of a method's name; the paper does not refit them
OTHER = "; "  # part of a method's name, followed by settings that differ from those of most of its runs
SHARED_TASKS = 10  # tasks that comparable runs share, unless half of the larger task set is fewer
ROWS = "max_train_rows"  # the setting that limits the training rows per task; 0: all of them
MOST_CHANGES = 4  # differing settings that a name lists
# Settings that do not affect what a model learns.
NOT_LEARNED = frozenset(
    [
        "preset", "name", "output_dir", "seed", "threads", "tracker", "push_to_hub", "push_every_checkpoint", "private",
        "tasks", "task_file", "held_out", "skip_unavailable", "cache_dir", "evaluate_every", "eval_batch_size",
        "checkpoint_every", "keep_checkpoints", "accumulate", "compile",
    ]
)  # fmt: skip
# Settings that results of earlier releases lack, which trained as with these values.
LATER_SETTINGS: Mapping[str, Setting] = {
    "layer_norm": False, "dim_table": 0, "projection_lr": 0.0, "cap_by": "step", "twins": False, "permuted_tasks": 0,
    "refit": False, "private_rank": 0, "private_epochs": 3, "private_lr": 3e-3, "from_model": "", "from_sha256": "",
    "old_tasks": "rehearse",
}  # fmt: skip
# Setting -> the setting without which it has no effect.
NEEDS: Mapping[str, str] = {
    "projection_lr": "task_features", "private_epochs": "private_rank", "private_lr": "private_rank",
}  # fmt: skip
VECTOR_FOLDERS = {"textemb": "TextEmb", "fisher": "Fisher"}  # folders that training/task_vectors.py writes


@dataclass(frozen=True, eq=False)
class Inputs:
    """The runs of a report.

    Args:
        methods: key of a method in table 1, or another name -> its runs, one per seed, on the largest group of runs
            that share tasks.
        others: the same for the other groups of runs that share tasks.
        embedded: runs with learned task embeddings, one or several per task.
        vectors: the given vectors among "TextEmb" and "Fisher".
        zero_shot: experiment ("glue" or "groups") -> method -> its results.
        few_shot: folder of a run of training/few_shot.py -> the results of its methods at each number of examples.
        partial: task -> splits or rows that its source lacks, compared with the catalogue.
        left_out: task -> why it is not shown.
        repeated: sentences about runs that are left out because another run has the same settings and seed.
        by_rows: groups of runs that differ in nothing but their number of training rows per task and their seed.
    """

    methods: RunsByMethod
    embedded: Sequence[EmbeddedRun]
    vectors: Mapping[str, TaskEmbeddings]
    zero_shot: Mapping[str, Mapping[str, RunResult]]
    few_shot: Mapping[str, Sequence[RunResult]]
    partial: Mapping[str, str]
    left_out: Mapping[str, str]
    others: Sequence[RunsByMethod] = ()
    repeated: Sequence[str] = field(default=())
    by_rows: Sequence[Sequence[RunResult]] = ()

    @property
    def groups(self) -> list[Inputs]:
        """The inputs of each group of runs that share tasks, the largest group first."""
        alone = replace(self, others=())
        return [alone, *(replace(alone, methods=each, by_rows=()) for each in self.others)]

    @property
    def runs(self) -> list[tuple[str, RunResult]]:
        """Pairs of method and run, of all groups."""
        groups = [self.methods, *self.others]
        return [(key, run) for methods in groups for key, runs in methods.items() for run in runs]

    @property
    def features(self) -> TaskFeatures | None:
        """Features of the tasks, from an analysed run if it stores them, else from the first run that does."""
        runs = [*(self.single or self.several), *self.embedded]
        return next((run.features for run in runs if run.features is not None), None)

    @property
    def compared(self) -> dict[str, list[RunResult]]:
        """Methods of table 1, key -> runs. Runs with several embeddings per task count only if there are no others."""
        found: dict[str, list[RunResult]] = {}
        for several in (False, True):
            for name, runs in self.methods.items():
                key, sign, _ = name.partition(SEVERAL)
                if bool(sign) == several and key not in found:
                    found[key] = [run for run in runs if any(result.test for result in run.tasks.values())]
        return {key: runs for key, runs in found.items() if runs}

    @property
    def single(self) -> list[EmbeddedRun]:
        """The largest set of runs with one embedding per task that differ only in their seed."""
        return _alike([run for run in self.embedded if run.embeddings.copies is None])

    @property
    def several(self) -> list[EmbeddedRun]:
        """The largest set of runs with several embeddings per task that differ only in their seed."""
        return _alike([run for run in self.embedded if run.embeddings.copies is not None])


def read_inputs(places: Sequence[str], least_rows: int = 0) -> Inputs:
    """Read and sort runs.

    Args:
        places: folders of runs of training/multitask.py, single_task.py, probes.py, task_vectors.py, zero_shot.py and
            few_shot.py.
        least_rows: tasks with fewer training rows are left out of everything but zero-shot and few-shot results.

    Raises:
        ResultsError: a folder is not a run, or its results do not have the expected form.
        UnsafeRepositoryError: its files do not have the expected form.
    """
    scored: list[RunResult] = []
    embedded: list[EmbeddedRun] = []
    vectors: dict[str, TaskEmbeddings] = {}
    zero_shot: dict[str, dict[str, RunResult]] = {}
    few_shot: dict[str, list[RunResult]] = {}
    partial: dict[str, str] = {}
    repeated: list[str] = []
    for place in dict.fromkeys(places):
        folder = at_home(place)
        known = _find_vectors(folder)
        repeated += [
            f"{name} of {place} is left out, because another folder also has {name}"
            for name in known
            if name in vectors
        ]
        vectors = {**known, **vectors}
        try:
            runs = read_runs(folder)
        except (NoRunError, UnfinishedRunError):
            if known:
                continue
            raise
        for run in runs:
            if run.facts.experiment == ZERO_SHOT:
                methods = zero_shot.setdefault(str(run.facts.held_out), {})
                first = methods.setdefault(str(run.facts.method), run)
                repeated += [] if first is run else [_repeats(run, first, "experiment and method")]
            elif run.facts.experiment == FEW_SHOT:
                few_shot.setdefault(str(place), []).append(run)
            elif any(result.test or result.validation for result in run.tasks.values()):
                scored.append(run)
        if (folder / RESULTS).is_file() and (folder / EMBEDDINGS / NAMES_FILE).is_file():
            embedded.append(read_embedded(place))
        partial |= _partial(read_source_rows(folder))
    small = _small_tasks(scored, least_rows)
    scored = [replace(run, tasks=_without(run.tasks, small)) for run in scored]
    scored, by_rows = split_by_rows(scored)
    scored += [before for run in scored if (before := as_trained(run)) is not None]
    leading, *others = [_methods(group, repeated) for group in by_tasks(scored, lambda run: run.tasks)] or [{}]
    shown = [run.select([task for task in run.tasks if task not in small]) for run in embedded]
    return Inputs(
        leading, shown, vectors, zero_shot, few_shot, _without(partial, small), small, others, repeated, by_rows
    )


def split_by_rows(runs: Sequence[RunResult]) -> tuple[list[RunResult], list[list[RunResult]]]:
    """Separate runs that repeat other runs with another number of training rows per task.

    Returns:
        The runs to compare with other methods: of those that differ in ``max_train_rows`` and seed alone, the ones
        with the number of rows that most of all runs have, or the larger one. The groups of runs that differ so, all
        of them.
    """
    alike: dict[str, list[RunResult]] = {}
    for run in runs:
        others = {name: value for name, value in _learned_by(run).items() if name != ROWS}
        alike.setdefault(json.dumps([method_of(run), others], sort_keys=True), []).append(run)
    by_rows = [group for group in alike.values() if len({run.facts.settings.get(ROWS) for run in group}) > 1]
    counts = Counter(run.facts.settings.get(ROWS) for run in runs)
    left_out: set[int] = set()
    for group in by_rows:
        usual = max((run.facts.settings.get(ROWS) for run in group), key=lambda rows: (counts[rows], rows or math.inf))
        left_out |= {id(run) for run in group if run.facts.settings.get(ROWS) != usual}
    return [run for run in runs if id(run) not in left_out], by_rows


def _methods(runs: Sequence[RunResult], repeated: list[str]) -> dict[str, list[RunResult]]:
    """Group runs on shared tasks by method and settings, one per seed; append the left-out runs to ``repeated``."""
    methods: dict[str, list[RunResult]] = {}
    for run in runs:
        methods.setdefault(method_of(run), []).append(run)
    found = {title: group for key, each in methods.items() for title, group in by_settings(key, each).items()}
    for title, group in found.items():
        found[title], others = one_per_seed(group)
        repeated += [_repeats(run, first, "method, settings and seed") for run, first in others]
    return found


def _repeats(run: RunResult, first: RunResult, what: str) -> str:
    return f"{run.path.parent} is left out: it has the same {what} as {first.path.parent}, which is shown"


def by_tasks(runs: Sequence[Each], tasks_of: Callable[[Each], Sequence[str] | Mapping[str, Any]]) -> list[list[Each]]:
    """Split runs into comparable groups: each run shares ten tasks, or half of the larger task set, with its group.

    Returns:
        The groups, ordered by number of runs, then by number of tasks, largest first.
    """
    groups: list[tuple[set[str], list[Each]]] = []
    for run in sorted(runs, key=lambda run: -len(tasks_of(run))):
        own = set(tasks_of(run))
        shared = [
            (len(own & common), group)
            for common, group in groups
            if len(own & common) >= min(SHARED_TASKS, max(len(own), len(common)) / 2)
        ]
        if not shared:
            groups.append((own, [run]))
            continue
        _, group = max(shared, key=lambda each: each[0])
        group.append(run)
        next(common for common, each in groups if each is group).intersection_update(own)
    order = {id(run): place for place, run in enumerate(runs)}
    found = sorted(groups, key=lambda each: (-len(each[1]), -len(each[0])))
    return [sorted(group, key=lambda run: order[id(run)]) for _, group in found]


def one_per_seed(runs: Sequence[Each]) -> tuple[list[Each], list[tuple[Each, Each]]]:
    """Return the first run of each seed, and the others paired with the run kept for their seed.

    Runs without a known seed are all kept.
    """
    first: dict[int, Each] = {}
    kept, others = [], []
    for run in runs:
        seed = run.facts.seed
        if seed is not None and seed in first:
            others.append((run, first[seed]))
            continue
        kept.append(run)
        if seed is not None:
            first[seed] = run
    return kept, others


def method_of(run: RunResult | EmbeddedRun) -> str:
    """Return the key of a run's method in table 1, or another name for methods that the paper does not have.

    Single-task runs state their method. Multitask runs are named by their conditioning and by the source of z. Both
    names say which variant of the paper's layers was trained.
    """
    settings = run.facts.settings
    norm = NORM if settings.get("layer_norm") else ""
    refitted = REFITTED if settings.get("refit") else ""
    if run.facts.method is not None:
        return run.facts.method + (norm if run.facts.method == "adapter" else "") + refitted
    conditioning = str(settings.get("conditioning", "unknown"))
    finished = (f"{PRIVATE}{settings['private_rank']}" if settings.get("private_rank") else "") + refitted
    if conditioning in ("adapter", "full"):
        return f"shared_{conditioning}{norm}{finished}"
    if fixed := str(settings.get("conditioning_vectors") or ""):
        return next((key for key in VECTOR_FOLDERS if key in fixed.lower()), fixed) + norm + finished
    name = f"{conditioning}, z + {settings['task_features']}" if settings.get("task_features") else conditioning
    own = f"{OWN}{settings['dim_table']}" if settings.get("dim_table") else ""
    copies = settings.get("embeddings_per_task", 1)
    return f"{name}{norm}{own}{finished}" + ("" if copies == 1 else f"{SEVERAL}{copies}")


def without_variant(name: str) -> str:
    """Return the name of a method without its variant and without the number of embeddings per task.

    >>> without_variant("pilault, LayerNorm in the adapter, embeddings per task: 3")
    'pilault'
    """
    for sign in (NORM, OWN, PRIVATE, REFITTED, SEVERAL):
        name = name.partition(sign)[0]
    return name


def by_settings(key: str, runs: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Group the runs of a method by their training settings, so that only seeds are averaged.

    Args:
        key: key of the method.
        runs: runs of the method.

    Returns:
        Name -> runs. The settings with the most runs are named by the key; others add the settings that differ.
    """
    groups: dict[str, list[RunResult]] = {}
    for run in runs:
        groups.setdefault(json.dumps(_learned_by(run), sort_keys=True), []).append(run)
    leading, *others = sorted(groups.values(), key=lambda group: len(one_per_seed(group)[0]), reverse=True)
    found = {key: leading}
    for group in others:
        own, base = _learned_by(group[0]), _learned_by(leading[0])
        changed = [
            f"{name} {own.get(name)}" for name in dict.fromkeys((*own, *base)) if own.get(name) != base.get(name)
        ]
        more = f" and {len(changed) - MOST_CHANGES} more settings" if len(changed) > MOST_CHANGES else ""
        title = f"{key}{OTHER}{', '.join(changed[:MOST_CHANGES])}{more}"
        same = sum(each.startswith(title) for each in found)  # they differ in settings that the name does not list
        found[f"{title} ({same + 1})" if same else title] = group
    return found


def _learned_by(run: RunResult | EmbeddedRun) -> dict[str, Setting]:
    """Return the settings that affect what is learned, except the tasks, which are compared separately.

    For a method with one model per task, this includes the learning rate if it is the same for all tasks.
    """
    results = run.tasks if isinstance(run, RunResult) else run.results
    rates = {result.rate for result in results.values()} - {None}
    settings = {**LATER_SETTINGS, **run.facts.settings}
    settings = {name: value for name, value in settings.items() if name not in NEEDS or settings.get(NEEDS[name])}
    if run.facts.method == "full":
        settings["layer_norm"] = False  # trained in one run with adapters, which alone have it
    found = {name: value for name, value in settings.items() if name not in NOT_LEARNED}
    return {**found, "rate": rates.pop()} if len(rates) == 1 else found


def _alike(runs: Sequence[EmbeddedRun]) -> list[EmbeddedRun]:
    """Return the largest set of runs with one method and setting on shared tasks, one per seed.

    The paper's method wins a tie.
    """
    groups: dict[tuple[str, str], list[EmbeddedRun]] = {}
    for run in runs:
        groups.setdefault((method_of(run), json.dumps(_learned_by(run), sort_keys=True)), []).append(run)
    found = [
        (key[0], one_per_seed(group)[0])
        for key, all_tasks in groups.items()
        for group in by_tasks(all_tasks, lambda run: run.tasks)
    ]
    found.sort(key=lambda each: (-len(each[1]), not each[0].startswith("pilault")))
    return found[0][1] if found else []


def _find_vectors(folder: Path) -> dict[str, TaskEmbeddings]:
    """Load the vectors in a run's folder, or in the folder itself."""
    found = {}
    for key, name in VECTOR_FOLDERS.items():
        for place in (folder / key, folder / "full" / key, folder if folder.name == key else None):
            if place is not None and (place / NAMES_FILE).is_file():
                found[name] = TaskEmbeddings.load(place)
    return found


def _partial(of_sources: Mapping[str, SourceRows]) -> dict[str, str]:
    """Return task -> splits or rows that its source lacks."""
    lacking = {name: "; ".join((*found.missing, *_fewer_rows(name, found.read))) for name, found in of_sources.items()}
    return {name: text for name, text in lacking.items() if text}


def _fewer_rows(name: str, read: Mapping[str, int]) -> list[str]:
    """Describe official splits of which fewer rows were read than the catalogue declares."""
    try:
        declared = get_task(name).rows
    except UnknownTaskError:  # a task outside the catalogue
        return []
    return [
        f"{split}: {count:,} of {declared[split]:,} rows"
        for split, count in read.items()
        if count < (declared.get(split) or 0)
    ]


def _small_tasks(runs: Sequence[RunResult], least: int) -> dict[str, str]:
    """Return task -> reason for the tasks with fewer than ``least`` training rows."""
    small = {}
    for run in runs:
        for task, result in run.tasks.items():
            count = result.rows["train"].available if "train" in result.rows else 0
            if count < least:
                small[task] = f"{count} training rows"
    return small


def _without(table: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in names}
