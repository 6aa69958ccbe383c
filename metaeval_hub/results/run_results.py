"""Read what a run leaves behind: results.json, data.json and config.json, every value checked. Needs no torch.

The files come from anyone and may be damaged. Whatever this module returns has the types below; anything else is one
``ResultsError`` that names the file, the place in it and what was expected there.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from metaeval_hub.results.json_values import (
    MAX_COUNT,
    FormError,
    Value,
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

RESULTS, CONFIG, DATA = "results.json", "config.json", "data.json"  # of a run: its end, its settings, its rows
MAX_BYTES = 2**29  # of one of these files; 100,000 tasks take a tenth of it
ZERO_SHOT, FEW_SHOT = "zero_shot", "few_shot"  # values of "experiment", of training/zero_shot.py and few_shot.py

Split = Literal["test", "validation"]
Setting = None | bool | int | float | str | list[Any]


class ResultsError(ValueError):
    """A run cannot be read; the message names the file and says what to do."""


class UnfinishedRunError(ResultsError):
    """A run was begun and has no results yet."""


class NoRunError(ResultsError):
    """A folder, or a file, is none of a run."""


# --- What is read ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scores:
    """Figures of one split of a task; those that were not stored are None.

    Args:
        accuracy: 0..1.
        macro_f1: 0..1.
        matthews: -1..1.
    """

    accuracy: float
    macro_f1: float | None = None
    matthews: float | None = None


@dataclass(frozen=True)
class SplitRows:
    """Rows of one split of a task.

    Args:
        kept: how many were used.
        available: how many the task has.
        labels: digest of the labels of those that were used; two runs scored the same rows where it agrees.
    """

    kept: int
    available: int
    labels: str | None = None


@dataclass(frozen=True)
class TaskResult:
    """The results of one task, as ``metaeval_training.runs.results.task_result`` writes them.

    Args:
        majority: accuracy of the majority class, 0..1; None where no split was scored.
        validation: scores; None where there are none.
        test: the same.
        rows: split -> its rows.
        classes: number of classes.
        source: where the rows are from.
        commit: of the source.
        edition: of the task.
        cos_z_z0: cosine of the task's z with its random start.
        rate: learning rate, of a method that chose one.
        parameters: role -> trained numbers, of a method with a model per task.
        draws: accuracies of the draws of a few-shot experiment.
        spread: their standard deviation.
    """

    majority: float | None = None
    validation: Scores | None = None
    test: Scores | None = None
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

    def scores(self, split: Split) -> Scores | None:
        """The scores of a split; None where there are none."""
        return self.test if split == "test" else self.validation


@dataclass(frozen=True)
class RunFacts:
    """What results.json says of a run as a whole; None or empty where it says nothing.

    Args:
        method: of a script that compares methods.
        experiment: "zero_shot" or "few_shot", of the scripts for these.
        held_out: which tasks a zero-shot experiment held out.
        answered_by: method of a few-shot experiment.
        shots: labelled examples per task of a few-shot experiment.
        notes: sentences for readers.
        unanswered: task -> why it has no result.
        encoder: name of the encoder.
        seed: of the run.
        commit: of the code.
        version: of metaeval.
        steps: of training.
        seconds: of training and evaluation.
        parameters: role -> trained numbers.
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
class Run:
    """The results of one method on its tasks.

    Args:
        label: what it is called in a table; runs of the same label (seeds) are averaged.
        path: the file they were read from.
        tasks: task name -> its results.
        facts: of the run as a whole.
    """

    label: str
    path: Path
    tasks: Mapping[str, TaskResult]
    facts: RunFacts = field(default_factory=RunFacts)


@dataclass(frozen=True)
class ReadRows:
    """What a source gave for a task, by the run's data.json.

    Args:
        missing: splits that the source lacks.
        read: official split -> rows that were read.
    """

    missing: tuple[str, ...]
    read: Mapping[str, int]


# --- Folders --------------------------------------------------------------------------------------------------------


def read_runs(path: Path | str, label: str | None = None) -> list[Run]:
    """Read the results in a folder, or those in its sub-folders, one method each; or one file.

    Args:
        path: a run's folder, or a results.json; a leading ``~`` is the home folder.
        label: what to call it, by default the folder's name; with sub-folders, theirs are appended.

    Raises:
        UnfinishedRunError: the run has no results yet.
        NoRunError: it is the folder of something else, or another file.
        ResultsError: there is nothing there, or the results are of another form.
    """
    path = at_home(path)
    if path.is_file():
        if path.suffix != ".json":
            raise NoRunError(f"{path} is neither the folder of a run nor a {RESULTS}")
        return [read_results(path, label or path.parent.resolve().name)]
    if not path.is_dir():
        raise ResultsError(f"{path} is neither the folder of a run nor a {RESULTS}")
    label = path.resolve().name if label is None else label
    if (path / RESULTS).is_file():
        return [read_results(path / RESULTS, label)]
    found = sorted(file for file in path.glob(f"*/{RESULTS}") if file.is_file())
    if not found:
        raise without_results(path)
    return [read_results(file, f"{label}/{file.parent.name}") for file in found]


def at_home(path: Path | str) -> Path:
    """The path, with a leading ``~`` replaced by the home folder where that is known."""
    return Path(os.path.expanduser(path))


def is_run(folder: Path) -> bool:
    """Whether a folder has the settings of a run, of whatever script; the config.json of a model is another."""
    try:
        config = read_json(folder / CONFIG)
    except (OSError, ResultsError):
        return False
    settings = config.get("settings", config) if isinstance(config, dict) else None
    return isinstance(settings, dict) and "output_dir" in settings


def without_results(folder: Path) -> ResultsError:
    """What to raise for a folder that has no results: an unfinished run can be resumed, anything else cannot."""
    if is_run(folder):
        return UnfinishedRunError(
            f"{folder} has no {RESULTS}: the run is not finished; resume it with the script that began it and "
            f"--resume {shlex.quote(str(folder))}"
        )
    return NoRunError(f"{folder} has no {RESULTS} and no {CONFIG} of a run: it is not the folder of a run")


# --- Files ----------------------------------------------------------------------------------------------------------


def read_json(file: Path) -> Any:
    """The JSON of a regular file; a pipe or a device could block or never end.

    Raises:
        OSError: it cannot be read.
        ResultsError: it is no regular file, too large, or not JSON.
    """
    if not file.is_file():
        raise ResultsError(f"{file} is not a regular file")
    if (size := file.stat().st_size) > MAX_BYTES:
        raise ResultsError(f"{file} has {size:,} bytes; expected at most {MAX_BYTES:,}")
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ResultsError(f"{file} is not JSON: {reason}; {_ADVICE}") from None


def read_results(file: Path, label: str) -> Run:
    """Read a results.json.

    Raises:
        ResultsError: it cannot be read or is of another form.
    """
    return _read(file, lambda found: _run(label, file, found))


def read_rows(folder: Path) -> dict[str, ReadRows]:
    """Task -> what its source gave, of the data.json in a run's folder; empty where there is none.

    Raises:
        ResultsError: it cannot be read or is of another form.
    """
    file = folder / DATA
    if not file.exists():
        return {}
    return _read(file, lambda found: mapping_of(found.get("origins", {}), "origins", _read_rows))


_ADVICE = "it is damaged, or no file that metaeval wrote: write it again with the run, or leave the run out"


def _read(file: Path, parse: Callable[[dict[str, Any]], Value]) -> Value:
    try:
        found = read_json(file)
        if not isinstance(found, dict):
            raise FormError(f"the whole file is {shown(found)}; expected an object")
        return parse(found)
    except OSError as error:
        raise ResultsError(f"{file} cannot be read: {error.strerror or error}") from None
    except FormError as error:
        raise ResultsError(f"{file} is not of the expected form: {error}; {_ADVICE}") from None


# --- Values ---------------------------------------------------------------------------------------------------------


def _run(label: str, file: Path, found: Mapping[str, Any]) -> Run:
    facts = _facts(found)
    tasks = mapping_of(found.get("tasks"), "tasks", parse_task)
    if tasks and facts.experiment == ZERO_SHOT and facts.method is None:
        raise FormError("method is missing, which the results of a zero-shot experiment have")
    if tasks and facts.experiment == FEW_SHOT:
        if facts.answered_by is None or facts.shots is None:
            raise FormError("answered_by or shots is missing, which the results of a few-shot experiment have")
        if any(task.test is None for task in tasks.values()) or len({len(task.draws) for task in tasks.values()}) > 1:
            raise FormError("tasks have no test scores, or different numbers of draws; expected the same for all")
        if any(not task.draws for task in tasks.values()):
            raise FormError("tasks have no draws, which the results of a few-shot experiment have")
    return Run(label, file, tasks, facts)


def parse_task(value: Any, where: str = "task") -> TaskResult:
    """The results of a task from JSON values; a task that was not scored, such as one with vectors, has none.

    Raises:
        ValueError: they are of another form.
    """
    row = an_object(value, where)
    if not {"majority", "validation", "test", "rows"} & row.keys():
        return TaskResult()
    for key in ("majority", "validation", "test", "rows"):
        if key not in row:
            raise FormError(f"{where} has no {key!r}")
    validation, test = (optional(row[split], f"{where}[{split!r}]", _scores) for split in ("validation", "test"))
    origin = an_object(row.get("origin") or {}, f"{where}['origin']")
    majority = optional(row["majority"], f"{where}['majority']", a_share)
    if majority is None and (validation or test):
        raise FormError(f"{where}['majority'] is null; expected a number from 0 to 1, since the task was scored")
    return TaskResult(
        majority=majority,
        validation=validation,
        test=test,
        rows=mapping_of(row["rows"], f"{where}['rows']", _split_rows),
        classes=optional(row.get("classes"), f"{where}['classes']", a_count),
        source=optional(origin.get("source"), f"{where}['origin']['source']", a_text),
        commit=optional(origin.get("commit"), f"{where}['origin']['commit']", a_text),
        edition=optional(origin.get("edition"), f"{where}['origin']['edition']", a_text),
        cos_z_z0=optional(row.get("cos_z_z0"), f"{where}['cos_z_z0']", a_correlation),
        rate=optional(row.get("rate"), f"{where}['rate']", a_size),
        parameters=optional(row.get("parameters"), f"{where}['parameters']", counts),
        draws=list_of(row.get("draws") or [], f"{where}['draws']", a_share),
        spread=optional(row.get("spread"), f"{where}['spread']", a_share),
    )


def _scores(value: Any, where: str) -> Scores:
    found = an_object(value, where)
    return Scores(
        a_share(found.get("accuracy"), f"{where}['accuracy']"),
        optional(found.get("macro_f1"), f"{where}['macro_f1']", a_share),
        optional(found.get("matthews"), f"{where}['matthews']", a_correlation),
    )


def _split_rows(value: Any, where: str) -> SplitRows:
    found = an_object(value, where)
    kept, available = (a_count(found.get(key), f"{where}[{key!r}]") for key in ("kept", "available"))
    return SplitRows(kept, available, optional(found.get("labels"), f"{where}['labels']", a_text))


def _read_rows(value: Any, where: str) -> ReadRows:
    found = an_object(value, where)
    official = mapping_of(found.get("official") or {}, f"{where}['official']", an_object)
    return ReadRows(
        list_of(found.get("missing") or [], f"{where}['missing']", a_text),
        {
            split: a_count(each.get("read"), f"{where}['official'][{split!r}]['read']")
            for split, each in official.items()
        },
    )


def _facts(found: Mapping[str, Any]) -> RunFacts:
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
        seconds=optional(found.get("seconds"), "seconds", _seconds),
        parameters=optional(found.get("parameters"), "parameters", counts),
        settings=_settings(config.get("settings", config)),
    )


def _seconds(value: Any, where: str) -> float:
    """Of training and evaluation, where a run keeps its parts apart."""
    if not isinstance(value, dict):
        return a_size(value, where)
    return sum(a_size(value.get(part, 0.0), f"{where}[{part!r}]") for part in ("training", "evaluation"))


def _settings(value: Any) -> dict[str, Setting]:
    """The settings that reports use have the type they are declared with; others are JSON scalars or flat lists."""
    found = mapping_of(value, "config", _setting)
    for name, check in _USED_SETTINGS.items():
        if found.get(name) is not None:
            check(found[name], f"config[{name!r}]")
    return found


def _setting(value: Any, where: str) -> Setting:
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
