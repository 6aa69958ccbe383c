"""Let a server compute with a model of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from metaeval_hub.model.core import ModelCore
from metaeval_hub.serve.rows import Row, Texts, padded, to_rows


class TorchEngine:
    """Compute the texts of several tasks in one pass of a model.

    Its answers are those of ``model.predict`` up to rounding. The model must not change while the engine uses it.

    Args:
        model: the model; it is switched to evaluation mode.
    """

    def __init__(self, model: ModelCore) -> None:
        self._model = model.eval()
        self._pad_id = int(model.tokenizer.pad_token_id)

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Task name -> class names."""
        return self._model.labels

    @property
    def fields(self) -> Mapping[str, int]:
        """Task name -> 1 for a task over texts, 2 for a task over pairs; tasks that accept both are missing."""
        return self._model.fields

    def rows(self, tasks: Sequence[str], texts: Texts) -> list[Row]:
        """Tokenize texts, each for its task.

        Raises:
            ValueError: the tokenizer fails on a text; the message has the number of the text.
        """
        return to_rows(tasks, self._model.tokenize_each(texts))

    @torch.inference_mode()
    def probabilities(self, rows: Sequence[Row]) -> list[NDArray[np.float32]]:
        """Return the class probabilities of each row, (C,), from one pass.

        Raises:
            FloatingPointError: the model computed a value that is not finite.
        """
        model = self._model
        batch = {name: torch.from_numpy(array).to(model.device) for name, array in padded(rows, self._pad_id).items()}
        ids = [model.task_id(row.task) for row in rows]
        if len(set(ids)) == 1:  # faster
            ids = ids[:1]
        logits = model(**batch, task_ids=torch.tensor(ids, device=model.device)).logits
        found = logits.float().softmax(dim=-1).cpu().numpy()
        if not np.isfinite(found).all():
            raise FloatingPointError("the model computed probabilities that are not finite; its weights are unusable")
        return [line[: len(self.labels[row.task])] for line, row in zip(found, rows, strict=True)]
