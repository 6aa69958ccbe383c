"""Train one multitask run, from its settings to its results: the recipe of training/multitask.py."""

from __future__ import annotations

from metaeval_training.engine.train_run import Training
from metaeval_training.flags import CommandLine
from metaeval_training.runs.continued import continue_settings
from metaeval_training.runs.early_checks import check_early
from metaeval_training.runs.finish import finish, push
from metaeval_training.runs.lifecycle import DONE, Session, run_command
from metaeval_training.runs.machine import common_work, describe_machine, is_main, start_accelerator
from metaeval_training.runs.multitask_folder import create_run, open_run, record_start
from metaeval_training.runs.prepare import prepare
from metaeval_training.runs.prepared import describe_run
from metaeval_training.runs.reporter import Reporter

COMMAND = "multitask"


def run_multitask(command: CommandLine) -> int:
    """Train as the command line asks and return the exit code."""
    return run_command(lambda session: _run(session, command), Reporter(main=is_main()), COMMAND)


def _run(session: Session, command: CommandLine) -> int:
    """Train, evaluate, save, show and push; return the exit code.

    Raises:
        ConfigError, DataError, RunError, DamagedFileError, OSError: see ``run_command``, which reports them.
        Interrupted: a signal asked the run to stop; a checkpoint was written.
    """
    reporter = session.reporter
    config, run = open_run(session, command)
    finished = run is not None and run.has_results
    if is_main():
        session.lock(config.output_dir, finished)  # before minutes are spent on the data
    if run is not None and finished:
        reporter.line(f"{run.path} is finished; its results are in {run.results}")
        return push(session, run, config) if "push_to_hub" in command.flags else DONE
    session.use_pins(config.pins)
    session.use_task_file(config.task_file, config.tasks)
    if config.from_model and run is None:
        config = continue_settings(config, command.flags)
    accelerator = start_accelerator(config)
    check_early(config, reporter)
    reporter.line(describe_machine(config, accelerator))
    prepared = prepare(config, accelerator, reporter)
    run, resumed = run or create_run(session, config, accelerator), run is not None
    training = Training(config, run, prepared, accelerator, reporter, resumed)
    record_start(session, run, prepared, accelerator, resumed)
    reporter.line(f"run {run.path}: {describe_run(config, prepared, len(training.plan))}")
    with training.pusher() as pusher:
        with common_work(accelerator):
            trained = training.train_and_score(pusher)
        if not accelerator.is_main_process:
            return DONE
        finish(config, run, prepared, trained, reporter)
    return push(session, run, config) if config.push_to_hub else DONE
