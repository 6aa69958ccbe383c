"""Choose the batches of a run: how many steps it has, and which tasks and rows each step takes."""

from __future__ import annotations

from collections.abc import Sequence

from metaeval_training.config import TrainConfig
from metaeval_training.data.encoding import TaskData
from metaeval_training.data.sampling import BatchPlan, MixedPlan, OneTaskPlan, count_batches, task_probabilities


def make_plan(config: TrainConfig, tasks: Sequence[TaskData]) -> BatchPlan:
    """Return the batches of a run. An epoch has as many steps as one pass over each task needs."""
    counts = [len(task.train) for task in tasks]
    if config.step == "mixed":
        epoch_steps = count_batches(sum(counts), config.batch_size)
    else:
        epoch_steps = sum(count_batches(count, config.batch_size) for count in counts)
    plan = MixedPlan if config.step == "mixed" else OneTaskPlan
    return plan(
        [task.name for task in tasks],
        [task.train.lengths for task in tasks],
        task_probabilities(counts, config.sampling, config.temperature),
        steps=config.steps or max(round(config.epochs * epoch_steps), 1),
        seed=config.seed,
        batch_size=config.batch_size,
        bucket_batches=config.bucket_batches,
    )
