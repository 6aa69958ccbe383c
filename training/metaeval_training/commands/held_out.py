"""Describe and score tasks that a model was not trained on, and find the models that held them out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaeval_datasets import UnknownTaskError, get_task
from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.encoders.find import MINILM
from metaeval_hub.model.record import ModelRecord, read_record
from metaeval_hub.model.storage import ENCODER_FOLDER, TOKENIZER_FOLDER, WEIGHTS_FILE
from metaeval_hub.model.zero_shot import Description
from metaeval_hub.results.run_results import RESULTS
from metaeval_hub.results.schema import SplitScores
from metaeval_training.atomic_files import expand
from metaeval_training.config import ConfigError, TrainConfig, read_config
from metaeval_training.data.encoding import TaskData
from metaeval_training.data.rows import CHUNK, TaskRows, expand_tasks
from metaeval_training.engine.evaluation import count_predictions, split_scores
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.per_task import Job
from metaeval_training.runs.shared_labels import canonical_labels

MOST_TEXTS = 1000  # unlabelled texts that describe a task: those of its first training rows


# --- The tasks ---


@dataclass(frozen=True)
class HeldOut:
    """A held-out task: its rows, its description, and class -> name of the label vector."""

    rows: TaskRows
    description: Description
    labels: Mapping[str, str]


def describe(task: TaskRows) -> HeldOut:
    """Describe a held-out task by its type, text fields, size and texts, without the label of any row."""
    texts: list[Any] = []
    for chunk in task.splits["train"].select_columns(task.text_columns).iter(CHUNK):
        columns = [chunk[column] for column in task.text_columns]
        texts += columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        if len(texts) >= MOST_TEXTS:
            break
    kind = get_task(task.name).type.value
    description = Description(kind, texts[:MOST_TEXTS], train_rows=task.available["train"])
    return HeldOut(task, description, dict(zip(task.labels, canonical_labels(task), strict=True)))


def score(
    job: Job, model: ConditionalAdapterModel, data: TaskData, name: str, splits: Sequence[str]
) -> dict[str, SplitScores]:
    """Return split -> scores of a task that was added to a model under ``name``, for the splits that it has.

    Args:
        job: the run.
        model: to score.
        data: the task, tokenized for the model.
        name: of the task in the model.
        splits: among "validation" and "test".
    """
    model.eval()
    return {
        split: split_scores(
            count_predictions(
                model, data.splits[split], model.task_id(name), len(data.labels), batch_size=job.config.eval_batch_size,
                pad=model.tokenizer.pad_token_id, accelerator=job.accelerator,
            )
        )
        for split in splits
        if split in data.splits
    }  # fmt: skip


# --- The models ---


@dataclass(frozen=True)
class HeldOutModel:
    """A trained model on disk, and the tasks that were held out of it.

    Attributes:
        folder: of the model.
        record: its tasks, encoder and conditioning.
        run: settings of the run that trained it; None if the model is not in the folder of a run.
        held_out: names of the tasks that the run held out; empty if there is no run.
    """

    folder: Path
    record: ModelRecord
    run: TrainConfig | None
    held_out: tuple[str, ...]


def find_models(place: str) -> list[HeldOutModel]:
    """Find the models of a folder.

    Args:
        place: folder of a model, of a run of training/multitask.py, or of a run of training/zero_shot.py, which has one
            model with a learned z per task for each fold.

    Raises:
        ConfigError: the folder contains no model, or the model is damaged.
    """
    folder = Path(expand(place))
    if (folder / WEIGHTS_FILE).is_file():
        found = [folder]
    elif (folder / "model" / WEIGHTS_FILE).is_file():
        found = [folder / "model"]
    else:
        found = [file.parent / "model" for file in sorted(folder.glob(f"train/*/table-*/{RESULTS}"))]
    if not found:
        raise ConfigError(
            f"--model {place} contains no trained model; name the folder of a model, of a finished run of "
            "training/multitask.py, or of a run of training/zero_shot.py that has trained with --methods mean or ridge"
        )
    return [_read(each, place) for each in found]


def _read(folder: Path, place: str) -> HeldOutModel:
    try:
        record = read_record(folder)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--model {place}: {error}") from error
    run = RunFolder(folder.absolute().parent)
    if folder.absolute() != run.model or not run.data.exists():
        return HeldOutModel(folder, record, None, ())
    config = read_config(run.config)
    return HeldOutModel(folder, record, config, tuple(expand_tasks(config.held_out)))


def assign(models: Sequence[HeldOutModel], names: Sequence[str]) -> dict[str, HeldOutModel]:
    """Choose a model for each task: one that held it out, or else one that was not trained on it.

    Args:
        models: of ``find_models``.
        names: tasks and groups; empty: all tasks that the models held out.

    Raises:
        ConfigError: a task is unknown, no task is named, or all models were trained on a task.
    """
    try:
        tasks = expand_tasks(names) if names else list(dict.fromkeys(task for each in models for task in each.held_out))
    except UnknownTaskError as error:
        raise ConfigError(f"--tasks: {error}") from error
    if not tasks:
        raise ConfigError(f"{models[0].folder} does not record held-out tasks; name the tasks with --tasks")
    found = {}
    for task in tasks:
        fitting = [each for each in models if task in each.held_out]
        fitting += [each for each in models if task not in each.record.labels]
        if not fitting:
            raise ConfigError(
                f"--tasks: {models[0].folder} was trained on {task}; expected a task that was held out of it"
            )
        found[task] = fitting[0]
    return found


def encoder_settings(model: HeldOutModel, run: RunFolder) -> dict[str, str]:
    """Return the settings that name the encoder that a model is based on, before training.

    An encoder that is stored only with the model is copied into the folder of the run, with its tokenizer.
    """
    base = model.record.base
    if base.kind == "hub":
        return {"encoder": base.id, "encoder_revision": base.revision or ""}
    if base.kind == "package":
        return {"encoder": MINILM, "encoder_revision": ""}
    copy = run.path / "encoder"
    if not copy.is_dir():
        part = run.path / "encoder.part"
        for place in (TOKENIZER_FOLDER, ENCODER_FOLDER):
            shutil.copytree(model.folder / place, part, dirs_exist_ok=True)
        part.rename(copy)
    return {"encoder": str(copy), "encoder_revision": ""}
