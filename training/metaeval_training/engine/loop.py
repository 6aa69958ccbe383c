"""Run the training loop over any number of processes; it can be interrupted after every step.

A step depends only on the seed, its number and the state of a checkpoint: these determine the batch (sampling.py), the
learning rates (optimizer.rate_factor) and the random numbers of dropout (``seed_step``). A run that is killed and
resumed on the same kind of machine is therefore bit-identical to an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.model.trained_tensors import Role
from metaeval_hub.results.schema import SplitScores, mean
from metaeval_training.atomic_files import sync
from metaeval_training.config import TrainConfig, changed_settings
from metaeval_training.data.encoding import TaskData, collate
from metaeval_training.data.sampling import Batch, BatchPlan, key
from metaeval_training.engine.checkpoint import (
    Checkpoint,
    checkpoint_path,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)
from metaeval_training.engine.compiled import compiled, not_compiled
from metaeval_training.engine.evaluation import evaluate_tasks
from metaeval_training.engine.loss_cap import LossCap
from metaeval_training.engine.optimizer import RowLazyAdamW, rate_factor
from metaeval_training.engine.step_parts import StepParts
from metaeval_training.engine.task_finish import TaskFinisher
from metaeval_training.runs.finished import Finished
from metaeval_training.runs.folder import RunError, RunFolder, command_line
from metaeval_training.runs.process import Interrupted, StopRequest
from metaeval_training.runs.reporter import ProgressDisplay, Reporter, validation_line
from metaeval_training.runs.results import majority_accuracy

LOG_STEPS = 10  # steps whose losses are fetched from the device, checked and written together


class TrainingError(RunError):
    """Training cannot continue; the message says at which step it stopped and what to do."""


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: steps done.
        seconds: time spent on training, over all parts of a resumed run.
        examples: number of examples that were trained on, over all processes.
    """

    step: int = 0
    seconds: float = 0.0
    examples: int = 0


@dataclass
class Trainer:
    """Trains a model; ``fit`` runs the loop.

    Args:
        model: the model, on its device.
        tasks: the tasks, in the order of their ids in the model.
        plan: the batches; its length is the number of steps.
        config: the settings.
        run: folder of the run; if None, neither metrics nor checkpoints are written.
        accelerator: the Accelerator of the run.
        reporter: shows progress and scores.
        stop: records a signal that asks to stop.
        track: called with values for curves, by name, and the step.
        on_checkpoint: called on the main process with the step of a checkpoint that was written.
    """

    model: ConditionalAdapterModel
    tasks: Sequence[TaskData]
    plan: BatchPlan
    config: TrainConfig
    run: RunFolder | None
    accelerator: Accelerator
    reporter: Reporter
    stop: StopRequest
    track: Callable[[Mapping[str, float], int], None] = lambda values, step: None
    on_checkpoint: Callable[[int], None] = lambda step: None
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        groups, config = self.model.trainable_groups(), self.config
        if config.from_model and config.old_tasks == "keep":
            groups = _only_of_tasks(groups)
        options: dict[Role, dict[str, Any]] = {
            "adapter": {"lr": config.adapter_lr, "weight_decay": config.weight_decay},
            "map": {"lr": config.map_lr or config.adapter_lr, "weight_decay": config.weight_decay},
            "projection": {"lr": config.projection_lr or config.adapter_lr, "weight_decay": config.weight_decay},
            "task_embedding": {"lr": config.z_lr, "weight_decay": 0.0, "by_row": True},
            "head": {"lr": config.head_lr, "weight_decay": 0.0, "by_row": True},
        }
        present = [role for role in options if groups[role]]
        optimizer = RowLazyAdamW([{"params": groups[role], **options[role]} for role in present])
        self.trained = [parameter for group in groups.values() for parameter in group]
        self.rates = [options[role]["lr"] for role in present]
        self.pad = self.model.tokenizer.pad_token_id
        self.wrapped, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.parts = StepParts(config.accumulate, self.run)
        self.rows = [task.train for task in self.tasks]
        classes = [len(task.labels) for task in self.tasks]
        self.cap = LossCap(config.loss_cap, config.cap_by, classes, self.accelerator.device)
        self.majorities = {
            task.name: majority_accuracy(task.train.labels, task.splits["validation"].labels)
            for task in self.tasks
            if "validation" in task.splits
        }
        # step, task, and the loss and gradient norm, still on the device
        self._unread: list[tuple[int, str | None, Tensor]] = []

    def fit(self) -> None:
        """Train from ``progress`` to the end of the plan, with checkpoints and evaluations.

        Raises:
            Interrupted: a signal asked the run to stop; a checkpoint of the last step was written.
            TrainingError: the loss is not finite, a step does not fit into memory, or a checkpoint was not written.
        """
        steps, config = len(self.plan), self.config
        self.model.train()
        if config.compile:
            self.reporter.line(
                "compiling the encoder, which takes one to three minutes. Ctrl-C waits for its end; a second Ctrl-C "
                "stops at once"
            )
        with (
            compiled(self.model.encoder) if config.compile else nullcontext(),
            self.reporter.progress("training", steps, self.progress.step, "step") as display,
        ):
            if 0 < self.progress.step < steps:
                self._evaluate_if_due(display)
            while self.progress.step < steps:
                started = time.monotonic()
                batch = self.plan[self.progress.step].draw(config.seed, self.progress.step, config.embeddings_per_task)
                task = self.tasks[int(batch.tasks[0])].name if len(batch.tasks) == 1 else None
                self._unread.append((self.progress.step, task, self._step(batch)))
                self.progress.step += 1
                self.progress.examples += len(batch.rows)
                stop = self._stop_signal()
                done = self.progress.step
                due = config.checkpoint_every and done % config.checkpoint_every == 0
                if stop or due or done == steps or done % LOG_STEPS == 0:
                    self._write_losses(display)
                self.progress.seconds += time.monotonic() - started
                if stop or due or done == steps:
                    self._save()
                if stop:
                    raise Interrupted(stop, done)
                if done < steps:
                    self._evaluate_if_due(display)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Restore weights, optimizer and progress from a checkpoint.

        Raises:
            TrainingError: the checkpoint belongs to another model, or was written with other settings.
        """
        changed = changed_settings(checkpoint.state["config"], self.config)
        if changed:
            raise TrainingError(
                f"the settings of this run have changed since the checkpoint of step {checkpoint.step}: "
                f"{'; '.join(changed)}. Restore config.json, or start a new run"
            )
        try:
            self.model.load_trained_state(checkpoint.tensors["model"])
            load_optimizer_tensors(self.optimizer, checkpoint.tensors["optimizer"])
            self.cap.restore(checkpoint.tensors.get("loss_cap", {}))
        except (KeyError, ValueError, RuntimeError) as error:
            raise TrainingError(
                f"the checkpoint of step {checkpoint.step} belongs to another model: {error}. Start a new run"
            ) from error
        if self.accelerator.scaler is not None and checkpoint.state["scaler"]:
            self.accelerator.scaler.load_state_dict(checkpoint.state["scaler"])
        self.progress = Progress(checkpoint.step, checkpoint.state["seconds"], checkpoint.state["examples"])

    def _step(self, batch: Batch) -> Tensor:
        """Do one update; return the uncapped loss over all processes and the norm of the unclipped gradient, (2,).

        The norm is NaN if gradients are not clipped.
        """
        config, accelerator = self.config, self.accelerator
        set_rates(
            self.optimizer, self.rates, rate_factor(self.progress.step, len(self.plan), config.warmup, config.schedule)
        )
        while (sums := self._try_gradients(batch)) is None:
            self._use_more_parts(len(batch.rows))
        norm: Any = sums.new_tensor(math.nan)
        if config.clip_norm:
            norm = accelerator.clip_grad_norm_(self.trained, config.clip_norm)
        self.optimizer.step()
        return torch.stack([sums[:, 0].sum() / len(batch.rows), norm])

    def _try_gradients(self, batch: Batch) -> Tensor | None:
        """Compute the gradients of a step; return None if the memory does not suffice.

        The error is not kept, because it refers to the tensors that have filled the memory.
        """
        before = self.cap.state()
        try:
            return self._gradients(batch)
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                raise
            self.cap.restore(before)
            return None

    def _use_more_parts(self, rows: int) -> None:
        """Process this step and the following ones in twice as many parts.

        Raises:
            TrainingError: one row does not fit, or other processes would have to use more parts too.
        """
        step, parts, world = self.progress.step, self.parts.at(self.progress.step), self.accelerator.num_processes
        self.optimizer.zero_grad()
        clear_device_cache(garbage_collection=True)
        if parts * world >= rows:
            raise TrainingError(
                f"step {step + 1} does not fit into memory, although each process computes one row at a time; lower "
                "--max-length, or use a smaller encoder"
            )
        if world > 1:  # the others wait for this one within the step
            raise TrainingError(
                f"step {step + 1} does not fit into memory in {parts} part{'s' * (parts > 1)} per process; start a new "
                f"run with --accumulate {2 * parts}, which makes the same steps"
            )
        parts = self.parts.double(step)
        self.reporter.warn(
            f"step {step + 1} does not fit into memory: from now on, steps are processed in {parts} parts; to start "
            f"with them: --accumulate {parts}"
        )

    def _gradients(self, batch: Batch) -> Tensor:
        """Compute the gradients of a step; return the sum of each task's losses and its number of examples, (n, 2)."""
        accelerator, world = self.accelerator, self.accelerator.num_processes
        parts, weight = self._parts(batch)
        sums: Any = torch.zeros(len(self.tasks), 2, device=accelerator.device)

        def count_losses(losses: Tensor, tasks: Tensor) -> tuple[Tensor, Tensor]:
            """Add to the sums of losses and the numbers of examples of each task."""
            entries = torch.stack([losses.detach(), torch.full_like(losses, weight)], dim=1)
            sums.index_add_(0, tasks, entries)
            return losses, tasks

        # The cap compares losses of the whole step and of all processes, so they are computed before any gradient.
        whole = count_losses(*self._losses(parts[0], 0, weight)) if len(parts) == 1 else None
        if whole is None:
            with torch.no_grad():
                for number, part in enumerate(parts):
                    count_losses(*self._losses(part, number, weight))
        if world > 1:
            sums = accelerator.reduce(sums, reduction="sum")
        factors = self.cap.factors(sums[:, 0], sums[:, 1])
        self.optimizer.zero_grad()
        for number, part in enumerate(parts):
            with nullcontext() if number + 1 == len(parts) else accelerator.no_sync(self.wrapped):
                losses, tasks = whole or self._losses(part, number, weight)
                accelerator.backward((losses * factors[tasks]).sum() * (world / len(batch.rows)))
        result: Tensor = sums
        return result

    def _parts(self, batch: Batch) -> tuple[list[Batch], float]:
        """Return the parts of a batch that this process computes one after the other, and the weight of their losses.

        All processes have the same number of parts. A process without a row of the batch gets one with weight 0,
        because all processes take part in the sums.
        """
        world = self.accelerator.num_processes
        count = min(self.parts.at(self.progress.step), max(len(batch.rows) // world, 1))
        mine = batch.share(self.accelerator.process_index, world)
        weight = 1.0 if len(mine.rows) else 0.0
        mine = mine if weight else batch.share(0, len(batch.rows))
        return [mine.share(number, count) for number in range(count)], weight

    def _losses(self, part: Batch, number: int, weight: float) -> tuple[Tensor, Tensor]:
        """Return the losses of the rows of a part, times a weight, and the ids of their tasks; both (rows,)."""
        seed_step(self.config.seed, self.progress.step, self.accelerator.process_index, number)
        inputs = collate(self.rows, part, self.pad, self.accelerator.device)
        labels, task_ids = inputs.pop("labels"), inputs["task_ids"]
        logits = self.wrapped(**inputs).logits.float()
        return F.cross_entropy(logits, labels, reduction="none") * weight, task_ids.expand(len(labels))

    def _stop_signal(self) -> int:
        """Return the signal that asks to stop after this step (0: none), the same on every process.

        Several processes check only every ``LOG_STEPS`` steps, because they have to wait for each other to agree.
        """
        if self.accelerator.num_processes > 1 and self.progress.step % LOG_STEPS:
            return 0
        return self.agreed_signal()

    def agreed_signal(self) -> int:
        """Return the signal that asks to stop (0: none), the same on every process; all of them have to call this."""
        if self.accelerator.num_processes == 1:
            return self.stop.signal
        signals: Any = self.accelerator.gather(torch.tensor([self.stop.signal], device=self.accelerator.device))
        return int(signals.max())

    def _write_losses(self, display: ProgressDisplay) -> None:
        """Fetch the losses since the last call, check that they are finite, write and show them."""
        if not self._unread:
            return
        values, norms = torch.stack([pair for _, _, pair in self._unread], dim=1).tolist()
        lines = [
            {"kind": "train", "step": step + 1, "task": task, "loss": value}
            | ({"gradient_norm": norm} if self.config.clip_norm else {})
            for (step, task, _), value, norm in zip(self._unread, values, norms, strict=True)
        ]
        self._unread = []
        bad = next((line for line in lines if not math.isfinite(line["loss"])), None)
        if bad:
            source = f"task {bad['task']}" if bad["task"] else "mixed tasks"
            raise TrainingError(
                f"the loss is {bad['loss']} at step {bad['step']} ({source}); training stopped"
                + (f", earlier checkpoints are kept in {self.run.checkpoints}" if self.run else "")
                + "; lower the learning rates (--adapter-lr, --head-lr, --z-lr, or --rates)"
                + ("" if self.config.mixed_precision == "no" else ", or leave out --mixed-precision")
            )
        if self.run and self.accelerator.is_main_process:
            self.run.append_metrics(lines)
        rate = self.progress.examples / max(self.progress.seconds, 1e-9)
        loss = sum(values) / len(values)
        factor = rate_factor(self.progress.step - 1, len(self.plan), self.config.warmup, self.config.schedule)
        norm = {"train/gradient_norm": sum(norms) / len(norms)} if self.config.clip_norm else {}
        curves = norm | {"train/loss": loss, "train/rate_factor": factor, "train/examples_per_second": rate}
        self.track(curves, self.progress.step)
        display.update(self.progress.step, f"loss {loss:.3f}  {rate:.0f} examples/s")

    def _save(self) -> None:
        if self.run and self.accelerator.is_main_process:
            step, folder = self.progress.step, self.run.checkpoints
            scaler = self.accelerator.scaler
            state = {
                "seconds": self.progress.seconds,
                "examples": self.progress.examples,
                "scaler": scaler.state_dict() if scaler is not None else None,
                "config": self.config.to_dict(),
            }
            tensors = {"model": self.model.trained_state(), "optimizer": optimizer_tensors(self.optimizer)}
            if self.cap.state():
                tensors["loss_cap"] = self.cap.state()
            try:
                if self.run.metrics.exists():
                    sync(self.run.metrics)  # a power cut must not leave a checkpoint without its earlier metrics
                save_checkpoint(folder, step, tensors, state, self.config.keep_checkpoints)
            except OSError as error:
                raise TrainingError(
                    f"the checkpoint of step {step} could not be written to {checkpoint_path(folder, step)}: {error}. "
                    "Earlier checkpoints are whole; free some space and resume with "
                    f"{command_line('--resume', self.run.path)}"
                ) from error
            self.on_checkpoint(step)

    def _evaluate_if_due(self, display: ProgressDisplay) -> None:
        every, step = self.config.evaluate_every, self.progress.step
        if not every or step % every:
            return
        found = self.evaluate(("validation",))
        accuracies = {task: splits["validation"].accuracy for task, splits in found.items() if splits}
        if self.run and self.accelerator.is_main_process:
            scores = {task: {split: asdict(each) for split, each in splits.items()} for task, splits in found.items()}
            self.run.append_metrics([{"kind": "evaluation", "step": step, "scores": scores}])
        if accuracies:
            over = {task: accuracy - self.majorities[task] for task, accuracy in accuracies.items()}
            means = {"accuracy": mean(accuracies.values()), "over_majority": mean(over.values())}
            each = {f"validation_accuracy/{task}": value for task, value in accuracies.items()}
            self.track({**{f"validation/{name}": value or 0.0 for name, value in means.items()}, **each}, step)
            display.show_worst(over)
            self.reporter.line(f"step {step}/{len(self.plan)}  {validation_line(accuracies, over)}")

    def evaluate(
        self, splits: Sequence[str], on_task: Callable[[int], None] = lambda done: None
    ) -> dict[str, dict[str, SplitScores]]:
        """Score the current model; see ``evaluate_tasks``."""
        with not_compiled(self.config.compile):
            return evaluate_tasks(
                self.accelerator.unwrap_model(self.wrapped), self.tasks, splits,
                batch_size=self.config.eval_batch_size, pad=self.pad, accelerator=self.accelerator, on_task=on_task,
            )  # fmt: skip

    def finish_tasks(
        self, splits: Sequence[str], on_task: Callable[[int], None] = lambda done: None
    ) -> dict[str, Finished]:
        """Finish each task of the trained model alone, as the settings ask for, and score it; see ``TaskFinisher``."""
        model = self.accelerator.unwrap_model(self.wrapped)
        return TaskFinisher(model, self.config, self.accelerator).finish(self.tasks, splits, on_task)


def _only_of_tasks(groups: dict[Role, list[torch.nn.Parameter]]) -> dict[Role, list[torch.nn.Parameter]]:
    """Return the trained tensors that belong to single tasks, and freeze all shared ones."""
    own: tuple[Role, ...] = ("task_embedding", "head")
    for role, group in groups.items():
        for parameter in group:
            parameter.requires_grad_(role in own)
    return {role: group if role in own else [] for role, group in groups.items()}


def set_rates(optimizer: torch.optim.Optimizer, rates: Sequence[float], factor: float) -> None:
    """Set the learning rate of each parameter group to its rate in ``rates`` times ``factor``."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor


def seed_step(seed: int, step: int, process: int, part: int = 0) -> None:
    """Seed torch for a part of one step of one process, so that checkpoints need no random state."""
    torch.manual_seed(key(seed, "step", step, process, *([part] if part else [])) % 2**63)
