"""Create the untrained model of a run from its settings and tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedTokenizerFast

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.task_data.origins import TaskOrigin
from metaeval_hub.task_data.task_features import TaskFeatures
from metaeval_training.config import ConfigError, TrainConfig, flag
from metaeval_training.data.rows import TaskRows, texts
from metaeval_training.runs.shared_labels import canonical_labels
from metaeval_training.vectors.encoder_features import encoder_error, open_encoder
from metaeval_training.vectors.task_features import read_vectors

ASPECTS = "aspects"  # the only value of --task-features that is not a folder

Vectors = Mapping[str, NDArray[np.floating]]  # task -> vector


class NewModel:
    """The model of a run while it is being created.

    With --task-features aspects, the model needs the features of its tasks, and these need the encoder. Therefore the
    encoder is loaded first, and the model is created by ``complete``. Otherwise the model is created at once.

    Args:
        config: settings of the run.
        tasks: name the labels and text fields of the model's tasks.
        model: a model to continue from, which has these tasks; None: a new one is created.

    Attributes:
        tokenizer: the tokenizer of the encoder.
        encoder: module that encodes texts.

    Raises:
        ConfigError: the encoder or the task vectors cannot be loaded, or the encoder does not support the settings.
    """

    tokenizer: PreTrainedTokenizerFast
    encoder: nn.Module

    def __init__(
        self, config: TrainConfig, tasks: Sequence[TaskRows], model: ConditionalAdapterModel | None = None
    ) -> None:
        self._config, self._tasks = config, tasks
        self._model = model
        if model is not None:
            self.tokenizer, self.encoder = model.tokenizer, model.encoder
        elif config.task_features == ASPECTS:
            loaded = open_encoder(config, texts(tasks))
            self.tokenizer, self.encoder = loaded.tokenizer, loaded.module
        else:
            self._model = make_model(config, tasks, vectors=stored_vectors(config, tasks))
            self.tokenizer, self.encoder = self._model.tokenizer, self._model.encoder

    def complete(self, features: TaskFeatures | None) -> ConditionalAdapterModel:
        """Return the model.

        Args:
            features: features of the tasks; None for a single task.

        Raises:
            ConfigError: the model needs features and there are none.
        """
        if self._model is not None:
            return self._model
        if features is None:
            raise ConfigError(
                f"--task-features {ASPECTS} compares tasks, but the run has only one: {self._tasks[0].name}. Add "
                "tasks, or leave the flag out"
            )
        vectors = dict(zip([task.name for task in self._tasks], features.code(), strict=True))
        return make_model(self._config, self._tasks, vectors=vectors)


def check_model(config: TrainConfig) -> None:
    """Check the encoder and the settings of the model with a task of two classes, before any task is loaded.

    Without this check, a missing encoder would be reported once per task, or after minutes of loading.

    Raises:
        ConfigError: the encoder cannot be loaded, or does not support the settings.
    """
    _create(config, {"check/settings": ("no", "yes")}, replace(_conditional_config(config), z_from="table"), ["word"])


def make_model(
    config: TrainConfig,
    tasks: Sequence[TaskRows],
    vocabulary: Iterable[str] | None = None,
    vectors: Vectors | None = None,
) -> ConditionalAdapterModel:
    """Create the untrained model for these tasks.

    Args:
        config: settings of the run.
        tasks: name the labels and text fields of the model's tasks.
        vocabulary: texts whose words the tokenizer of "tiny" knows; default: the training texts of the tasks.
        vectors: vector of each task from which z is computed, alone or added to a learned z, as the settings specify.

    Raises:
        ConfigError: the encoder cannot be loaded, or does not support the settings.
    """
    return _create(
        config,
        {task.name: task.labels for task in tasks},
        _conditional_config(config),
        texts(tasks) if vocabulary is None else vocabulary,
        fields={task.name: len(task.text_columns) for task in tasks},
        origins={task.name: TaskOrigin.of_report(task.origin) for task in tasks},
        task_features=vectors,
        label_vectors={task.name: canonical_labels(task) for task in tasks} if config.share_labels else None,
    )


def _create(
    config: TrainConfig,
    labels: Mapping[str, Sequence[str]],
    conditional: ConditionalConfig,
    vocabulary: Iterable[str],
    **options: Any,
) -> ConditionalAdapterModel:
    if config.encoder_revision:
        options["revision"] = config.encoder_revision
    if config.encoder == "tiny":
        options["vocabulary"] = vocabulary
    try:
        return ConditionalAdapterModel.create(config.encoder, labels, conditional, seed=config.seed, **options)
    except (ValueError, ImportError, OSError) as error:
        raise encoder_error(config.encoder, error) from error


def _conditional_config(config: TrainConfig) -> ConditionalConfig:
    return ConditionalConfig(
        conditioning=config.conditioning,
        adapter_size=config.adapter_size,
        dim_z=config.dim_z,
        pooling=config.pooling,
        max_length=config.max_length,
        encoder_dropout=config.encoder_dropout,
        embeddings_per_task=config.embeddings_per_task,
        layer_norm=config.layer_norm,
        dim_table=config.dim_table,
        private_rank=config.private_rank,
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
