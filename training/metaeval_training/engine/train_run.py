"""Train and score the model of a multitask run, from its start or from its newest checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property

from accelerate import Accelerator

from metaeval_hub.results.schema import SplitScores, Timing, mean
from metaeval_training.config import TrainConfig
from metaeval_training.data.plan import make_plan
from metaeval_training.data.sampling import BatchPlan
from metaeval_training.engine.checkpoint import newest_checkpoint, remove_parts
from metaeval_training.engine.loop import Trainer
from metaeval_training.runs.finished import Finished
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.machine import device_name
from metaeval_training.runs.prepared import Prepared, Trained
from metaeval_training.runs.process import Interrupted, StopRequest
from metaeval_training.runs.pushing import CheckpointPusher
from metaeval_training.runs.reporter import Reporter
from metaeval_training.runs.tracking import Tracking

TaskScores = Mapping[str, Mapping[str, SplitScores]]  # task -> split -> scores


@dataclass(frozen=True)
class Training:
    """A run that is ready to train.

    Attributes:
        config: the settings.
        run: the folder.
        prepared: tasks and model.
        accelerator: the Accelerator of the run.
        reporter: shows messages and progress.
        resumed: whether the run was started before.
    """

    config: TrainConfig
    run: RunFolder
    prepared: Prepared
    accelerator: Accelerator
    reporter: Reporter
    resumed: bool

    @cached_property
    def plan(self) -> BatchPlan:
        """The batches of the run."""
        return make_plan(self.config, self.prepared.tasks)

    def pusher(self) -> AbstractContextManager[CheckpointPusher | None]:
        """Return a context manager with the pusher of checkpoints.

        It yields None on all but the main process, and if the settings do not ask for pushing each checkpoint.
        """
        if not (self.config.push_every_checkpoint and self.accelerator.is_main_process):
            return nullcontext()
        return CheckpointPusher(self.config.push_to_hub, self.config.private, self.run.waiting, self.reporter.line)

    def train_and_score(self, pusher: CheckpointPusher | None) -> Trained:
        """Train from the start or from the newest checkpoint, and score the model on validation and test.

        Args:
            pusher: result of ``self.pusher()``, in its ``with`` block.

        Raises:
            Interrupted, TrainingError: see ``Trainer.fit`` and ``Trainer.resume``.
        """
        begun, model = time.monotonic(), self.prepared.model
        start = model.task_embeddings if model.config.has_task_embeddings else None
        model.to(self.accelerator.device)

        def on_checkpoint(step: int) -> None:
            if pusher is not None:
                pusher.push(model, step)

        with StopRequest() as stop, Tracking(self.accelerator, self.reporter) as tracking:
            trainer = Trainer(
                model, self.prepared.tasks, self.plan, self.config, self.run, self.accelerator, self.reporter, stop,
                tracking.log, on_checkpoint,
            )  # fmt: skip
            if self.resumed:
                self._restore(trainer)
            tracking.start(self.config, self.run, trainer.progress.step)
            trainer.fit()
            started = time.monotonic()
            scores, finished = self._evaluate(trainer, stop)
            for split, accuracy in _mean_accuracies(scores).items():
                tracking.log({f"{split}/accuracy": accuracy}, trainer.progress.step)
        progress, ended = trainer.progress, time.monotonic()
        timing = Timing(self.prepared.seconds, progress.seconds, ended - started, self.prepared.seconds + ended - begun)
        count, device = self.accelerator.num_processes, device_name(self.accelerator.device)
        return Trained(scores, start, progress.step, progress.examples, timing, count, device, finished)

    def _evaluate(self, trainer: Trainer, stop: StopRequest) -> tuple[TaskScores, Mapping[str, Finished]]:
        alone = bool(self.config.refit or self.config.private_rank)  # each process works on other tasks
        text, unit = ("finishing tasks", "finished") if alone else ("evaluating", "")
        with self.reporter.progress(text, len(self.prepared.tasks), unit=unit) as display:

            def on_task(done: int) -> None:
                if signal := stop.signal if alone else trainer.agreed_signal():
                    raise Interrupted(signal, trainer.progress.step)
                display.update(done)

            if not alone:
                return trainer.evaluate(("validation", "test"), on_task), {}
            finished = trainer.finish_tasks(("validation", "test"), on_task)
            return {task: each.scores for task, each in finished.items()}, finished

    def _restore(self, trainer: Trainer) -> None:
        """Restore the newest complete checkpoint of a stopped run; without one, start again from step 0."""
        run, accelerator = self.run, self.accelerator
        checkpoint, damaged = newest_checkpoint(run.checkpoints)
        for message in damaged:
            self.reporter.warn(f"skipped a damaged checkpoint: {message}")
        if checkpoint:
            trainer.resume(checkpoint)  # before anything of the run is changed: it may refuse
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            for part in remove_parts(run.checkpoints):
                self.reporter.warn(f"removed {part}: the run was killed while it wrote this checkpoint")
            run.cut_metrics(checkpoint.step if checkpoint else 0)
        if checkpoint:
            self.reporter.line(f"resuming after step {checkpoint.step}")
        else:
            self.reporter.line("no whole checkpoint: starting again from step 0")


def _mean_accuracies(scores: TaskScores) -> dict[str, float]:
    """Return split -> mean accuracy over the tasks that have the split."""
    found = {
        split: mean(splits[split].accuracy for splits in scores.values() if split in splits)
        for split in ("validation", "test")
    }
    return {split: accuracy for split, accuracy in found.items() if accuracy is not None}
