"""What a report is made from: runs sorted by the part of the paper that they serve."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metaeval_datasets.catalog import UnknownTaskError, get_task
from metaeval_hub.comparison import RESULTS, ComparisonError, Run, read_runs
from metaeval_hub.embeddings.features import TaskFeatures
from metaeval_hub.embeddings.runs import EMBEDDINGS, EmbeddedRun, read_embedded
from metaeval_hub.embeddings.table import NAMES_FILE, TaskEmbeddings

ZERO_SHOT = "zero_shot"  # value of "experiment" in the results of training/zero_shot.py
FEW_SHOT = "few_shot"  # the same of training/few_shot.py
SEVERAL = ", embeddings a task: "  # in the name of a method, before their number
OTHER = "; "  # in the name of a method, before settings that differ from those of most of its runs
MOST_CHANGES = 4  # that are named
# Settings that do not change what is learned.
NOT_LEARNED = frozenset(
    [
        "preset", "name", "output_dir", "seed", "threads", "tracker", "push_to_hub", "push_every_checkpoint", "private",
        "tasks", "held_out", "skip_unavailable", "cache_dir", "evaluate_every", "eval_batch_size", "checkpoint_every",
        "keep_checkpoints",
    ]
)  # fmt: skip
VECTOR_FOLDERS = {"textemb": "TextEmb", "fisher": "Fisher"}  # of training/task_vectors.py, in a run's folder


@dataclass(frozen=True, eq=False)
class Inputs:
    """The runs of a report.

    Args:
        methods: key of a method in table 1, or another name -> its runs, one or more seeds.
        embedded: runs with learned task embeddings, one embedding a task or several.
        vectors: "TextEmb" and "Fisher" as far as they were given.
        zero_shot: experiment ("glue" or "groups") -> method -> its results.
        few_shot: folder of a run of training/few_shot.py -> the results of its methods at each number of examples.
        partial: tasks of which the source lacks a part or has fewer rows than the catalogue declares, and what.
        left_out: tasks not shown, and why.
    """

    methods: Mapping[str, Sequence[Run]]
    embedded: Sequence[EmbeddedRun]
    vectors: Mapping[str, TaskEmbeddings]
    zero_shot: Mapping[str, Mapping[str, Run]]
    few_shot: Mapping[str, Sequence[Run]]
    partial: Mapping[str, str]
    left_out: Mapping[str, str]

    @property
    def features(self) -> TaskFeatures | None:
        """Features of the tasks, as stored with the first run that has them."""
        return next((run.features for run in self.embedded if run.features is not None), None)

    @property
    def compared(self) -> dict[str, list[Run]]:
        """The methods of table 1, key -> runs. One with several embeddings a task stands in where there is no other."""
        found: dict[str, list[Run]] = {}
        for several in (False, True):
            for name, runs in self.methods.items():
                key, sign, _ = name.partition(SEVERAL)
                if bool(sign) == several and key not in found:
                    found[key] = [run for run in runs if any(row["test"] for row in run.tasks.values())]
        return {key: runs for key, runs in found.items() if runs}

    @property
    def single(self) -> list[EmbeddedRun]:
        """Runs with one embedding a task that differ in their seed alone, those of which there are most."""
        return _alike([run for run in self.embedded if run.embeddings.copies is None])

    @property
    def several(self) -> list[EmbeddedRun]:
        """The same of runs with several embeddings a task."""
        return _alike([run for run in self.embedded if run.embeddings.copies is not None])


def read_inputs(places: Sequence[str], least_rows: int = 0) -> Inputs:
    """Read and sort runs.

    Args:
        places: folders of runs of training/multitask.py, single_task.py, probes.py, task_vectors.py, zero_shot.py and
            few_shot.py.
        least_rows: tasks with fewer training rows are left out of everything but zero-shot and few-shot results.

    Raises:
        ComparisonError: a folder holds nothing of the kind.
        UnsafeRepositoryError: its files are not of the expected form.
    """
    methods: dict[str, list[Run]] = {}
    embedded: list[EmbeddedRun] = []
    vectors: dict[str, TaskEmbeddings] = {}
    zero_shot: dict[str, dict[str, Run]] = {}
    few_shot: dict[str, list[Run]] = {}
    partial: dict[str, str] = {}
    for place in places:
        folder = Path(place)
        known = _find_vectors(folder)
        vectors |= known
        try:
            runs = read_runs(folder)
        except ComparisonError:
            if known:
                continue
            raise
        for run in runs:
            if run.facts.get("experiment") == ZERO_SHOT:
                zero_shot.setdefault(str(run.facts.get("held_out")), {})[str(run.facts["method"])] = run
            elif run.facts.get("experiment") == FEW_SHOT:
                few_shot.setdefault(str(place), []).append(run)
            elif run.tasks and all("test" in row for row in run.tasks.values()):
                methods.setdefault(method_of(run), []).append(run)
        if (folder / RESULTS).is_file() and (folder / EMBEDDINGS / NAMES_FILE).is_file():
            embedded.append(read_embedded(place))
        partial |= _partial(folder)
    methods = {title: group for key, runs in methods.items() for title, group in by_settings(key, runs).items()}
    few = _few_rows(methods, least_rows)
    kept = {name: [replace(run, tasks=_without(run.tasks, few)) for run in runs] for name, runs in methods.items()}
    shown = [run.select([task for task in run.tasks if task not in few]) for run in embedded]
    return Inputs(kept, shown, vectors, zero_shot, few_shot, _without(partial, few), few)


def method_of(run: Run | EmbeddedRun) -> str:
    """Key of a run's method in table 1, or a name of its own for what the paper does not have.

    Single-task methods say what they are; a multitask run does by its conditioning, and by what its z is made of.
    """
    if "method" in run.facts:
        return str(run.facts["method"])
    config: Mapping[str, Any] = run.facts.get("config") or {}
    conditioning = str(config.get("conditioning", "unknown"))
    if conditioning in ("adapter", "full"):
        return f"shared_{conditioning}"
    if fixed := str(config.get("conditioning_vectors") or ""):
        return next((key for key in VECTOR_FOLDERS if key in fixed.lower()), fixed)
    name = f"{conditioning}, z + {config['task_features']}" if config.get("task_features") else conditioning
    copies = config.get("embeddings_per_task", 1)
    return name if copies == 1 else f"{name}{SEVERAL}{copies}"


def settings(run: Run | EmbeddedRun) -> Mapping[str, Any]:
    """Settings of a run; scripts that take tasks one by one keep their options beside them."""
    config: Mapping[str, Any] = run.facts.get("config") or {}
    found: Mapping[str, Any] = config.get("settings", config)
    return found


def by_settings(key: str, runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs of a method by what they were trained with, so that only seeds are averaged.

    Args:
        key: of the method.
        runs: of it.

    Returns:
        The key -> the settings with the most runs; the key with what differs from those -> the others.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(_learned_by(run), sort_keys=True), []).append(run)
    leading, *others = sorted(groups.values(), key=len, reverse=True)
    found = {key: leading}
    for group in others:
        own, base = _learned_by(group[0]), _learned_by(leading[0])
        changed = [
            f"{name} {own.get(name)}" for name in dict.fromkeys((*own, *base)) if own.get(name) != base.get(name)
        ]
        more = f" and {len(changed) - MOST_CHANGES} more settings" if len(changed) > MOST_CHANGES else ""
        title = f"{key}{OTHER}{', '.join(changed[:MOST_CHANGES])}{more}"
        same = sum(each.startswith(title) for each in found)  # they differ in what is not named
        found[f"{title} ({same + 1})" if same else title] = group
    return found


def _learned_by(run: Run | EmbeddedRun) -> dict[str, Any]:
    """The settings that say what is learned; tasks aside, which are told elsewhere.

    Of a method that trains a model a task, also the learning rate that was taken for all of them.
    """
    rows = run.tasks if isinstance(run, Run) else run.rows
    rates = {row["rate"] for row in rows.values() if "rate" in row}
    found = {name: value for name, value in settings(run).items() if name not in NOT_LEARNED}
    return {**found, "rate": rates.pop()} if len(rates) == 1 else found


def _alike(runs: Sequence[EmbeddedRun]) -> list[EmbeddedRun]:
    """Of runs with embeddings those of one method and one setting: the most; of as many, the paper's method first."""
    groups: dict[tuple[str, str], list[EmbeddedRun]] = {}
    for run in runs:
        groups.setdefault((method_of(run), json.dumps(_learned_by(run), sort_keys=True)), []).append(run)
    order = sorted(groups, key=lambda key: (-len(groups[key]), not key[0].startswith("pilault")))
    return groups[order[0]] if order else []


def _find_vectors(folder: Path) -> dict[str, TaskEmbeddings]:
    """Vectors in a run's folder, or in the folder itself."""
    found = {}
    for key, name in VECTOR_FOLDERS.items():
        for place in (folder / key, folder / "full" / key, folder if folder.name == key else None):
            if place is not None and (place / NAMES_FILE).is_file():
                found[name] = TaskEmbeddings.load(place)
    return found


def _partial(folder: Path) -> dict[str, str]:
    """Tasks of which the source lacks a part or rows, by the run's data.json."""
    file = folder / "data.json"
    if not file.is_file():
        return {}
    origins = json.loads(file.read_text(encoding="utf-8")).get("origins", {})
    told = {name: "; ".join((*map(str, origin.get("missing") or ()), *_fewer_rows(name, origin)))
            for name, origin in origins.items()}  # fmt: skip
    return {name: text for name, text in told.items() if text}


def _fewer_rows(name: str, origin: Mapping[str, Any]) -> list[str]:
    """Official splits of which fewer rows were read than the catalogue declares."""
    try:
        declared = get_task(name).rows
    except UnknownTaskError:  # a task of somebody's own
        return []
    read = {split: int(found["read"]) for split, found in (origin.get("official") or {}).items()}
    return [
        f"{split}: {count:,} of {declared[split]:,} rows"
        for split, count in read.items()
        if count < (declared.get(split) or 0)
    ]


def _few_rows(methods: Mapping[str, Sequence[Run]], least: int) -> dict[str, str]:
    few = {}
    for run in (run for runs in methods.values() for run in runs):
        for task, row in run.tasks.items():
            count = row["rows"].get("train", {}).get("available", 0)
            if count < least:
                few[task] = f"{count} training rows"
    return few


def _without(table: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in names}
