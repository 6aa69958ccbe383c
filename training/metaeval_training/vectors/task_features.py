"""Compute features of tasks that use no labels, and read task vectors from which z can be computed.

Aspects and domains (Sileo & Moens 2022, section 5.5) are stored with the model of each run, so that its embeddings can
be probed and unseen tasks described in the same way. With --task-features aspects, they are part of z (section 5.6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedTokenizerFast

from metaeval_datasets.aspects import Aspects, length_counts, median_of
from metaeval_datasets.catalog import get_task
from metaeval_datasets.fingerprint import ASPECTS_VERSION
from metaeval_hub import TaskEmbeddings
from metaeval_hub.encoders.text_vectors import text_embedding
from metaeval_hub.safe_files.names import first_names
from metaeval_hub.task_data.domains import mean_word_vector
from metaeval_hub.task_data.task_features import TaskFeatures, compute_task_features
from metaeval_training.atomic_files import expand
from metaeval_training.config import ConfigError
from metaeval_training.data.cache import DataCache, digest
from metaeval_training.data.encoding import EncodedRows, TaskData
from metaeval_training.data.rows import DataError, TaskRows, whole_split

TEXT_EMB_ROWS = 1000  # maximum number of training rows per task that --text-emb averages over


def measure_tasks(
    rows: Sequence[TaskRows],
    tasks: Sequence[TaskData],
    words: NDArray[np.floating],
    tokenizer: PreTrainedTokenizerFast,
    cache: DataCache | None = None,
) -> TaskFeatures | None:
    """Compute aspects and domains of the tasks of a run; return None for a single task, which cannot be compared.

    Args:
        rows: the tasks; text lengths are measured on their whole training splits.
        tasks: the same tasks, tokenized; domains are computed from the training rows that are kept.
        words: (V, H) input embeddings of the encoder.
        tokenizer: the tokenizer of the encoder.
        cache: stores the lengths.

    Raises:
        DataError: the texts of a task contain no known word.
    """
    if len(tasks) < 2:
        return None
    special = [number for number in tokenizer.all_special_ids if number < len(words)]
    vectors = []
    for task in tasks:
        counts = np.bincount(task.train.tokens, minlength=len(words))
        counts[special] = 0
        try:
            vectors.append(mean_word_vector(counts, words))
        except ValueError as error:
            raise DataError(
                f"{task.name}: its training texts contain no word that the encoder knows ({error})"
            ) from error
    return compute_task_features([aspects(task, cache) for task in rows], np.stack(vectors))


def aspects(task: TaskRows, cache: DataCache | None = None) -> Aspects:
    """Return the aspects of one task; the cache stores the length of its texts."""
    key = digest("words", task.prepared, ASPECTS_VERSION)
    median = cache.read_json("aspects", key) if cache is not None and task.prepared else None
    if median is None:
        median = median_of(length_counts(whole_split(task), task.text_columns))
        if cache is not None and task.prepared:
            cache.write_json("aspects", key, median)
    return Aspects(
        task.name, task.available["train"], len(task.text_columns), median, get_task(task.catalogue_name).type
    )


def text_embeddings(
    tasks: Sequence[TaskData], encoder: nn.Module, tokenizer: PreTrainedTokenizerFast
) -> NDArray[np.float32]:
    """Return TextEmb of tasks, (n, H), from at most the first 1,000 training rows that are kept, without adapters.

    training/task_vectors.py uses all training rows that are kept, as the paper does.
    """
    return np.stack([text_embedding(encoder, tokenizer, _first_rows(task.train)) for task in tasks])


def _first_rows(rows: EncodedRows) -> dict[str, list[list[int]]]:
    """Return the tokens of the first rows, in the format of a tokenizer."""
    count = min(len(rows), TEXT_EMB_ROWS)
    parts = [slice(*rows.offsets[i : i + 2].tolist()) for i in range(count)]
    found = {"input_ids": [rows.tokens[part].tolist() for part in parts]}
    if rows.segments is not None:
        found["token_type_ids"] = [rows.segments[part].tolist() for part in parts]
    found["attention_mask"] = [[1] * len(row) for row in found["input_ids"]]
    return found


def read_vectors(folder: str, names: Sequence[str], flag: str) -> Mapping[str, NDArray[np.float32]]:
    """Read fixed task vectors, such as stored TextEmb or Fisher vectors.

    Args:
        folder: folder of a ``TaskEmbeddings``.
        names: the tasks that need a vector.
        flag: that names the folder, for messages.

    Raises:
        ConfigError: the folder contains no task vectors, or tasks are missing.
    """
    try:
        table = TaskEmbeddings.load(Path(expand(folder)))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{flag} {folder}: {error}") from error
    missing = [name for name in names if name not in table.names]
    if missing:
        raise ConfigError(
            f"{flag} {folder} has no vector for {len(missing)} of {len(names)} tasks: {first_names(missing)}. Compute "
            "vectors for all tasks with training/task_vectors.py"
        )
    return {name: table[name] for name in names}
