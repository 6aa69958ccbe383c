"""Describe a multitask run before and after its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from metaeval_hub import ConditionalAdapterModel, TaskEmbeddings
from metaeval_hub.model.trained_tensors import Role
from metaeval_hub.results.schema import SplitScores, Timing
from metaeval_hub.task_data.task_features import TaskFeatures
from metaeval_training.config import TrainConfig
from metaeval_training.data.encoding import TaskData
from metaeval_training.runs.finished import Finished


@dataclass(frozen=True)
class Prepared:
    """All that a run needs before its first step.

    Attributes:
        tasks: the tokenized tasks, in the order of their ids in the model.
        skipped: task -> why it is not trained on.
        model: the untrained model.
        features: features of the tasks; None for a single task.
        seconds: time that the preparation took.
    """

    tasks: list[TaskData]
    skipped: dict[str, str]
    model: ConditionalAdapterModel
    features: TaskFeatures | None
    seconds: float


@dataclass(frozen=True)
class Trained:
    """The outcome of training.

    Attributes:
        scores: task -> split -> scores.
        start: task embeddings before training; None for a method without z.
        steps: optimizer steps.
        examples: number of examples that were trained on, over all processes.
        timing: seconds of the parts of the run.
        processes: number of processes that trained together.
        device: name of the device of the main process.
        finished: task -> its scores before and after its finish (``TaskFinisher``); empty without a finish.
    """

    scores: Mapping[str, Mapping[str, SplitScores]]
    start: TaskEmbeddings | None
    steps: int
    examples: int
    timing: Timing
    processes: int
    device: str
    finished: Mapping[str, Finished] = field(default_factory=dict)


def describe_run(config: TrainConfig, prepared: Prepared, steps: int) -> str:
    """Return one line with the numbers of tasks, rows, steps and trained parameters."""
    tasks, skipped = prepared.tasks, prepared.skipped
    kept = sum(len(task.train) for task in tasks)
    available = sum(task.available["train"] for task in tasks)
    left_out = f" ({len(skipped)} left out)" if skipped else ""
    of_all = "" if kept == available else f" of {available:,}"
    names: dict[Role, str] = {
        "adapter": "the encoder" if config.conditioning == "full" else "adapters", "map": "maps of z",
        "projection": "the projection", "task_embedding": "z", "head": "heads", "private": "private parts",
    }  # fmt: skip
    sizes = prepared.model.trained_numbers()
    return (
        f"{len(tasks)} tasks{left_out}, {kept:,}{of_all} training rows, {steps:,} steps of {config.batch_size}; "
        f"encoder {config.encoder}, trained parameters: "
        + ", ".join(f"{size:,} in {names[role]}" for role, size in sizes.items() if size)
    )
