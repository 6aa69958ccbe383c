"""Prepare a multitask run: load and tokenize its tasks, compute their features and create the untrained model."""

from __future__ import annotations

import time

from accelerate import Accelerator

from metaeval_training.config import TrainConfig, flag
from metaeval_training.data.cache import data_cache
from metaeval_training.runs.continued import add_new_tasks, in_order, load_old
from metaeval_training.runs.loading import load_rows
from metaeval_training.runs.new_model import NewModel
from metaeval_training.runs.prepared import Prepared
from metaeval_training.runs.reporter import Reporter
from metaeval_training.runs.tokenizing import tokenize_and_measure


def prepare(config: TrainConfig, accelerator: Accelerator, reporter: Reporter) -> Prepared:
    """Load and tokenize the tasks, compute their features and create the model.

    Raises:
        DataError: tasks cannot be loaded.
        ConfigError: the encoder cannot be loaded, or the tasks do not fit the settings.
    """
    started = time.monotonic()
    cache = data_cache(config)
    loaded, skipped = load_rows(config, accelerator, reporter, cache)
    if config.from_model:
        old = load_old(config)
        loaded = in_order(config, old, loaded)
        add_new_tasks(config, old, loaded)
        new = NewModel(config, loaded, old)
    else:
        new = NewModel(config, loaded)
    tasks, features = tokenize_and_measure(config, loaded, new.tokenizer, new.encoder, accelerator, reporter, cache)
    model = new.complete(features)
    if cache.problem:
        reporter.warn(
            f"{cache.folder} could not store prepared data for later runs: {cache.problem}. Free some space, or choose "
            f"another folder with {flag('cache_dir')}"
        )
    return Prepared(tasks, skipped, model, features, time.monotonic() - started)
