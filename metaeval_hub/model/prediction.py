"""Compute the logits of many texts, for one task or for several tasks at once.

The computation before the first adapter does not depend on the task: the embeddings and most of the first attention
block, 4 % of the operations of 6 layers and 2 % of those of 12. It runs once for several tasks. Fuller batches save
more time: with T tasks, T times fewer texts fill a batch, so that they have nearly the same length and need little
padding. Everything behind the first adapter depends on the task and is computed for each. A baseline without task
embeddings encodes every text once for all tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from metaeval_hub.conditional.places import can_repeat_inside
from metaeval_hub.encoders.tokens import Text, pad_rows
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.predicted_classes import Prediction as Prediction
from metaeval_hub.utils.progress import progress_bar

SHOWN_FROM = 50  # more batches than this show a progress bar


@torch.inference_mode()
def task_logits(
    model: ModelCore,
    names: Sequence[str],
    texts: Sequence[Text],
    batch_size: int,
    progress: bool | None,
) -> dict[str, Tensor]:
    """Return the logits of texts for each of several tasks, (N, C) float32 on the CPU each.

    Several tasks give the logits that each task gives alone, up to rounding.

    Args:
        model: the model, in evaluation mode.
        names: tasks of the model, all over texts or all over pairs.
        texts: N strings, or N pairs.
        batch_size: largest number of (text, task) combinations per batch.
        progress: whether to show a progress bar; None shows one for more than 50 batches. Never if the progress bars
            of huggingface_hub or datasets are switched off.
    """
    ids = torch.tensor([model.task_id(name) for name in names], device=model.device)
    results = {name: torch.empty(len(texts), len(model.labels[name])) for name in names}
    if not texts or not names:
        return results
    tokens = model.tokenize(texts)
    pad_id = int(model.tokenizer.pad_token_id)
    order = sorted(range(len(texts)), key=lambda i: len(tokens["input_ids"][i]))
    tasks_at_once = min(len(names), batch_size) if model.config.has_task_embeddings else len(names)
    texts_at_once = max(batch_size // tasks_at_once, 1) if model.config.has_task_embeddings else batch_size
    starts = range(0, len(order), texts_at_once)
    shown = len(starts) > SHOWN_FROM if progress is None else progress
    description = names[0] if len(names) == 1 else f"{len(names)} tasks"
    for start in progress_bar(starts, description, "batch", shown=shown):
        rows = order[start : start + texts_at_once]
        batch = pad_rows(tokens, rows, pad_id, model.device)
        for first in range(0, len(names), tasks_at_once):
            part = slice(first, first + tasks_at_once)
            for name, task_id, pooled in zip(names[part], ids[part], _encode(model, batch, ids[part]), strict=True):
                results[name][rows] = model.heads(pooled, task_id.view(1)).float().cpu()
    return results


def _encode(model: ModelCore, batch: Mapping[str, Tensor], ids: Tensor) -> Sequence[Tensor]:
    """Return the pooled texts, (B, H) for each of the tasks ``ids`` (k,), from one pass."""
    count, embeddings = len(ids), model.embed_tasks(ids)
    if embeddings is None:
        return [model.encode(batch, None)] * count
    if count == 1:
        return [model.encode(batch, embeddings)]
    embeddings = embeddings.repeat_interleave(len(batch["input_ids"]), dim=0)  # (k B, Z), task after task
    if can_repeat_inside(model.encoder):
        pooled = model.encode(batch, embeddings, repeats=count)
    else:
        repeated = {name: values.repeat(count, 1) for name, values in batch.items()}
        pooled = model.encode(repeated, embeddings)
    return pooled.chunk(count)
