"""Run a script that takes one task after the other: its settings, its run folder, one file per task, and results.

A finished task has a file, ``<run>/<method>/tasks/<group>/<task>.json``, written atomically. A stopped run
resumes with the tasks that have no file.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from metaeval_datasets import NoSourceError, UnknownTaskError
from metaeval_hub.results.comparison import compare
from metaeval_hub.results.comparison_tables import summary_table, task_table
from metaeval_hub.results.results_json import parse_task
from metaeval_hub.results.run_results import read_runs
from metaeval_hub.results.schema import RunFacts, TaskResult
from metaeval_hub.results.terminal import show_table
from metaeval_training.atomic_files import check_seal, parse_object, read_object
from metaeval_training.config import ConfigError, TrainConfig, check_resume, flag, resolve
from metaeval_training.data.cache import data_cache
from metaeval_training.data.contamination import Positions
from metaeval_training.data.rows import (
    DataError,
    TaskRows,
    expand_tasks,
    find_contaminated,
    load_task,
    row_choice,
    texts,
)
from metaeval_training.flags import add_flags, make_parser
from metaeval_training.runs.folder import RunError, RunFolder
from metaeval_training.runs.lifecycle import DONE, Session, run_command
from metaeval_training.runs.machine import describe_machine, device_name, start_accelerator
from metaeval_training.runs.process import Stopped, launcher_gone
from metaeval_training.runs.provenance import describe_results
from metaeval_training.runs.reporter import Reporter, duration, remaining, shorten

# The settings of TrainConfig that every such script accepts.
SETTINGS = (
    "preset", "name", "output_dir", "seed", "threads", "matmul_precision", "tasks", "edition", "pins", "task_file",
    "skip_unavailable", "max_train_rows", "max_eval_rows", "rows_seed", "decontaminate", "cache_dir", "max_length",
    "encoder", "encoder_revision", "eval_batch_size",
)  # fmt: skip

Answer = tuple[dict[str, Any], str]  # what is stored for a task, as JSON values; a few words to show
TaskMethod = Callable[[TaskRows, Callable[[str], None]], Answer]  # rows of a task, function that shows progress


@dataclass(frozen=True)
class Script:
    """The properties of one script.

    Attributes:
        command: name of the training command, such as "single-task".
        description: the docstring, shown by --help.
        settings: settings of TrainConfig that are flags of the script.
        own: settings whose default differs from TrainConfig.
        options: further options with their defaults, as JSON values.
        add_options: adds their flags, all with ``default=argparse.SUPPRESS``.
        check: raises ConfigError for options that are out of range.
    """

    command: str
    description: str
    settings: Sequence[str]
    own: Mapping[str, Any]
    options: Mapping[str, Any]
    add_options: Callable[[argparse.ArgumentParser], None]
    check: Callable[[Mapping[str, Any]], None] = lambda options: None


@dataclass(frozen=True)
class Command:
    """A parsed command line.

    Attributes:
        config: settings, merged from defaults, preset and flags.
        options: options of the script, merged in the same way.
        flags: only the settings that were given on the command line.
        given: only the options that were given on the command line.
        resume: folder of the run to resume; "": the newest unfinished run of this name; None: a new run.
    """

    script: Script
    config: TrainConfig
    options: dict[str, Any]
    flags: dict[str, Any]
    given: dict[str, Any]
    resume: str | None


@dataclass(frozen=True)
class Job:
    """The work of a script on its run.

    Attributes:
        script: the script.
        config: settings of the run.
        options: options of the run.
        run: the folder.
        accelerator: the Accelerator of the run.
        session: session of the command.
    """

    script: Script
    config: TrainConfig
    options: dict[str, Any]
    run: RunFolder
    accelerator: Accelerator
    session: Session

    @property
    def reporter(self) -> Reporter:
        """Show messages and progress."""
        return self.session.reporter


def parse(script: Script, argv: Sequence[str] | None = None) -> Command:
    """Parse the command line. Wrong usage ends the program with code 2 and a message, as argparse does."""
    parser = make_parser(script.description)
    script.add_options(parser)
    add_flags(parser, script.settings, script.own)
    given = vars(parser.parse_args(argv))
    resume = given.pop("resume")
    flags = {name: value for name, value in given.items() if name in script.settings}
    if "tasks" in flags:
        flags["tasks"] = tuple(flags["tasks"])
    own = {name: value for name, value in given.items() if name not in script.settings}
    options = {**script.options, **own}
    try:
        if resume is None:  # a resumed run uses its stored options, checked when it was started
            script.check(options)
        config = resolve(flags, script.own)
        # a preset may set settings that this script does not have; they are not stored with the run
        config = TrainConfig(**{name: getattr(config, name) for name in script.settings})
        return Command(script, config, options, flags, own, resume)
    except ConfigError as error:
        parser.error(str(error))


def launch(command: Command, work: Callable[[Job], int]) -> int:
    """Open or create the run, do the work and return the exit code; see ``run_command``."""
    return run_command(
        lambda session: _work(session, command, work), Reporter(main=True), command.script.command,
        kept="finished tasks are kept",
    )  # fmt: skip


def _work(session: Session, command: Command, work: Callable[[Job], int]) -> int:
    processes = os.environ.get("WORLD_SIZE", "1")
    if int(processes) > 1:
        raise RunError(
            f"this script takes one task after the other in one process, but {processes} processes were started. Start "
            "it with python instead of a launcher"
        )
    config, options, run = open_run(session, command)
    finished = run is not None and run.finished
    session.lock(config.output_dir, finished)
    if run is not None and finished:
        session.reporter.line(f"{run.path} is finished")
        return DONE
    session.use_pins(config.pins)
    session.use_task_file(config.task_file)
    accelerator = start_accelerator(config)
    run = run or create_run(session, command)
    encoder = f", encoder {config.encoder}" if "encoder" in command.script.settings else ""
    session.reporter.line(f"run {run.path}: {describe_machine(config, accelerator)}{encoder}")
    return work(Job(command.script, config, options, run, accelerator, session))


def open_run(session: Session, command: Command) -> tuple[TrainConfig, dict[str, Any], RunFolder | None]:
    """Return the settings and the options of a run, and its folder if it is resumed.

    Raises:
        RunError: the run does not exist, belongs to another script, or has other options than those given now.
        ConfigError: its settings cannot be read, or differ from the flags given now.
    """
    run = session.open(command.resume, command.config.output_dir, command.config.name)
    if run is None:
        return command.config, command.options, None
    settings, options = _read_settings(run, command.script)
    # --skip-unavailable may be added when it is known which tasks cannot be loaded
    changeable = {"skip_unavailable": command.flags.get("skip_unavailable", settings["skip_unavailable"])}
    fixed = {name: value for name, value in command.flags.items() if name not in changeable}
    config = replace(check_resume(TrainConfig.from_dict(settings, str(run.config)), fixed), **changeable)
    changed = [name for name, value in command.given.items() if options[name] != value]
    if changed:
        listed = "; ".join(f"{flag(name)} {command.given[name]} (the run has {options[name]})" for name in changed)
        raise RunError(f"a resumed run keeps its settings: {listed}. Leave these flags out, or start a new run")
    return config, options, run


def _read_settings(run: RunFolder, script: Script) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        stored = check_seal(parse_object(run.config.read_bytes()))
        settings, options = stored["settings"], stored["options"]
    except (OSError, ValueError, KeyError) as error:
        raise RunError(
            f"--resume {run.path} is not the folder of a run of this script, or its {run.config.name} is damaged: "
            f"{error}. Give the folder of another run, or start a new one"
        ) from None
    if not settings.keys() <= set(script.settings) or options.keys() != script.options.keys():
        raise RunError(f"--resume {run.path}: that run belongs to another script. Resume it with that script")
    defaults = TrainConfig().to_dict()  # a run of an earlier version lacks the settings that have been added since
    return {name: settings.get(name, defaults[name]) for name in script.settings}, options


def create_run(session: Session, command: Command) -> RunFolder:
    """Create the folder of a new run, with its settings in config.json."""
    values = command.config.to_dict()
    settings = {name: values[name] for name in command.script.settings}

    def write_settings(run: RunFolder) -> None:
        run.write_sealed(run.config, {"settings": settings, "options": command.options})

    return session.create(command.config.output_dir, command.config.name, write_settings)


def task_names(config: TrainConfig) -> list[str]:
    """Return the tasks that the settings name.

    Raises:
        ConfigError: a name is neither a task nor a group.
    """
    try:
        return expand_tasks(config.tasks)
    except UnknownTaskError as error:
        raise ConfigError(f"--tasks: {error}") from error


def all_texts(config: TrainConfig) -> Iterator[str]:
    """Yield the training texts of all tasks that can be loaded, for the vocabulary of the encoder "tiny"."""
    for name in task_names(config):
        try:
            rows = load(config, name)
        except Exception:  # noqa: S112 - reported when the task itself is run
            continue
        yield from texts([rows])


def load(config: TrainConfig, name: str) -> TaskRows:
    """Load one task with the rows that the settings choose; see ``metaeval_training.data.rows.load_task``."""
    return load_task(name, row_choice(config), left_out(config).get(name))


@cache
def left_out(config: TrainConfig) -> dict[str, Positions]:
    """Return the contaminated training rows of each task: their texts are in an evaluation split of any task."""
    return find_contaminated(task_names(config), config.edition, config.decontaminate, data_cache(config))


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        found: method -> task -> stored values, with the "seconds" that the method took; in the order of the settings.
        failed: task -> reason; these tasks are not in ``found``.
    """

    found: dict[str, dict[str, dict[str, Any]]]
    failed: dict[str, str]


def run_tasks(job: Job, methods: Mapping[str, TaskMethod]) -> Outcome:
    """Run every method on every task that has no file yet; return all answers, new and stored ones.

    A task that fails is reported, and the others are still run. At the end, failed tasks are an error unless
    --skip-unavailable is given.

    Args:
        job: the run.
        methods: name -> function of the rows of a task.

    Raises:
        DataError: tasks failed and --skip-unavailable is not given, or all tasks failed.
        OSError: an answer could not be stored.
    """
    names = task_names(job.config)
    outcome = Outcome({method: {} for method in methods}, {})
    before = {name for name in names if all(_stored(job.run, method, name) for method in methods)}
    if before:
        job.reporter.line(f"{len(before)} of {len(names)} tasks were already done")
    started, done, new = time.monotonic(), 0, len(names) - len(before)
    with job.reporter.progress("tasks", len(names)) as display:
        for number, name in enumerate(names):
            if launcher_gone():
                raise Stopped(signal.SIGTERM)
            show, begun = partial(display.update, number), time.monotonic()
            show(name)
            shown = _run_task(job, methods, name, f"{number + 1}/{len(names)}", show, outcome)
            done += name not in before
            if shown:
                now = time.monotonic()
                took = duration(now - begun) + remaining(now - started, done, new - done)
                job.reporter.line(f"{number + 1}/{len(names)}  {name}  {shown}  ({took})")
    failed = outcome.failed
    if failed and (not job.config.skip_unavailable or len(failed) == len(names)):
        listed = "\n".join(f"  {name}: {reason}".replace("\n", "\n    ") for name, reason in failed.items())
        some = len(failed) < len(names)
        advice = "the others are done; add --skip-unavailable to skip the failed ones" if some else "no task is left"
        raise DataError(
            f"{len(failed)} of {len(names)} tasks failed; {advice}\n{listed}\n"
            f"try again with: {job.session.resume_command()}"
        )
    return outcome


def _run_task(
    job: Job,
    methods: Mapping[str, TaskMethod],
    name: str,
    place: str,
    show: Callable[[str], None],
    outcome: Outcome,
) -> str:
    """Run every method on one task. Return words to show, or "" if the task was done before or has failed."""
    done = {method: _stored(job.run, method, name) for method in methods}
    shown = []
    rows: TaskRows | None = None
    for method in methods:
        if done[method] is not None:
            continue
        begun = time.monotonic()
        try:
            rows = rows or load(job.config, name)
            answer, words = methods[method](rows, show)
        except Exception as error:  # whatever the reason, it is reported with the task's name
            known = isinstance(error, DataError | NoSourceError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            outcome.failed[name] = reason
            job.reporter.warn(f"{place}  {name}  failed: {shorten(reason)}")
            return ""
        done[method] = answer = {**answer, "seconds": time.monotonic() - begun}
        file = _task_file(job.run, method, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        job.run.write_sealed(file, answer)
        shown.append(f"{method} {words}")
    for method, stored in done.items():
        outcome.found[method][name] = stored or {}
    return ", ".join(shown)


def _task_file(run: RunFolder, method: str, task: str) -> Path:
    return run.path / method / "tasks" / f"{task}.json"


def _stored(run: RunFolder, method: str, task: str) -> dict[str, Any] | None:
    return run.read_sealed(_task_file(run, method, task))


def parse_answers(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, TaskResult]:
    """Return the task results among stored answers: task -> values of ``task_to_json`` and other keys."""
    return {name: parse_task(answer, name) for name, answer in answers.items()}


def write_results(
    job: Job,
    method: str,
    tasks: Mapping[str, TaskResult],
    failed: Mapping[str, str],
    facts: RunFacts | None = None,
    **more: Any,
) -> None:
    """Write the results.json of one method. Results finish a run.

    Args:
        job: the run.
        method: its name, which is also the name of its folder.
        tasks: name -> result, with its seconds.
        failed: task -> why it has no result.
        facts: facts about the experiment, if any.
        more: fields of ``RunRecord``, such as "encoder".
    """
    run = job.run
    seconds = sum(task.seconds or 0.0 for task in tasks.values())
    facts = replace(facts or RunFacts(), method=method, seconds=seconds, seed=job.config.seed)
    config = check_seal(read_object(run.config))
    results = describe_results(tasks, facts, config, device_name(job.accelerator.device), failed, **more)
    run.write_json(run.path / method / run.results.name, results)


def show_results(job: Job, methods: Sequence[str]) -> None:
    """Print a table of tasks and methods, a table of means, and the paths of the results."""
    found = compare([run for method in methods for run in read_runs(job.run.path / method, method)])
    job.reporter.line()
    for table in (task_table(found), summary_table(found)):
        show_table(job.reporter.console, table)
    job.reporter.line(f"results  {job.run.path}/*/{job.run.results.name}; compare with other runs: metaeval compare")
