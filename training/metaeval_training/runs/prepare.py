"""Prepare a multitask run: load and tokenize its tasks, compute their features and create the untrained model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from accelerate import Accelerator

from metaeval_datasets import UnknownTaskError
from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.model.core import Role
from metaeval_hub.task_data.task_features import TaskFeatures
from metaeval_training.config import ConfigError, TrainConfig, flag
from metaeval_training.data.cache import DataCache, data_cache
from metaeval_training.data.encoding import TaskData, encode_tasks
from metaeval_training.data.rows import TaskRows, expand_tasks, load_tasks, row_choice, texts
from metaeval_training.runs.new_model import ASPECTS, make_model, stored_vectors
from metaeval_training.runs.reporter import Reporter, shorten
from metaeval_training.vectors.encoder_features import open_encoder
from metaeval_training.vectors.task_features import measure_tasks, text_embeddings


@dataclass(frozen=True)
class Prepared:
    """All that a run needs before its first step.

    Attributes:
        tasks: tokenized, in the order of their ids in the model.
        skipped: task -> why it is not trained on.
        model: untrained.
        features: of the tasks; None for a single task.
        seconds: that the preparation took.
    """

    tasks: list[TaskData]
    skipped: dict[str, str]
    model: ConditionalAdapterModel
    features: TaskFeatures | None
    seconds: float


def prepare(config: TrainConfig, accelerator: Accelerator, reporter: Reporter) -> Prepared:
    """Load and tokenize the tasks, compute their features and create the model.

    Raises:
        DataError, ConfigError: tasks or the encoder cannot be loaded.
    """
    started = time.monotonic()
    cache = data_cache(config)
    loaded, skipped = load_rows(config, accelerator, reporter, cache)
    # With --task-features aspects, the model needs the features, which need the encoder: it is loaded first.
    encoder = open_encoder(config, texts(loaded)) if config.task_features == ASPECTS else None
    model = None if encoder else make_model(config, loaded, vectors=stored_vectors(config, loaded))
    tokenizer = model.tokenizer if model else encoder.tokenizer  # type: ignore[union-attr]
    module = model.encoder if model else encoder.module  # type: ignore[union-attr]
    with accelerator.local_main_process_first(), reporter.progress("tokenizing", len(loaded)) as display:
        done = iter(range(len(loaded)))
        tasks = encode_tasks(
            loaded, tokenizer, config.max_length, cache, on_task=lambda name: display.update(next(done), name)
        )
        words = module.get_input_embeddings().weight.detach().float().cpu().numpy()
        features = measure_tasks(loaded, tasks, words, tokenizer, cache)
        if features is not None and config.text_emb:
            features = replace(features, texts=text_embeddings(tasks, module, tokenizer))
    model = model or _model_from_features(config, loaded, features)
    if cache.problem:
        reporter.warn(
            f"{cache.folder} could not store prepared data for later runs: {cache.problem}. Free some space, or choose "
            f"another folder with {flag('cache_dir')}"
        )
    return Prepared(tasks, skipped, model, features, time.monotonic() - started)


def _model_from_features(
    config: TrainConfig, loaded: Sequence[TaskRows], features: TaskFeatures | None
) -> ConditionalAdapterModel:
    if features is None:
        raise ConfigError(
            f"--task-features {ASPECTS} compares tasks, but the run has only one: {loaded[0].name}. Add tasks, or "
            "leave the flag out"
        )
    vectors = dict(zip([task.name for task in loaded], features.code(), strict=True))
    return make_model(config, loaded, vectors=vectors)


def load_rows(
    config: TrainConfig, accelerator: Accelerator, reporter: Reporter, cache: DataCache
) -> tuple[list[TaskRows], dict[str, str]]:
    """Load the tasks that the settings ask for, and report what was left out.

    One process of each machine loads first, so that the others find the tasks in the cache.

    Returns:
        The tasks; and task -> why it was left out.

    Raises:
        ConfigError: a task or group is unknown, or no task is left.
        DataError: tasks failed to load.
    """
    names, held_out = _task_names(config)
    with accelerator.local_main_process_first(), reporter.progress("loading tasks", len(names)) as display:
        done = iter(range(len(names)))
        tasks, skipped = load_tasks(
            names,
            row_choice(config),
            decontaminate=config.decontaminate,
            held_out=held_out,
            skip_unavailable=config.skip_unavailable,
            cache=cache,
            on_task=lambda name: display.update(next(done), name),
            on_split=lambda task, split: display.update(len(names), f"comparing texts: {task} {split}"),
        )
    for name, reason in skipped.items():
        reporter.warn(f"left out {name}: {shorten(reason)}")
    _report_sources(tasks, reporter)
    _report_left_out_rows(tasks, config, reporter)
    return tasks, skipped


def _task_names(config: TrainConfig) -> tuple[list[str], list[str]]:
    """Return the tasks to train on and the held-out ones."""
    try:
        held_out = expand_tasks(config.held_out)
        names = [name for name in expand_tasks(config.tasks) if name not in held_out]
    except UnknownTaskError as error:
        raise ConfigError(f"--tasks, --held-out: {error}") from error
    if not names:
        raise ConfigError("--held-out contains all of the --tasks; leave at least one task to train on")
    return names, held_out


def _report_sources(tasks: Sequence[TaskRows], reporter: Reporter) -> None:
    notes = (
        ("come from a fallback source", [task.name for task in tasks if task.origin["passed_over"]]),
        ("lack a part that their source should have", [task.name for task in tasks if task.origin["missing"]]),
    )
    for note, names in notes:
        if names:
            reporter.line(f"{len(names)} tasks {note} (see data.json): {shorten(', '.join(names))}")


def _report_left_out_rows(tasks: Sequence[TaskRows], config: TrainConfig, reporter: Reporter) -> None:
    counts = {task.name: task.left_out for task in tasks if task.left_out}
    if counts:
        most_first = sorted(counts, key=lambda name: -counts[name])
        unit = "whole texts" if config.decontaminate == "whole" else "texts or sentences"
        reporter.line(
            f"left out {sum(counts.values()):,} training rows of {len(counts)} tasks whose {unit} are in evaluation "
            f"splits (see data.json): {shorten(', '.join(f'{name} {counts[name]:,}' for name in most_first))}"
        )


def describe_run(config: TrainConfig, prepared: Prepared, steps: int) -> str:
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
        f"{len(tasks)} tasks{left_out}, {kept:,}{of_all} training rows, {steps:,} steps of {config.batch_size}; "
        f"encoder {config.encoder}, trained parameters: "
        + ", ".join(f"{size:,} in {names[role]}" for role, size in sizes.items() if size)
    )
