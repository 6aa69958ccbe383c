"""Train one multitask run, from its settings to its results: the recipe of training/multitask.py."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast

from metaeval_hub.model.model import Role
from metaeval_training.config import CommandLine, TrainConfig, check_resume, read_config
from metaeval_training.data.plan import make_plan
from metaeval_training.data.sampling import BatchPlan
from metaeval_training.engine.checkpoint import newest_checkpoint, remove_parts
from metaeval_training.engine.loop import Progress, Trainer
from metaeval_training.runs.finish import Trained, finish, push
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.lifecycle import DONE, Session, run_command
from metaeval_training.runs.machine import describe_machine, device_name, is_main, start_accelerator
from metaeval_training.runs.prepare import Prepared, prepare
from metaeval_training.runs.process import Interrupted, StopRequest
from metaeval_training.runs.provenance import check_or_write_data, describe_data
from metaeval_training.runs.pushing import CheckpointPusher, prepare_pushing
from metaeval_training.runs.reporter import Reporter
from metaeval_training.runs.results import Scores, mean
from metaeval_training.runs.tracking import Tracking, check_tracker

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
    accelerator = start_accelerator(config)
    check_tracker(config)
    if config.push_to_hub:
        prepare_pushing(config, reporter)
    reporter.line(describe_machine(config, accelerator))
    prepared = prepare(config, accelerator, reporter)
    run = run or create_run(session, config, accelerator)
    return MultitaskRun(config, run, prepared, accelerator, session, command.resume is not None).train_and_finish()


def create_run(session: Session, config: TrainConfig, accelerator: Accelerator) -> RunFolder:
    """Create the folder of a new run on the main process, and send its number to the others."""
    number = torch.zeros(1, dtype=torch.int64, device=accelerator.device)
    if accelerator.is_main_process:
        run = session.create(config.output_dir, config.name, lambda run: run.write_json(run.config, config.to_dict()))
        number[0] = int(run.path.name.rsplit("-", 1)[1])
    if accelerator.num_processes > 1:
        number = broadcast(number)
    session.run = RunFolder(Path(config.output_dir) / f"{config.name}-{int(number)}")
    return session.run


class MultitaskRun:
    """A run that is ready to train.

    Args:
        config: the settings.
        run: the folder.
        prepared: tasks and model.
        accelerator: of the run.
        session: of the command.
        resumed: whether the run was started before.
    """

    def __init__(
        self, config: TrainConfig, run: RunFolder, prepared: Prepared, accelerator: Accelerator, session: Session,
        resumed: bool,
    ) -> None:  # fmt: skip
        self.config, self.run, self.prepared, self.resumed = config, run, prepared, resumed
        self.accelerator, self.session, self.reporter = accelerator, session, session.reporter

    def train_and_finish(self) -> int:
        """Train, evaluate, save, show and push; return the exit code.

        Raises:
            Interrupted, RunError, TrainingError: see ``Trainer.fit`` and ``check_or_write_data``.
        """
        started, model, main = time.monotonic(), self.prepared.model, self.accelerator.is_main_process
        start = model.task_embeddings if model.config.has_task_embeddings else None  # z0
        if main:
            self._write_facts()
            if start is not None:
                start.save(self.run.start_embeddings)
        plan = make_plan(self.config, self.prepared.tasks)
        self.reporter.line(f"run {self.run.path}: {describe_run(self.config, self.prepared, plan)}")
        pushing: AbstractContextManager[CheckpointPusher | None] = nullcontext()
        if self.config.push_every_checkpoint and main:
            pushing = CheckpointPusher(
                self.config.push_to_hub, self.config.private, self.run.waiting, self.reporter.line
            )  # fmt: skip
        with pushing as pusher:
            progress, scores, evaluation_seconds = self._train(plan, pusher)
            if not main:
                return DONE
            data_seconds = self.prepared.seconds
            seconds = {
                "data": data_seconds, "training": progress.seconds, "evaluation": evaluation_seconds,
                "this_process": data_seconds + time.monotonic() - started,
            }  # fmt: skip
            device, processes = device_name(self.accelerator.device), self.accelerator.num_processes
            trained = Trained(scores, start, progress.step, progress.examples, seconds, processes, device)
            finish(self.config, self.run, self.prepared, trained, self.reporter)
        return push(self.session, self.run, self.config) if self.config.push_to_hub else DONE

    def _write_facts(self) -> None:
        facts = {
            **describe_data(self.prepared.tasks, self.prepared.skipped, self.prepared.model),
            "processes": self.accelerator.num_processes,
            "threads": torch.get_num_threads(),
        }
        check_or_write_data(self.run, facts, self.resumed, self.reporter)

    def _train(
        self, plan: BatchPlan, pusher: CheckpointPusher | None
    ) -> tuple[Progress, Mapping[str, Mapping[str, Scores]], float]:
        """Train from the start or from the newest checkpoint, and score the model.

        Returns:
            Progress; task -> split -> scores; seconds spent on scoring.
        """
        model = self.prepared.model
        model.to(self.accelerator.device)

        def on_checkpoint(step: int) -> None:
            if pusher is not None:
                pusher.push(model, step)

        with StopRequest() as stop, Tracking(self.accelerator, self.reporter) as tracking:
            trainer = Trainer(
                model, self.prepared.tasks, plan, self.config, self.run, self.accelerator, self.reporter, stop,
                tracking.log, on_checkpoint,
            )  # fmt: skip
            if self.resumed:
                self._restore(trainer)
            tracking.start(self.config, self.run, trainer.progress.step)
            trainer.fit()
            started = time.monotonic()
            scores = self._evaluate(trainer, stop)
            for split, accuracy in _mean_accuracies(scores).items():
                tracking.log({f"{split}/accuracy": accuracy}, trainer.progress.step)
        return trainer.progress, scores, time.monotonic() - started

    def _evaluate(self, trainer: Trainer, stop: StopRequest) -> Mapping[str, Mapping[str, Scores]]:
        with self.reporter.progress("evaluating", len(self.prepared.tasks)) as display:

            def on_task(done: int) -> None:
                if stop.signal:
                    raise Interrupted(stop.signal, trainer.progress.step)
                display.update(done)

            return trainer.evaluate(("validation", "test"), on_task)

    def _restore(self, trainer: Trainer) -> None:
        """Restore the newest whole checkpoint of a stopped run; without one, start again from step 0."""
        run, accelerator = self.run, self.accelerator
        checkpoint, damaged = newest_checkpoint(run.checkpoints)
        for message in damaged:
            self.reporter.warn(f"skipped a damaged checkpoint: {message}")
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            for part in remove_parts(run.checkpoints):
                self.reporter.warn(f"removed {part}: the run was killed while it wrote this checkpoint")
            run.cut_metrics(checkpoint.step if checkpoint else 0)
        if checkpoint:
            trainer.resume(checkpoint)
            self.reporter.line(f"resuming after step {checkpoint.step}")
        else:
            self.reporter.line("no whole checkpoint: starting again from step 0")


def _mean_accuracies(scores: Mapping[str, Mapping[str, Scores]]) -> dict[str, float]:
    """Return split -> mean accuracy over the tasks that have the split."""
    found = {
        split: mean(splits[split]["accuracy"] for splits in scores.values() if split in splits)
        for split in ("validation", "test")
    }
    return {split: accuracy for split, accuracy in found.items() if accuracy is not None}


def describe_run(config: TrainConfig, prepared: Prepared, plan: BatchPlan) -> str:
    """Return one line with the numbers of tasks, rows, steps and trained parameters."""
    tasks, skipped = prepared.tasks, prepared.skipped
    kept = sum(len(task.train) for task in tasks)
    available = sum(task.available["train"] for task in tasks)
    left_out = f" ({len(skipped)} left out)" if skipped else ""
    of_all = "" if kept == available else f" of {available:,}"
    names: dict[Role, str] = {
        "adapter": "the encoder" if config.conditioning == "full" else "adapters", "map": "maps of z",
        "projection": "the projection", "task_embedding": "z", "head": "heads",
    }  # fmt: skip
    sizes = prepared.model.trained_numbers()
    return (
        f"{len(tasks)} tasks{left_out}, {kept:,}{of_all} training rows, {len(plan):,} steps of {config.batch_size}; "
        f"encoder {config.encoder}, trained parameters: "
        + ", ".join(f"{size:,} in {names[role]}" for role, size in sizes.items() if size)
    )
