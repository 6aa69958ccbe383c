"""Read and write the JSON values of results.json. No other module knows the keys of the file.

Training writes the file with ``run_to_json``. Anyone may have written it, and it may be damaged, so ``parse_run`` and
``parse_task`` check every value; an error names the key and the expected value. Reading what ``task_to_json`` wrote
returns an equal object. This module does not need torch.

>>> scores = SplitScores(accuracy=0.75, macro_f1=0.7, matthews=0.5)
>>> task = TaskResult(majority=0.5, test=scores, rows={"test": SplitRows(kept=8, available=8)}, classes=2)
>>> parse_task(task_to_json(task)) == task
True
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from metaeval_hub.results.intervals import wilson
from metaeval_hub.results.json_values import (
    FormError,
    a_correlation,
    a_count,
    a_finite,
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
from metaeval_hub.results.run_settings import parse_settings
from metaeval_hub.results.schema import (
    FEW_SHOT,
    ZERO_SHOT,
    Details,
    Finish,
    Regularization,
    RunFacts,
    RunRecord,
    RunResult,
    Split,
    SplitRows,
    SplitScores,
    TaskResult,
    mean_scores,
)

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
    rows = found.get("rows")
    if not {"majority", "validation", "test"} & found.keys() and not isinstance(rows, dict):
        more = Details(averaged_rows=optional(rows, f"{where}['rows']", a_count))
        return TaskResult(seconds=_parse_task_seconds(found, where), more=more)
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
        seconds=_parse_task_seconds(found, where),
        more=_parse_details(found, where),
    )


def _parse_details(found: Mapping[str, Any], where: str) -> Details:
    regularization = None
    if "accuracies" in found:
        strength = optional(found.get("C"), f"{where}['C']", a_size)
        accuracies = mapping_of(found["accuracies"], f"{where}['accuracies']", a_share)
        regularization = Regularization(strength, accuracies)
    by_rate, nearest = found.get("validation_by_rate"), found.get("nearest")
    return Details(
        steps=optional(found.get("steps"), f"{where}['steps']", a_count),
        validation_by_rate=optional(by_rate, f"{where}['validation_by_rate']", _optional_shares),
        regularization=regularization,
        finish=optional(found.get("finish"), f"{where}['finish']", _parse_finish),
        nearest=optional(nearest, f"{where}['nearest']", lambda value, at: list_of(value, at, _parse_neighbour)),
        explained=optional(found.get("explained"), f"{where}['explained']", a_finite),
    )


def _parse_finish(value: Any, where: str) -> Finish:
    found = an_object(value, where)
    before = mapping_of(found.get("before"), f"{where}['before']", a_share)
    strength = optional(found.get("C"), f"{where}['C']", a_size)
    if not isinstance(private := found.get("private", False), bool):
        raise FormError(f"{where}['private'] is {shown(private)}; expected true or false")
    return Finish(before, strength, private)


def _optional_shares(value: Any, where: str) -> dict[str, float | None]:
    return mapping_of(value, where, lambda each, at: optional(each, at, a_share))


def _parse_neighbour(value: Any, where: str) -> tuple[str, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise FormError(f"{where} is not a pair; expected the name of a task and a cosine")
    return a_text(value[0], where), a_correlation(value[1], where)


def _parse_task_seconds(found: Mapping[str, Any], where: str) -> float | None:
    return optional(found.get("seconds"), f"{where}['seconds']", a_size)


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
        projection_ratio=optional(found.get("projection_ratio"), "projection_ratio", a_size),
        settings=parse_settings(config.get("settings", config)),
    )


def _parse_seconds(value: Any, where: str) -> float:
    """Return the time of training and evaluation; a run may store one number, or a number for each part."""
    if not isinstance(value, dict):
        return a_size(value, where)
    return sum(a_size(value.get(part, 0.0), f"{where}[{part!r}]") for part in ("training", "evaluation"))


# --- Write ----------------------------------------------------------------------------------------------------------


def run_to_json(tasks: Mapping[str, TaskResult], facts: RunFacts, record: RunRecord) -> dict[str, Any]:
    """Return the content of a results.json as JSON values.

    The encoder, the commit, the version and the settings are those of the record, which contains all that is known
    about them. A run of one multitask model has no ``facts.method``.

    Args:
        tasks: name -> result.
        facts: facts about the run.
        record: further facts.
    """
    multitask = facts.method is None
    stored = {name: task_to_json(task) for name, task in tasks.items()}
    mean_of = asdict(mean_scores(tasks))
    if multitask:  # these results have the cosine even where it is null, because the model has no z
        stored = {name: {**values, "cos_z_z0": tasks[name].cos_z_z0} for name, values in stored.items()}
    else:
        del mean_of["cos_z_z0"]
    has_mean = multitask or (facts.experiment is None and any(task.rows for task in tasks.values()))
    return {
        "tasks": stored,
        **({"mean": mean_of} if has_mean else {}),
        **_without_none({"method": facts.method}),
        "skipped": dict(record.skipped),
        **_without_none({"steps": facts.steps, "examples": record.examples}),
        **_seconds_to_json(facts, record),
        **_experiment_to_json(facts),
        **_without_none({"folds": record.folds, "processes": record.processes}),
        "threads": record.threads,
        "device": record.device,
        **_without_none({"encoder": record.encoder, "validation_by_rate": record.validation_by_rate}),
        **_without_none(
            {"parameters": facts.parameters, "projection_ratio": facts.projection_ratio, "seed": facts.seed}
        ),
        "config": dict(record.config),
        "versions": dict(record.versions),
        "git": dict(record.git),
    }


def _seconds_to_json(facts: RunFacts, record: RunRecord) -> dict[str, Any]:
    if record.timing is None:
        return _without_none({"seconds": facts.seconds})
    found: dict[str, Any] = {"seconds": asdict(record.timing)}
    if record.examples is not None:
        found["examples_per_second"] = record.timing.examples_per_second(record.examples)
    return found


def _experiment_to_json(facts: RunFacts) -> dict[str, Any]:
    if facts.experiment is None:
        return {}
    named = {"experiment": facts.experiment, "held_out": facts.held_out}
    few_shot = {"answered_by": facts.answered_by, "shots": facts.shots}
    return {
        **_without_none({**named, **few_shot}),
        "unanswered": dict(facts.unanswered),
        "notes": list(facts.notes),
    }


def task_to_json(task: TaskResult) -> dict[str, Any]:
    """Return the result of one task as JSON values, with a Wilson interval for the accuracy on each scored split."""
    more = task.more
    if more.averaged_rows is not None:
        return {"rows": more.averaged_rows, **_without_none({"seconds": task.seconds})}
    found = {
        "rows": {split: _without_none(asdict(rows)) for split, rows in task.rows.items()},
        "origin": {"source": task.source, "commit": task.commit, "edition": task.edition},
        "classes": task.classes,
        "majority": task.majority,
        "validation": _scores_to_json(task, "validation"),
        "test": _scores_to_json(task, "test"),
        **_without_none({"cos_z_z0": task.cos_z_z0}),
    }
    if task.draws:  # the spread of a single draw is null
        found |= {"draws": list(task.draws), "spread": task.spread}
    if more.nearest is not None:
        found |= {"nearest": [list(pair) for pair in more.nearest], "explained": more.explained}
    found |= _without_none({"parameters": task.parameters, "rate": task.rate})
    if more.regularization is not None:
        found |= {"C": more.regularization.strength, "accuracies": dict(more.regularization.accuracies)}
    if more.finish is not None:
        finish = more.finish
        found["finish"] = {"before": dict(finish.before), "C": finish.strength, "private": finish.private}
    last = {"steps": more.steps, "seconds": task.seconds, "validation_by_rate": more.validation_by_rate}
    return {**found, **_without_none(last)}


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
