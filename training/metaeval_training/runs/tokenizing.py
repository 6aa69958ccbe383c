"""Tokenize the tasks of a multitask run and compute their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from accelerate import Accelerator
from torch import nn
from transformers import PreTrainedTokenizerFast

from metaeval_hub.task_data.task_features import TaskFeatures
from metaeval_training.config import TrainConfig
from metaeval_training.data.cache import DataCache
from metaeval_training.data.encoding import TaskData, encode_tasks
from metaeval_training.data.rows import TaskRows
from metaeval_training.runs.reporter import Reporter
from metaeval_training.vectors.task_features import measure_tasks, text_embeddings


def tokenize_and_measure(
    config: TrainConfig,
    loaded: Sequence[TaskRows],
    tokenizer: PreTrainedTokenizerFast,
    encoder: nn.Module,
    accelerator: Accelerator,
    reporter: Reporter,
    cache: DataCache,
) -> tuple[list[TaskData], TaskFeatures | None]:
    """Tokenize the tasks and compute their features; show the progress.

    One process of each machine does the work first, so that the others find it in the cache.

    Args:
        config: settings of the run.
        loaded: the tasks.
        tokenizer: the tokenizer of the encoder.
        encoder: the frozen encoder, without adapters or with untrained ones.
        accelerator: the Accelerator of the run.
        reporter: shows the progress.
        cache: stores the tokens.

    Returns:
        The tokenized tasks, in the same order; and their features, None for a single task.
    """
    with accelerator.local_main_process_first(), reporter.progress("tokenizing", len(loaded)) as display:
        done = iter(range(len(loaded)))
        tasks = encode_tasks(
            loaded, tokenizer, config.max_length, cache, on_task=lambda name: display.update(next(done), name)
        )
        words = encoder.get_input_embeddings().weight.detach().float().cpu().numpy()  # type: ignore[operator]
        features = measure_tasks(loaded, tasks, words, tokenizer, cache)
        if features is not None and config.text_emb:
            features = replace(features, texts=text_embeddings(tasks, encoder, tokenizer))
    return tasks, features
