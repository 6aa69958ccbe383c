"""Make batches of rows of many tasks, for Trainer and data loaders."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from metaeval_datasets.catalog import unknown_task
from metaeval_hub.encoders.tokens import SEGMENTS, Text, TextEncoder, Tokens, pad_rows, whole_text
from metaeval_hub.model.core import ModelCore
from metaeval_hub.safe_files.printable import shown


class TaskCollator:
    """Turn rows of any tasks of a model into a batch with ``task_ids``.

    A row is a dictionary, and each of its parts has two forms:

    - The task: ``task``, its name, or ``task_ids``, its id in the model.
    - The text: the columns of ``load_dataset`` (``sentence``, or ``sentence1`` and ``sentence2``), or tokens
      (``input_ids``, and ``token_type_ids`` for encoders that have segments).
    - The class, optional: ``label`` or ``labels``, its number.

    Other columns are ignored. Texts are tokenized as the model does it. Trainer needs ``remove_unused_columns=False``,
    except for rows that consist of ``task_ids``, tokens and ``labels``.

    Args:
        model: the model. Create the collator after adding or removing tasks.
    """

    def __init__(self, model: ModelCore) -> None:
        self._ids = {task: i for i, task in enumerate(model.task_names)}
        self._classes = [(task, len(labels)) for task, labels in model.labels.items()]
        self._encode = TextEncoder(model.tokenizer, model.config.max_length)
        self._pad_id = int(model.tokenizer.pad_token_id)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Return a batch, padded on the right to its longest row.

        Args:
            rows: B rows.

        Returns:
            ``input_ids``, ``attention_mask`` and, for encoders that have segments, ``token_type_ids``, each (B, T)
            long; ``task_ids`` (B,) long; ``labels`` (B,) long, if all rows have a class.

        Raises:
            UnknownTaskError: the model has no such task.
            ValueError: a row has no task or no text, only some rows have a class, or a class is not one of its task.
        """
        task_ids = [self._task_id(row) for row in rows]
        batch = pad_rows(self._tokens(rows), range(len(rows)), self._pad_id, torch.device("cpu"))
        batch["task_ids"] = torch.tensor(task_ids)
        labels = [row.get("labels", row.get("label")) for row in rows]
        if any(label is not None for label in labels):
            batch["labels"] = torch.tensor([self._class(*pair) for pair in zip(task_ids, labels, strict=True)])
        return batch

    def _task_id(self, row: Mapping[str, Any]) -> int:
        if (name := row.get("task")) is not None:
            if name not in self._ids:
                raise unknown_task(name, self._ids, "of this model")
            return self._ids[name]
        task_id = _whole(row.get("task_ids"))
        if not 0 <= task_id < len(self._ids):
            raise ValueError(
                f"a row has task_ids {shown(row.get('task_ids'))} and the columns {', '.join(row)}; expected a column "
                f"task, or task_ids from 0 to {len(self._ids) - 1}; Trainer keeps the column task only with "
                "remove_unused_columns=False"
            )
        return task_id

    def _tokens(self, rows: Sequence[Mapping[str, Any]]) -> Tokens:
        if all("input_ids" in row for row in rows):
            names = [name for name in ("input_ids", SEGMENTS) if all(name in row for row in rows)]
            return {name: [list(row[name]) for row in rows] for name in names}
        return self._encode([_text(row) for row in rows])

    def _class(self, task_id: int, label: Any) -> int:
        task, count = self._classes[task_id]
        number = _whole(label)
        if not 0 <= number < count:
            raise ValueError(f"{task}: a row has the label {shown(label)}; expected a number from 0 to {count - 1}")
        return number


def _whole(value: Any) -> int:
    """Return a whole number, also one of numpy or torch; -1 for anything else."""
    try:
        return operator.index(value)
    except TypeError:
        return -1


def _text(row: Mapping[str, Any]) -> Text:
    """Return the text or pair of a row. Rows of joined datasets have None in the columns of the other form."""
    if row.get("sentence") is not None:
        return whole_text(row["sentence"], "sentence")
    if row.get("sentence1") is None or row.get("sentence2") is None:
        raise ValueError(
            f"a row has the columns {', '.join(row)}; expected sentence, sentence1 and sentence2, or input_ids"
        )
    return whole_text(row["sentence1"], "sentence1"), whole_text(row["sentence2"], "sentence2")
