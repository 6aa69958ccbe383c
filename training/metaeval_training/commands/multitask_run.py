"""Train one multitask run, from its settings to its results: the recipe of training/multitask.py."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from accelerate import Accelerator

from metaeval_training.config import TrainConfig, check_resume, read_config
from metaeval_training.data.plan import make_plan
from metaeval_training.engine.train_run import Training
from metaeval_training.flags import CommandLine
from metaeval_training.runs.finish import Trained, finish, push
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.lifecycle import DONE, Session, run_command
from metaeval_training.runs.machine import describe_machine, device_name, from_main, is_main, start_accelerator
from metaeval_training.runs.prepare import describe_run, prepare
from metaeval_training.runs.provenance import check_or_write_data, describe_data
from metaeval_training.runs.pushing import prepare_pushing
from metaeval_training.runs.reporter import Reporter
from metaeval_training.runs.tracking import check_tracker

SCRIPT = Path(__file__).parents[2] / "multitask.py"  # not sys.argv[0]: training/zero_shot.py calls this module, too


def run_multitask(command: CommandLine) -> int:
    """Train as the command line asks and return the exit code."""
    return run_command(lambda session: _run(session, command), Reporter(main=is_main()), SCRIPT)


def _run(session: Session, command: CommandLine) -> int:
    reporter, config = session.reporter, command.config
    run = session.open(command.resume, config.output_dir, config.name)
    if run is not None:
        config = check_resume(read_config(run.config), command.flags)
    finished = run is not None and run.has_results
    if is_main():
        session.lock(config.output_dir, finished)  # before minutes are spent on the data
    if run is not None and finished:
        reporter.line(f"{run.path} is finished; its results are in {run.results}")
        return push(session, run, config) if "push_to_hub" in command.flags else DONE
    session.use_pins(config.pins)
    accelerator = start_accelerator(config)
    check_tracker(config)
    if config.push_to_hub:
        prepare_pushing(config, reporter)
    reporter.line(describe_machine(config, accelerator))
    prepared = prepare(config, accelerator, reporter)
    run = run or create_run(session, config, accelerator)
    plan, resumed = make_plan(config, prepared.tasks), command.resume is not None
    return train_and_finish(session, Training(config, run, prepared, plan, accelerator, reporter, resumed))


def create_run(session: Session, config: TrainConfig, accelerator: Accelerator) -> RunFolder:
    """Create the folder of a new run on the main process, and send its number to the others."""
    number = 0
    if accelerator.is_main_process:
        run = session.create(config.output_dir, config.name, lambda run: run.write_json(run.config, config.to_dict()))
        number = int(run.path.name.rsplit("-", 1)[1])
    session.run = RunFolder(Path(config.output_dir) / f"{config.name}-{from_main(number, accelerator)}")
    return session.run


def train_and_finish(session: Session, training: Training) -> int:
    """Train, evaluate, save, show and push; return the exit code.

    Raises:
        Interrupted, RunError, TrainingError: see ``Training.train_and_score`` and ``check_or_write_data``.
    """
    started = time.monotonic()
    config, run, prepared, accelerator = training.config, training.run, training.prepared, training.accelerator
    start = prepared.model.task_embeddings if prepared.model.config.has_task_embeddings else None  # z0
    if accelerator.is_main_process:
        counts = {"processes": accelerator.num_processes, "threads": torch.get_num_threads()}
        facts = describe_data(prepared.tasks, prepared.skipped, prepared.model) | counts
        check_or_write_data(run, facts, training.resumed, session.reporter)
        if start is not None:
            start.save(run.start_embeddings)
    session.reporter.line(f"run {run.path}: {describe_run(config, prepared, len(training.plan))}")
    with training.pusher() as pusher:
        progress, scores, evaluation_seconds = training.train_and_score(pusher)
        if not accelerator.is_main_process:
            return DONE
        seconds = {
            "data": prepared.seconds, "training": progress.seconds, "evaluation": evaluation_seconds,
            "this_process": prepared.seconds + time.monotonic() - started,
        }  # fmt: skip
        device = device_name(accelerator.device)
        trained = Trained(scores, start, progress.step, progress.examples, seconds, accelerator.num_processes, device)
        finish(config, run, prepared, trained, session.reporter)
    return push(session, run, config) if config.push_to_hub else DONE
