"""Tasks that a model was not trained on: the models that held them out, what describes them, their scores."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaeval_datasets import UnknownTaskError, get_task
from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.encoders.encoder import MINILM
from metaeval_hub.model import storage as store
from metaeval_hub.model.zero_shot import Description
from metaeval_training.atomic_files import expand
from metaeval_training.config import ConfigError, TrainConfig, read_config
from metaeval_training.data.encoding import TaskData
from metaeval_training.data.rows import CHUNK, TaskRows, expand_tasks
from metaeval_training.engine.evaluation import count_predictions, scores
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.new_model import canonical_labels
from metaeval_training.runs.per_task import Job

MOST_TEXTS = 1000  # unlabelled texts that describe a task, the first training rows


# --- The tasks ---


@dataclass(frozen=True)
class HeldOut:
    """A held-out task: its rows, what describes it, the label row of each class."""

    rows: TaskRows
    description: Description
    labels: Mapping[str, str]


def describe(task: TaskRows) -> HeldOut:
    """What may be known of a held-out task: type, fields, size and texts, never a label of a row."""
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
) -> dict[str, dict[str, float]]:
    """Scores, by split, of a task that was added to a model under ``name``; splits that it lacks are left out.

    Args:
        job: the run.
        model: that answers.
        data: the task, tokenised as the model reads it.
        name: of the task in the model.
        splits: among "validation" and "test".
    """
    model.eval()
    return {
        split: scores(
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
        run: settings of the run that trained it; None where the model lies elsewhere than in the folder of a run.
        held_out: names of the tasks that the run held out; none where there is no run.
    """

    folder: Path
    record: store.ModelRecord
    run: TrainConfig | None
    held_out: tuple[str, ...]


def find_models(place: str) -> list[HeldOutModel]:
    """The models of a folder.

    Args:
        place: of a model; of a run of training/multitask.py; or of one of training/zero_shot.py, which has the model
            with a table of z of each of its folds.

    Raises:
        ConfigError: there is no model, or it is not of the expected form.
    """
    folder = Path(expand(place))
    if (folder / store.WEIGHTS_FILE).is_file():
        found = [folder]
    elif (folder / "model" / store.WEIGHTS_FILE).is_file():
        found = [folder / "model"]
    else:
        found = [file.parent / "model" for file in sorted(folder.glob("train/*/table-*/results.json"))]
    if not found:
        raise ConfigError(
            f"--model {place} holds no trained model; give the folder of a model, of a finished run of "
            "training/multitask.py, or of a run of training/zero_shot.py that has trained with --methods mean or ridge"
        )
    return [_read(each, place) for each in found]


def _read(folder: Path, place: str) -> HeldOutModel:
    try:
        record = store.read_record(folder)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--model {place}: {error}") from error
    run = RunFolder(folder.absolute().parent)
    if folder.absolute() != run.model or not run.data.exists():
        return HeldOutModel(folder, record, None, ())
    config = read_config(run.config)
    return HeldOutModel(folder, record, config, tuple(expand_tasks(config.held_out)))


def assign(models: Sequence[HeldOutModel], names: Sequence[str]) -> dict[str, HeldOutModel]:
    """For each task the model that is asked: one that held it out, else one that just was not trained on it.

    Args:
        models: of ``find_models``.
        names: tasks and groups; none: all that the models held out.

    Raises:
        ConfigError: there is no such task, none to ask for, or every model was trained on it.
    """
    try:
        tasks = expand_tasks(names) if names else list(dict.fromkeys(task for each in models for task in each.held_out))
    except UnknownTaskError as error:
        raise ConfigError(f"--tasks: {error}") from error
    if not tasks:
        raise ConfigError(f"{models[0].folder} does not say what was held out of it; name the tasks with --tasks")
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
    """Settings that name the encoder that a model stands on, before anything was trained.

    An encoder that is stored with the model alone is copied into the run's folder, with its tokenizer.
    """
    base = model.record.base
    if base.kind == "hub":
        return {"encoder": base.id, "encoder_revision": base.revision or ""}
    if base.kind == "package":
        return {"encoder": MINILM, "encoder_revision": ""}
    copy = run.path / "encoder"
    if not copy.is_dir():
        part = run.path / "encoder.part"
        for place in (store.TOKENIZER_FOLDER, store.ENCODER_FOLDER):
            shutil.copytree(model.folder / place, part, dirs_exist_ok=True)
        part.rename(copy)
    return {"encoder": str(copy), "encoder_revision": ""}
