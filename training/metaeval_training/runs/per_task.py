"""Run a script that takes one task after the other: its settings, its run folder, one file per task, and results.

A finished task has a file, ``<run>/<method>/tasks/<group>/<task>.json``, written atomically. A stopped run
resumes with the tasks that have no file.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from accelerate import Accelerator

from metaeval_datasets import UnknownTaskError
from metaeval_datasets.sources.revisions import ask_once
from metaeval_hub.results.comparison import compare
from metaeval_hub.results.comparison_tables import summary_table, task_table
from metaeval_hub.results.results_json import parse_task
from metaeval_hub.results.run_results import read_runs
from metaeval_hub.results.schema import RunFacts, TaskResult
from metaeval_hub.results.terminal import show_table
from metaeval_training.atomic_files import check_seal, parse_object, read_object
from metaeval_training.config import ConfigError, TrainConfig, check_resume, flag
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
from metaeval_training.runs.folder import RunError, RunFolder
from metaeval_training.runs.lifecycle import DONE, Session, run_command
from metaeval_training.runs.machine import (
    available_cores,
    default_device_type,
    describe_machine,
    device_name,
    start_accelerator,
)
from metaeval_training.runs.process import Stopped, launcher_gone, requested_threads
from metaeval_training.runs.provenance import describe_results
from metaeval_training.runs.reporter import Reporter, duration, remaining, shorten
from metaeval_training.runs.task_answers import Answer as Answer
from metaeval_training.runs.task_answers import Show, TaskEnd, answer_task, stored_answer
from metaeval_training.runs.task_answers import TaskMethod as TaskMethod
from metaeval_training.runs.task_script import SETTINGS as SETTINGS
from metaeval_training.runs.task_script import Command
from metaeval_training.runs.task_script import Script as Script
from metaeval_training.runs.task_script import parse as parse
from metaeval_training.runs.task_workers import TaskWork, long_lived_objects, work_in_processes


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
        workers: number of processes that work on tasks; 1: this one.
        threads: number of threads of each process.
    """

    script: Script
    config: TrainConfig
    options: dict[str, Any]
    run: RunFolder
    accelerator: Accelerator
    session: Session
    workers: int = 1
    threads: int = 0

    @property
    def reporter(self) -> Reporter:
        """Show messages and progress."""
        return self.session.reporter


MOST_WORKERS = 4  # processes by default: each keeps a model, its gradients and its optimizer in memory
# Makes the methods of a script in the process that runs them, so it has to be picklable: name -> method.
MakeMethods = Callable[[Job], Mapping[str, TaskMethod]]


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
    session.use_task_file(config.task_file, config.tasks)
    workers, threads = choose_workers(command, config)
    accelerator = start_accelerator(replace(config, threads=threads))
    run = run or create_run(session, command)
    encoder = f", encoder {config.encoder}" if "encoder" in command.script.settings else ""
    session.reporter.line(f"run {run.path}: {describe_machine(config, accelerator, workers)}{encoder}")
    return work(Job(command.script, config, options, run, accelerator, session, workers, threads))


def choose_workers(command: Command, config: TrainConfig) -> tuple[int, int]:
    """Return the number of processes that work on tasks, and the number of threads of each.

    The default depends on the tasks of the run and not on those that are left, so that a resumed run has it too.
    """
    threads, cores = config.threads or requested_threads(), available_cores()
    workers = min(command.workers, len(task_names(config))) if command.workers else 1
    if command.script.workers and not command.workers and default_device_type() == "cpu":
        workers = min(max(cores // (threads or 1), 1), len(task_names(config)), MOST_WORKERS)
    return workers, threads or max(cores // workers, 1)


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


_left_out: dict[TrainConfig, dict[str, Positions]] = {}  # found once per process, or given by the main process


def left_out(config: TrainConfig) -> dict[str, Positions]:
    """Return the contaminated training rows of each task: their texts are in an evaluation split of any task."""
    if config not in _left_out:
        found = find_contaminated(task_names(config), config.edition, config.decontaminate, data_cache(config))
        _left_out[config] = found
    return _left_out[config]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        found: method -> task -> stored values, with the "seconds" that the method took; in the order of the settings.
        failed: task -> reason; these tasks are not in ``found``.
    """

    found: dict[str, dict[str, dict[str, Any]]]
    failed: dict[str, str]


def run_tasks(job: Job, methods: Sequence[str], make: MakeMethods) -> Outcome:
    """Run every method on every task that has no file yet; return all answers, new and stored ones.

    A task that fails is reported, and the others are still run. At the end, failed tasks are an error unless
    --skip-unavailable is given.

    Args:
        job: the run.
        methods: names of the methods.
        make: makes them, in each process that works on tasks; not called if all answers are stored.

    Raises:
        DataError: tasks failed and --skip-unavailable is not given, or all tasks failed.
        OSError: an answer could not be stored.
    """
    names = task_names(job.config)
    new = [name for name in names if any(stored_answer(job.run, method, name) is None for method in methods)]
    before, failed = len(names) - len(new), {}
    if before:
        job.reporter.line(f"{before} of {len(names)} tasks were already done")
    started = time.monotonic()
    with job.reporter.progress("tasks", len(names)) as display:
        count = before
        with closing(_work_on(job, make, new, lambda note: display.update(count, note))) as ends:
            for end in ends:
                count += 1
                place = f"{count}/{len(names)}  {end.name}"
                display.update(count, "")
                if end.failed:
                    failed[end.name] = end.failed
                    job.reporter.warn(f"{place}  failed: {shorten(end.failed)}")
                    continue
                left = remaining(time.monotonic() - started, count - before, len(names) - count)
                job.reporter.line(f"{place}  {end.shown}  ({duration(end.seconds)}{left})")
    failed = {name: failed[name] for name in names if name in failed}  # in the order of the settings
    _check_failed(job, failed, len(names))
    found = {
        method: {name: stored_answer(job.run, method, name) or {} for name in names if name not in failed}
        for method in methods
    }
    return Outcome(found, failed)


def _check_failed(job: Job, failed: Mapping[str, str], count: int) -> None:
    """Raise DataError if tasks failed and --skip-unavailable is not given, or all of them failed."""
    if not failed or (job.config.skip_unavailable and len(failed) < count):
        return
    listed = "\n".join(f"  {name}: {reason}".replace("\n", "\n    ") for name, reason in failed.items())
    some = len(failed) < count
    advice = "the others are done; add --skip-unavailable to skip the failed ones" if some else "no task is left"
    raise DataError(
        f"{len(failed)} of {count} tasks failed; {advice}\n{listed}\ntry again with: {job.session.resume_command()}"
    )


def _work_on(job: Job, make: MakeMethods, names: Sequence[str], show: Show) -> Generator[TaskEnd, None, None]:
    """Yield how the work on each task ended, in this process or in several others."""
    if not names:
        return
    if job.workers > 1:
        yield from work_in_processes(_worker_start(job, make), names, job.workers, job.threads, show)
        return
    work = _task_work(job, make)
    with long_lived_objects():
        for name in names:
            if launcher_gone():
                raise Stopped(signal.SIGTERM)
            yield work(name, show)


def _task_work(job: Job, make: MakeMethods) -> TaskWork:
    methods = make(job)
    return lambda name, show: answer_task(job.run, methods, name, lambda name: load(job.config, name), show)


@dataclass(frozen=True)
class _WorkerStart:
    """What a process needs to work on tasks of a run; called there, it gives the work.

    Attributes:
        script: the script, without its functions.
        config: settings of the run, with the threads of the process.
        options: options of the run.
        run: the folder.
        make: makes the methods.
        left_out: the contaminated training rows.
    """

    script: Script
    config: TrainConfig
    options: dict[str, Any]
    run: RunFolder
    make: MakeMethods
    left_out: dict[str, Positions]

    @contextmanager
    def __call__(self) -> Iterator[TaskWork]:
        with ask_once(), ExitStack() as kept:
            session = Session(Reporter(main=False), self.script.command, kept)
            session.use_pins(self.config.pins)
            session.use_task_file(self.config.task_file, self.config.tasks)
            session.run = self.run
            _left_out[self.config] = self.left_out
            accelerator = start_accelerator(self.config)
            job = Job(self.script, self.config, self.options, self.run, accelerator, session)
            yield _task_work(job, self.make)


def _worker_start(job: Job, make: MakeMethods) -> _WorkerStart:
    script = replace(job.script, description="", add_options=_nothing, check=_nothing)  # functions without a name
    config = replace(job.config, threads=job.threads)
    return _WorkerStart(script, config, job.options, job.run, make, left_out(job.config))


def _nothing(_: Any) -> None:
    """Stand in for a function of a script that a worker does not call."""


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
