"""Continue from a trained model: its settings, its tasks, and the model that is stored at the end.

With --old-tasks keep, only the new tasks are in the model that is trained, so that nothing of the old ones can change.
``stored_model`` copies them into the unchanged model afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.analysis.embedded_runs import MODEL
from metaeval_hub.encoders.weights import weights_digest
from metaeval_hub.model.record import CONFIG_FILE
from metaeval_hub.model.task_copies import copy_tasks, join_features
from metaeval_hub.safe_files.names import first_names
from metaeval_hub.task_data.origins import TaskOrigin
from metaeval_hub.task_data.task_features import TaskFeatures
from metaeval_training.config import ConfigError, TrainConfig, flag
from metaeval_training.data.rows import TaskRows, expand_tasks
from metaeval_training.runs.shared_labels import canonical_labels

# Settings that describe the model, so that those of the old model hold.
OF_MODEL = (
    "conditioning", "adapter_size", "dim_z", "dim_table", "private_rank", "layer_norm", "embeddings_per_task",
    "pooling", "max_length", "encoder_dropout",
)  # fmt: skip


def load_old(config: TrainConfig) -> ConditionalAdapterModel:
    """Load the model of --from, and check that it is the one that the run was started with.

    Raises:
        ConfigError: it cannot be loaded, or has changed.
    """
    place = config.from_model
    if not (Path(place) / CONFIG_FILE).is_file() or (Path(place) / MODEL / CONFIG_FILE).is_file():
        inside = Path(place) / MODEL  # of a run
        place = str(inside) if inside.is_dir() else place
    try:
        model = ConditionalAdapterModel.from_pretrained(place)
    except (ValueError, OSError, ImportError) as error:
        raise ConfigError(f"--from {config.from_model}: {error}") from error
    if config.from_sha256 and (found := model_digest(model)) != config.from_sha256:
        raise ConfigError(
            f"--from {config.from_model}: the model has SHA-256 {found}, and {config.from_sha256} was expected; "
            "restore that model, or start a new run"
        )
    return model


def model_digest(model: ConditionalAdapterModel) -> str:
    """Return the SHA-256 of the trained tensors, the tasks and the configuration of a model."""
    record = {key: value for key, value in model.record().to_dict().items() if key != "metaeval_version"}
    text = weights_digest(model.trained_state()) + json.dumps(record, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def continue_settings(config: TrainConfig, flags: Collection[str]) -> TrainConfig:
    """Return the settings of a new run that continues from a model, with those of the model.

    Args:
        config: the settings.
        flags: names of the settings that were given on the command line.

    Raises:
        ConfigError: the model cannot be loaded or continued, a flag contradicts it, or --tasks does not fit
            --old-tasks.
    """
    old = load_old(config)
    if old.config.z_from != "table":
        raise ConfigError(
            f"--from {config.from_model}: z of this model is computed from features of its tasks; only a model whose z "
            "is learned can be continued"
        )
    _check_tasks(config, old)
    own = {name: getattr(old.config, name) for name in OF_MODEL}
    if own["adapter_size"] is None:  # full fine-tuning has no adapters
        del own["adapter_size"]
    own |= {"encoder": old.base.id, "encoder_revision": (old.base.revision or "") if old.base.kind == "hub" else ""}
    for name, value in own.items():
        if name in flags and getattr(config, name) != value:
            raise ConfigError(
                f"{flag(name)} {getattr(config, name)} contradicts the model of --from, which has {value!r}; leave the "
                "flag out"
            )
    return replace(config, **own, from_sha256=model_digest(old))


def _check_tasks(config: TrainConfig, old: ConditionalAdapterModel) -> None:
    names = set(expand_tasks(config.tasks)) - set(expand_tasks(config.held_out))
    if config.old_tasks == "keep":
        if known := sorted(names & set(old.task_names)):
            raise ConfigError(
                f"--old-tasks keep trains new tasks only, and the model of --from has {first_names(known)}; leave them "
                "out of --tasks, or pass --old-tasks rehearse"
            )
        return
    if old.frozen_tasks:
        raise ConfigError(
            f"--old-tasks rehearse cannot train {first_names(sorted(old.frozen_tasks))}, which read the encoder "
            "without adapters; remove them from the model, or pass --old-tasks keep"
        )
    if old.layered_tasks:
        raise ConfigError(
            f"--old-tasks rehearse cannot train {first_names(sorted(old.layered_tasks))}, whose classifiers read all "
            "layers; remove them from the model, or pass --old-tasks keep"
        )
    if missing := [name for name in old.task_names if name not in names]:
        raise ConfigError(
            f"--tasks does not name {first_names(missing)} of the model of --from, which would get worse without their "
            "rows; add them to --tasks, or pass --old-tasks keep"
        )


def in_order(config: TrainConfig, old: ConditionalAdapterModel, tasks: Sequence[TaskRows]) -> list[TaskRows]:
    """Return the loaded tasks of a run in the order of their ids: those of the old model first.

    Raises:
        ConfigError: a task of the old model was skipped, or has other classes now.
    """
    loaded = {task.name: task for task in tasks}
    known = [] if config.old_tasks == "keep" else list(old.task_names)
    for name in known:
        if name not in loaded:
            raise ConfigError(
                f"{name} of the model of --from could not be loaded; pass --old-tasks keep to train without it"
            )
        if tuple(loaded[name].labels) != old.labels[name]:
            raise ConfigError(
                f"{name}: the rows have the classes {first_names(loaded[name].labels)}, and the model of --from has "
                f"{first_names(old.labels[name])}; name the task differently"
            )
    return [*(loaded[name] for name in known), *(task for task in tasks if task.name not in old.labels)]


def add_new_tasks(config: TrainConfig, model: ConditionalAdapterModel, tasks: Sequence[TaskRows]) -> None:
    """Add the tasks of a run that a model lacks. With --old-tasks keep, remove the old ones.

    Otherwise the private parts of the old tasks are removed: they belong to shared weights that will change, and are
    trained again after the shared training.
    """
    old, new = model.task_names, [task for task in tasks if task.name not in model.labels]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model.add_tasks(
            {task.name: task.labels for task in new},
            fields={task.name: len(task.text_columns) for task in new},
            origins={task.name: TaskOrigin.of_report(task.origin) for task in new},
            label_vectors={task.name: canonical_labels(task) for task in new} if config.share_labels else None,
        )
    if config.old_tasks == "keep":
        model.remove_tasks(old)
        model.features = None
    elif model.adapter is not None and model.adapter.private is not None:
        model.adapter.private.up.data.zero_()
        model.find_private_tasks()


def stored_model(
    config: TrainConfig, trained: ConditionalAdapterModel, features: TaskFeatures | None
) -> tuple[ConditionalAdapterModel, TaskFeatures | None]:
    """Return the model to store after training, and the features of its tasks.

    This is the trained model, or with --old-tasks keep the old model with the new tasks.
    """
    if not (config.from_model and config.old_tasks == "keep"):
        return trained, features
    model = load_old(config)
    copy_tasks(trained, model, trained.task_names)
    return model.eval(), join_features(model.features, features)
