"""The schema of results.json: dataclasses, functions that check and read JSON values, and functions that write them.

No other module knows the keys of the file. Anyone may have written the file, and it may be damaged, so ``parse_run``
and ``parse_task`` check every value; an error names the key and the expected value. Reading what ``run_to_json`` and
``task_to_json`` wrote returns equal objects. This module does not need torch.

>>> scores = SplitScores(accuracy=0.75, macro_f1=0.7, matthews=0.5)
>>> task = TaskResult(majority=0.5, test=scores, rows={"test": SplitRows(kept=8, available=8)}, classes=2)
>>> parse_task(task_to_json(task)) == task
True
>>> mean_scores([task]).over_majority
0.25
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from metaeval_hub.results.intervals import mean_interval, wilson
from metaeval_hub.results.json_values import (
    MAX_COUNT,
    FormError,
    a_correlation,
    a_count,
    a_share,
    a_size,
    a_text,
    a_whole,
    an_object,
    counts,
    list_of,
    mapping_of,
    optional,
    shown,
)

ZERO_SHOT, FEW_SHOT = "zero_shot", "few_shot"  # values of "experiment": training/zero_shot.py and few_shot.py

Split = Literal["test", "validation"]
Setting = None | bool | int | float | str | list[Any]


# --- Dataclasses ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SplitScores:
    """Scores on one split of a task. A score that was not stored is None.

    Args:
        accuracy: 0..1.
        macro_f1: 0..1.
        matthews: Matthews correlation, -1..1.
    """

    accuracy: float
    macro_f1: float | None = None
    matthews: float | None = None


@dataclass(frozen=True)
class SplitRows:
    """Number of rows of one split of a task.

    Args:
        kept: rows that the run used.
        available: rows that the task has.
        labels: digest of the labels of the rows that the run used. Two runs with the same digest scored the same rows.
        digest: digest of the tokens and labels of these rows.
    """

    kept: int
    available: int
    labels: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class TaskResult:
    """The result of one task.

    Args:
        majority: accuracy of the majority class, 0..1; None if no split was scored.
        validation: scores on validation; None if it was not scored.
        test: scores on test; None if it was not scored.
        rows: split -> its rows.
        classes: number of classes.
        source: where the rows come from.
        commit: commit of the source.
        edition: edition of the task, "careful" or "paper".
        cos_z_z0: cosine of the task's z with its random start, -1..1.
        rate: learning rate, for a method that chooses one per task.
        parameters: role -> number of trained parameters, for a method that trains one model per task.
        draws: accuracy of each draw of a few-shot experiment.
        spread: standard deviation of ``draws`` (n - 1).
    """

    majority: float | None = None
    validation: SplitScores | None = None
    test: SplitScores | None = None
    rows: Mapping[str, SplitRows] = field(default_factory=dict)
    classes: int | None = None
    source: str | None = None
    commit: str | None = None
    edition: str | None = None
    cos_z_z0: float | None = None
    rate: float | None = None
    parameters: Mapping[str, int] | None = None
    draws: tuple[float, ...] = ()
    spread: float | None = None

    def scores(self, split: Split) -> SplitScores | None:
        """Return the scores on a split, or None if the split was not scored."""
        return self.test if split == "test" else self.validation


@dataclass(frozen=True)
class RunFacts:
    """Facts about a run as a whole. A fact that results.json does not state is None or empty.

    Args:
        method: name of the method, for scripts that compare methods.
        experiment: "zero_shot" or "few_shot", for the scripts with these names.
        held_out: tasks that a zero-shot experiment held out, "glue" or "groups".
        answered_by: method of a few-shot experiment.
        shots: labelled examples per task in a few-shot experiment.
        notes: sentences for readers of the results.
        unanswered: task -> why it has no result.
        encoder: name of the encoder.
        seed: random seed.
        commit: commit of the code.
        version: version of metaeval.
        steps: training steps.
        seconds: time of training and evaluation.
        parameters: role -> number of trained parameters.
        settings: name -> value.
    """

    method: str | None = None
    experiment: str | None = None
    held_out: str | None = None
    answered_by: str | None = None
    shots: int | None = None
    notes: tuple[str, ...] = ()
    unanswered: Mapping[str, str] = field(default_factory=dict)
    encoder: str | None = None
    seed: int | None = None
    commit: str | None = None
    version: str | None = None
    steps: int | None = None
    seconds: float | None = None
    parameters: Mapping[str, int] | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResult:
    """The results of one method on its tasks.

    Args:
        label: name in tables. Runs with the same label (seeds of one method) are averaged.
        path: file that the results were read from.
        tasks: task name -> its result.
        facts: facts about the run as a whole.
    """

    label: str
    path: Path
    tasks: Mapping[str, TaskResult]
    facts: RunFacts = field(default_factory=RunFacts)


@dataclass(frozen=True)
class MeanScores:
    """Unweighted means over the tasks that have the score (Sileo & Moens 2022, table 1). None where no task has it.

    Args:
        majority: accuracy of the majority class.
        validation: accuracy on validation.
        test: accuracy on test.
        test_interval: 95 % interval of ``test``, of ``mean_interval``; None for fewer than two tasks.
        test_macro_f1: macro F1 on test.
        test_matthews: Matthews correlation on test.
        over_majority: test accuracy less that of the majority class.
        over_majority_interval: 95 % interval of ``over_majority``, paired by task.
        cos_z_z0: cosine of z with its random start.
    """

    majority: float | None
    validation: float | None
    test: float | None
    test_interval: tuple[float, float] | None
    test_macro_f1: float | None
    test_matthews: float | None
    over_majority: float | None
    over_majority_interval: tuple[float, float] | None
    cos_z_z0: float | None = None


def mean_scores(tasks: Iterable[TaskResult]) -> MeanScores:
    """Average the scores of tasks."""
    tasks = list(tasks)
    tested = [(task, task.test) for task in tasks if task.test is not None]
    accuracies = [scores.accuracy for _, scores in tested]
    gains = [scores.accuracy - task.majority for task, scores in tested if task.majority is not None]
    return MeanScores(
        majority=mean(task.majority for task in tasks),
        validation=mean(task.validation.accuracy for task in tasks if task.validation is not None),
        test=mean(accuracies),
        test_interval=mean_interval(accuracies, least=0.0),
        test_macro_f1=mean(scores.macro_f1 for _, scores in tested),
        test_matthews=mean(scores.matthews for _, scores in tested),
        over_majority=mean(gains),
        over_majority_interval=mean_interval(gains),
        cos_z_z0=mean(task.cos_z_z0 for task in tasks),
    )


def mean(values: Iterable[float | None]) -> float | None:
    """Average the values that are not None; return None if there are none."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


# --- Read -----------------------------------------------------------------------------------------------------------


def parse_run(label: str, file: Path, found: Mapping[str, Any]) -> RunResult:
    """Check the content of a results.json.

    Args:
        label: name of the run in tables.
        file: file that the content was read from.
        found: content of the file.

    Raises:
        FormError: a value does not have the expected form.
    """
    facts = _parse_facts(found)
    tasks = mapping_of(found.get("tasks"), "tasks", parse_task)
    if tasks and facts.experiment == ZERO_SHOT and facts.method is None:
        raise FormError("method is missing; the results of a zero-shot experiment name their method")
    if tasks and facts.experiment == FEW_SHOT:
        _check_few_shot(facts, tasks)
    return RunResult(label, file, tasks, facts)


def _check_few_shot(facts: RunFacts, tasks: Mapping[str, TaskResult]) -> None:
    if facts.answered_by is None or facts.shots is None:
        raise FormError("answered_by or shots is missing; the results of a few-shot experiment state both")
    if any(task.test is None for task in tasks.values()) or len({len(task.draws) for task in tasks.values()}) > 1:
        raise FormError("tasks have no test scores, or different numbers of draws; expected the same for all")
    if any(not task.draws for task in tasks.values()):
        raise FormError("draws are missing; the results of a few-shot experiment have them for each task")


def parse_task(value: Any, where: str = "task") -> TaskResult:
    """Check the JSON values of one task; a task without scores, such as one with only vectors, gets an empty result.

    Raises:
        FormError: a value does not have the expected form.
    """
    found = an_object(value, where)
    if not {"majority", "validation", "test", "rows"} & found.keys():
        return TaskResult()
    for key in ("majority", "validation", "test", "rows"):
        if key not in found:
            raise FormError(f"{where} has no {key!r}")
    validation, test = (
        optional(found[split], f"{where}[{split!r}]", _parse_scores) for split in ("validation", "test")
    )
    origin = an_object(found.get("origin") or {}, f"{where}['origin']")
    majority = optional(found["majority"], f"{where}['majority']", a_share)
    if majority is None and (validation or test):
        raise FormError(f"{where}['majority'] is null; expected a number from 0 to 1, since the task was scored")
    return TaskResult(
        majority=majority,
        validation=validation,
        test=test,
        rows=mapping_of(found["rows"], f"{where}['rows']", _parse_rows),
        classes=optional(found.get("classes"), f"{where}['classes']", a_count),
        source=optional(origin.get("source"), f"{where}['origin']['source']", a_text),
        commit=optional(origin.get("commit"), f"{where}['origin']['commit']", a_text),
        edition=optional(origin.get("edition"), f"{where}['origin']['edition']", a_text),
        cos_z_z0=optional(found.get("cos_z_z0"), f"{where}['cos_z_z0']", a_correlation),
        rate=optional(found.get("rate"), f"{where}['rate']", a_size),
        parameters=optional(found.get("parameters"), f"{where}['parameters']", counts),
        draws=list_of(found.get("draws") or [], f"{where}['draws']", a_share),
        spread=optional(found.get("spread"), f"{where}['spread']", a_share),
    )


def _parse_scores(value: Any, where: str) -> SplitScores:
    found = an_object(value, where)
    return SplitScores(
        a_share(found.get("accuracy"), f"{where}['accuracy']"),
        optional(found.get("macro_f1"), f"{where}['macro_f1']", a_share),
        optional(found.get("matthews"), f"{where}['matthews']", a_correlation),
    )


def _parse_rows(value: Any, where: str) -> SplitRows:
    found = an_object(value, where)
    kept, available = (a_count(found.get(key), f"{where}[{key!r}]") for key in ("kept", "available"))
    labels, digest = (optional(found.get(key), f"{where}[{key!r}]", a_text) for key in ("labels", "digest"))
    return SplitRows(kept, available, labels, digest)


def _parse_facts(found: Mapping[str, Any]) -> RunFacts:
    config = an_object(found.get("config") or {}, "config")
    encoder, git, versions = (an_object(found.get(key) or {}, key) for key in ("encoder", "git", "versions"))
    return RunFacts(
        method=optional(found.get("method"), "method", a_text),
        experiment=optional(found.get("experiment"), "experiment", a_text),
        held_out=optional(found.get("held_out"), "held_out", a_text),
        answered_by=optional(found.get("answered_by"), "answered_by", a_text),
        shots=optional(found.get("shots"), "shots", a_count),
        steps=optional(found.get("steps"), "steps", a_count),
        notes=list_of(found.get("notes") or [], "notes", a_text),
        unanswered=mapping_of(found.get("unanswered") or {}, "unanswered", a_text),
        encoder=optional(encoder.get("id"), "encoder['id']", a_text),
        seed=optional(found.get("seed"), "seed", a_whole),
        commit=optional(git.get("commit"), "git['commit']", a_text),
        version=optional(versions.get("metaeval"), "versions['metaeval']", a_text),
        seconds=optional(found.get("seconds"), "seconds", _parse_seconds),
        parameters=optional(found.get("parameters"), "parameters", counts),
        settings=_parse_settings(config.get("settings", config)),
    )


def _parse_seconds(value: Any, where: str) -> float:
    """Return the time of training and evaluation; a run may store one number, or a number for each part."""
    if not isinstance(value, dict):
        return a_size(value, where)
    return sum(a_size(value.get(part, 0.0), f"{where}[{part!r}]") for part in ("training", "evaluation"))


def _parse_settings(value: Any) -> dict[str, Setting]:
    """Check settings: those that reports use have their declared type, all others are JSON scalars or flat lists."""
    found = mapping_of(value, "config", _parse_setting)
    for name, check in _USED_SETTINGS.items():
        if found.get(name) is not None:
            check(found[name], f"config[{name!r}]")
    return found


def _parse_setting(value: Any, where: str) -> Setting:
    flat = isinstance(value, list) and not any(isinstance(entry, (list, dict)) for entry in value)
    for entry in value if flat else [value]:
        if isinstance(entry, str):
            a_text(entry, where)
        elif isinstance(entry, (list, dict)):
            raise FormError(f"{where} is {shown(value)}; expected a single value or a flat list")
        elif isinstance(entry, (int, float)) and not abs(entry) <= MAX_COUNT:
            raise FormError(f"{where} is {shown(value)}; expected a finite number")
    found: Setting = value
    return found


_USED_SETTINGS: Mapping[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("conditioning", "conditioning_vectors", "task_features", "edition"), a_text),
    **dict.fromkeys(
        ("embeddings_per_task", "batch_size", "adapter_size", "steps", "max_train_rows", "max_eval_rows", "max_length"),
        a_count,
    ),
    **dict.fromkeys(("epochs", "adapter_lr"), a_size),
}


# --- Write ----------------------------------------------------------------------------------------------------------


def run_to_json(tasks: Mapping[str, TaskResult], facts: RunFacts) -> dict[str, Any]:
    """Return the content of a results.json as JSON values. A writer may add further keys, which readers ignore."""
    return {
        "tasks": {name: task_to_json(task) for name, task in tasks.items()},
        "mean": asdict(mean_scores(tasks.values())),
        **_without_none({key: value for key, value in asdict(facts).items() if key not in _NESTED_FACTS}),
        "encoder": {"id": facts.encoder},
        "git": {"commit": facts.commit},
        "versions": {"metaeval": facts.version},
        "config": {"settings": dict(facts.settings)},
    }


_NESTED_FACTS = frozenset({"encoder", "commit", "version", "settings"})


def task_to_json(task: TaskResult) -> dict[str, Any]:
    """Return the result of one task as JSON values, with a Wilson interval for the accuracy on each scored split."""
    found = {
        "rows": {split: _without_none(asdict(rows)) for split, rows in task.rows.items()},
        "origin": {"source": task.source, "commit": task.commit, "edition": task.edition},
        "classes": task.classes,
        "majority": task.majority,
        "validation": _scores_to_json(task, "validation"),
        "test": _scores_to_json(task, "test"),
    }
    more = {"rate": task.rate, "parameters": task.parameters, "draws": list(task.draws) or None, "spread": task.spread}
    return {**found, **_without_none({"cos_z_z0": task.cos_z_z0, **more})}


def _scores_to_json(task: TaskResult, split: Split) -> dict[str, Any] | None:
    scores = task.scores(split)
    if scores is None:
        return None
    found = _without_none(asdict(scores))
    if split in task.rows and task.rows[split].kept:
        found["accuracy_interval"] = list(wilson(scores.accuracy, task.rows[split].kept))
    return found


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
