"""The texts of a batch as token ids: how they are divided into passes of similar length, and padded.

Axes: B rows of a pass, T tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Texts: TypeAlias = Sequence["str | tuple[str, str]"]

# Short texts share a pass with texts of at most this many times their tokens, and with texts of at most FREE_TOKENS
# tokens, for which a second pass costs more than the padding.
MOST_PADDING = 2.0
FREE_TOKENS = 24


@dataclass(frozen=True, eq=False)
class Row:
    """One text, or pair of texts, of one task.

    Args:
        task: name of its task.
        ids: token ids.
        segments: segment of each token; None if the encoder has no segments.
    """

    task: str
    ids: Sequence[int]
    segments: Sequence[int] | None = None


class Engine(Protocol):
    """A model that a server computes with: one of torch, or one exported to ONNX."""

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Task name -> class names."""

    @property
    def fields(self) -> Mapping[str, int]:
        """Task name -> 1 for a task over texts, 2 for a task over pairs; tasks that accept both are missing."""

    def rows(self, tasks: Sequence[str], texts: Texts) -> list[Row]:
        """Tokenize texts, each for its task; several threads may call it at the same time.

        Raises:
            ValueError: the tokenizer fails on a text; the message has the number of the text.
        """

    def probabilities(self, rows: Sequence[Row]) -> list[NDArray[np.float32]]:
        """Return the class probabilities of each row, (C,), from one pass; C is the class count of its task."""


def passes(rows: Sequence[Row], most: int) -> list[list[int]]:
    """Divide rows into passes of similar length.

    Args:
        rows: the rows.
        most: largest number of rows per pass.

    Returns:
        The positions of the rows of each pass, from short to long texts.
    """
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    found: list[list[int]] = []
    longest = 0.0
    for i in order:
        if not found or len(found[-1]) == most or len(rows[i].ids) > longest:
            found.append([])
            longest = max(FREE_TOKENS, MOST_PADDING * len(rows[i].ids))
        found[-1].append(i)
    return found


def padded(rows: Sequence[Row], pad_id: int) -> dict[str, NDArray[np.int64]]:
    """Return rows as one batch, padded on the right to the longest of them.

    Args:
        rows: the B rows.
        pad_id: id of the padding token.

    Returns:
        ``input_ids``, ``attention_mask`` and, if the encoder has segments, ``token_type_ids``, each (B, T).
    """
    lengths = np.array([len(row.ids) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, np.int64)
    ids[mask] = np.concatenate([row.ids for row in rows])
    batch = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
    if rows[0].segments is not None:
        segments = np.zeros(mask.shape, np.int64)
        segments[mask] = np.concatenate([row.segments or () for row in rows])
        batch["token_type_ids"] = segments
    return batch


def to_rows(tasks: Sequence[str], tokens: Mapping[str, Sequence[Sequence[int]]]) -> list[Row]:
    """Combine the task of each text with its tokens.

    Args:
        tasks: one task per text.
        tokens: ``input_ids`` of each text and, if the encoder has segments, ``token_type_ids``.
    """
    segments = tokens.get("token_type_ids")
    if segments is None:
        return [Row(task, ids) for task, ids in zip(tasks, tokens["input_ids"], strict=True)]
    return [Row(*each) for each in zip(tasks, tokens["input_ids"], segments, strict=True)]
