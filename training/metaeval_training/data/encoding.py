"""Tokenize the rows of tasks, store the tokens in the cache, and collate batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from metaeval_training.data.cache import DataCache, digest
from metaeval_training.data.rows import CHUNK, TaskRows, text_columns
from metaeval_training.data.sampling import Batch


@dataclass(frozen=True)
class EncodedRows:
    """The tokens and labels of a split; the tokens of all rows are in one array.

    Attributes:
        tokens: (all tokens,) int32.
        segments: (all tokens,) int8 token types, or None if the encoder has none.
        offsets: (rows + 1,) int64; row i has the tokens offsets[i]:offsets[i + 1].
        labels: (rows,) int64.
        known_digest: value of ``digest`` that was stored with the rows; "" if unknown.
    """

    tokens: NDArray[np.int32]
    segments: NDArray[np.int8] | None
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    known_digest: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens per row, (rows,)."""
        return np.diff(self.offsets)

    def digest(self) -> str:
        """Return 16 hex digits that change with any token or label."""
        if self.known_digest:
            return self.known_digest
        total = hashlib.sha256()
        for array in (self.tokens, self.offsets, self.labels):
            total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()[:16]


@dataclass(frozen=True)
class TaskData:
    """One task that is ready for training: its encoded rows by split, and where they come from; see ``TaskRows``."""

    name: str
    labels: tuple[str, ...]
    splits: dict[str, EncodedRows]
    available: dict[str, int]
    origin: dict[str, Any]
    left_out: int = 0

    @property
    def train(self) -> EncodedRows:
        """The training rows."""
        return self.splits["train"]


def encode_tasks(
    tasks: Sequence[TaskRows],
    tokenizer: PreTrainedTokenizerFast,
    max_length: int,
    cache: DataCache | None = None,
    on_task: Callable[[str], None] = lambda name: None,
) -> list[TaskData]:
    """Tokenize all splits of tasks.

    Args:
        tasks: their texts.
        tokenizer: the tokenizer of the encoder.
        max_length: maximum number of tokens per example; the longer text of a pair is truncated first.
        cache: stores tokens; those of known texts are mapped into memory.
        on_task: called with a task's name before it is tokenized.
    """
    made_by = tokenizer_digest(tokenizer) if cache is not None else ""

    def encode(task: TaskRows, split: str) -> EncodedRows:
        if cache is None or split not in task.digests:
            return encode_rows(task.splits[split], tokenizer, max_length)
        key = digest("tokens 1", made_by, task.digests[split], max_length)
        table = cache.read_table("tokens", key)
        if table is None:
            table = cache.write_table("tokens", key, to_table(encode_rows(task.splits[split], tokenizer, max_length)))
        return from_table(table)

    encoded = []
    for task in tasks:
        on_task(task.name)
        splits = {split: encode(task, split) for split in task.splits}
        encoded.append(TaskData(task.name, task.labels, splits, task.available, task.origin, task.left_out))
    # The tokenizer is stored with the model; it must be the same whether or not tokens came from the cache.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return encoded


def encode_task(task: TaskRows, tokenizer: PreTrainedTokenizerFast, max_length: int) -> TaskData:
    """Tokenize one task; see ``encode_tasks``."""
    return encode_tasks([task], tokenizer, max_length)[0]


def tokenizer_digest(tokenizer: PreTrainedTokenizerFast) -> str:
    """Return a digest of everything that the tokens of a text depend on, except the maximum length."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    backend.pop("truncation"), backend.pop("padding")  # set in each call
    return digest(backend, tokenizer.model_input_names, tokenizer.truncation_side, version("tokenizers"))


def encode_rows(rows: Dataset, tokenizer: PreTrainedTokenizerFast, max_length: int) -> EncodedRows:
    """Tokenize one split; the same arguments as ``encode_tasks``."""
    columns = text_columns(rows)
    with_segments = "token_type_ids" in tokenizer.model_input_names
    tokens, segments, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int8)], [np.zeros(1, np.int64)]
    for chunk in rows.iter(CHUNK):
        fields = [list(chunk[column]) for column in columns]
        encoded = tokenizer(
            *fields, truncation=True, max_length=max_length, return_attention_mask=False,
            return_token_type_ids=with_segments,
        )  # fmt: skip
        lengths.append(np.array([len(row) for row in encoded["input_ids"]], dtype=np.int64))
        tokens.append(np.fromiter(chain.from_iterable(encoded["input_ids"]), np.int32, lengths[-1].sum()))
        if with_segments:
            segments.append(np.fromiter(chain.from_iterable(encoded["token_type_ids"]), np.int8, lengths[-1].sum()))
    return EncodedRows(
        tokens=np.concatenate(tokens),
        segments=np.concatenate(segments) if with_segments else None,
        offsets=np.concatenate(lengths).cumsum(),
        labels=np.asarray(rows.with_format("numpy")["label"][:], dtype=np.int64),
    )


def to_table(rows: EncodedRows) -> pa.Table:
    """Convert encoded rows to an Arrow table: input_ids, token_type_ids if there are segments, label."""
    offsets = pa.array(rows.offsets, pa.int64())
    columns: dict[str, pa.Array] = {"input_ids": pa.LargeListArray.from_arrays(offsets, pa.array(rows.tokens))}
    if rows.segments is not None:
        columns["token_type_ids"] = pa.LargeListArray.from_arrays(offsets, pa.array(rows.segments))
    columns["label"] = pa.array(rows.labels)
    return pa.table(columns).replace_schema_metadata({"digest": rows.digest()})


def from_table(table: pa.Table) -> EncodedRows:
    """Return the encoded rows of a table of ``to_table``, without copying them."""

    def only(name: str) -> Any:
        column = table[name]
        return column.chunk(0) if column.num_chunks else column.combine_chunks()

    tokens = only("input_ids")
    return EncodedRows(
        tokens=tokens.values.to_numpy(),
        segments=only("token_type_ids").values.to_numpy() if "token_type_ids" in table.column_names else None,
        offsets=tokens.offsets.to_numpy(),
        labels=only("label").to_numpy(),
        known_digest=(table.schema.metadata or {}).get(b"digest", b"").decode(),
    )


def collate(
    splits: Mapping[int, EncodedRows] | Sequence[EncodedRows],
    batch: Batch,
    pad: int,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """Return the tensors of a batch, padded to its longest row.

    Args:
        splits: the rows of each task, by the id of the task in the model.
        batch: the chosen rows, of one task or of several.
        pad: token id for padding.
        device: device of the tensors.

    Returns:
        input_ids, attention_mask and (if the encoder has them) token_type_ids, (B, T) int64; labels (B,) int64;
        task_ids int64, (1,) if all rows are of one task, else (B,); draws of the same shape, if the batch has them.
    """
    tasks = [splits[task] for task in np.broadcast_to(batch.tasks, batch.rows.shape).tolist()]
    numbers = batch.rows.tolist()
    parts = [slice(*task.offsets[i : i + 2].tolist()) for task, i in zip(tasks, numbers, strict=True)]
    lengths = np.array([part.stop - part.start for part in parts])
    mask = np.arange(lengths.max()) < lengths[:, None]  # (B, T)

    def fill(pieces: list[Any], empty: int) -> NDArray[np.int64]:
        filled = np.full(mask.shape, empty, dtype=np.int64)
        filled[mask] = np.concatenate(pieces)
        return filled

    chosen = list(zip(tasks, parts, strict=True))
    arrays = {"input_ids": fill([task.tokens[part] for task, part in chosen], pad)}
    arrays["attention_mask"] = mask.astype(np.int64)
    if tasks[0].segments is not None:
        arrays["token_type_ids"] = fill([task.segments[part] for task, part in chosen if task.segments is not None], 0)
    arrays["labels"] = np.array([task.labels[i] for task, i in zip(tasks, numbers, strict=True)], dtype=np.int64)
    arrays["task_ids"] = batch.tasks.astype(np.int64)
    if batch.draws is not None:
        arrays["draws"] = batch.draws.astype(np.int64)
    return {name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in arrays.items()}
