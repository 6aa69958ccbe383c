"""Create the untrained model of a run from its settings and tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_datasets import get_task
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.task_data.origins import TaskOrigin
from metaeval_training.config import ConfigError, TrainConfig, flag
from metaeval_training.data.rows import TaskRows, texts
from metaeval_training.vectors.task_features import read_vectors

ASPECTS = "aspects"  # the only value of --task-features that is not a folder

Vectors = Mapping[str, NDArray[np.floating]]  # task -> vector


def make_model(
    config: TrainConfig,
    tasks: Sequence[TaskRows],
    vocabulary: Iterable[str] | None = None,
    vectors: Vectors | None = None,
) -> ConditionalAdapterModel:
    """Create the untrained model for these tasks.

    Args:
        config: of the run.
        tasks: name the labels and text fields of the model's tasks.
        vocabulary: texts whose words the tokenizer of "tiny" knows; default: the training texts of the tasks.
        vectors: vector of each task from which z is computed, alone or added to a learned z, as the settings say.

    Raises:
        ConfigError: the encoder cannot be loaded, or does not support the settings.
    """
    options: dict[str, Any] = {"revision": config.encoder_revision} if config.encoder_revision else {}
    if config.encoder == "tiny":
        options["vocabulary"] = texts(tasks) if vocabulary is None else vocabulary
    try:
        return ConditionalAdapterModel.create(
            config.encoder,
            labels={task.name: task.labels for task in tasks},
            config=_conditional_config(config),
            fields={task.name: len(task.text_columns) for task in tasks},
            origins={task.name: TaskOrigin.of_report(task.origin) for task in tasks},
            task_features=vectors,
            label_vectors={task.name: canonical_labels(task) for task in tasks} if config.share_labels else None,
            seed=config.seed,
            **options,
        )
    except (ValueError, ImportError, OSError) as error:
        raise ConfigError(f"--encoder {config.encoder}: {error}") from error


def _conditional_config(config: TrainConfig) -> ConditionalConfig:
    return ConditionalConfig(
        conditioning=config.conditioning,
        adapter_size=config.adapter_size,
        dim_z=config.dim_z,
        pooling=config.pooling,
        max_length=config.max_length,
        encoder_dropout=config.encoder_dropout,
        embeddings_per_task=config.embeddings_per_task,
        z_from="features" if config.conditioning_vectors else "both" if config.task_features else "table",
    )


def stored_vectors(config: TrainConfig, tasks: Sequence[TaskRows]) -> Mapping[str, NDArray[np.float32]] | None:
    """Read the task vectors from the folder that the settings name; return None if they name none.

    Raises:
        ConfigError: the vectors cannot be read, or a task has none.
    """
    for name in ("conditioning_vectors", "task_features"):
        folder = getattr(config, name)
        if folder and folder != ASPECTS:
            return read_vectors(folder, [task.name for task in tasks], flag(name))
    return None


def canonical_labels(task: TaskRows) -> tuple[str, ...]:
    """Return the canonical names of a task's classes; tasks with the same name can share its label vector."""
    return get_task(task.name).edition(task.edition).canonical
