"""Compute the logits of many texts, for one task or for several tasks at once.

The computation before the first adapter does not depend on the task: the embeddings and most of the first attention
block, 4 % of the operations of 6 layers and 2 % of those of 12. It runs once for several tasks. Fuller batches save
more time: with T tasks, T times fewer texts fill a batch, so that they have nearly the same length and need little
padding. Everything behind the first adapter depends on the task and is computed for each. A baseline without task
embeddings encodes every text once for all tasks, and so does the encoder without adapters for all frozen tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from metaeval_hub.conditional.places import can_repeat_inside
from metaeval_hub.encoders.tokens import Text, Tokens, as_texts, pad_rows
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.predicted_classes import Prediction as Prediction
from metaeval_hub.safe_files.names import check_count
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.utils.progress import progress_bar

SHOWN_FROM = 50  # more batches than this show a progress bar


def checked_logits(
    model: ModelCore, names: Sequence[str], texts: Iterable[Text], batch_size: int, progress: bool | None
) -> dict[str, Tensor]:
    """Check the texts and tasks that a user gave, and return the logits; see ``task_logits``.

    Raises:
        KeyError: the model has no such task.
        TypeError: a text has the wrong type, or is given to a task over pairs, or the other way round.
        ValueError: the batch size is below 1.
    """
    check_count("batch_size", batch_size)
    given = as_texts(texts)
    for name in names:
        model.task_id(name)
        if given:
            _check_form(model, name, given[0])
    with model._evaluation.hold(model):
        return task_logits(model, names, given, int(batch_size), progress)


def _check_form(model: ModelCore, name: str, text: Text) -> None:
    """Refuse texts for a task over pairs, and pairs for a task over texts, if the model knows the form."""
    given = 1 if isinstance(text, str) else 2
    if given != model.fields.get(name, given):
        over, other = ("texts", "a pair") if given == 2 else ("pairs of texts", "one text")
        raise TypeError(f"{name} is a task over {over}, but texts[0] is {other}: {shown(text)}")


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
    results = {name: torch.empty(len(texts), len(model.labels[name])) for name in names}
    if not texts or not names:
        return results
    tokens = model.tokenize(texts)
    layered = [name for name in names if name in model.layered_tasks]
    adapted = [name for name in names if name not in model.frozen_tasks and name not in layered]
    frozen = [name for name in names if name in model.frozen_tasks and name not in layered]
    for group, at_once in (
        (adapted, min(len(names), batch_size) if model.encodes_per_task else 0),
        (frozen, 0),
        *(([name], 0) for name in layered),
    ):
        if group:
            _fill(model, group, tokens, results, batch_size, at_once, progress)
    return results


def _fill(
    model: ModelCore,
    names: Sequence[str],
    tokens: Tokens,
    results: Mapping[str, Tensor],
    batch_size: int,
    at_once: int,
    progress: bool | None,
) -> None:
    """Compute the logits of tasks that are all frozen or all adapted, or of one that reads all layers.

    Args:
        model: the model.
        names: the tasks.
        tokens: of N texts.
        results: task name -> (N, C), which is filled.
        batch_size: see ``task_logits``.
        at_once: number of tasks per pass, each of which encodes the texts of its own; 0: all tasks share one encoding.
        progress: see ``task_logits``.
    """
    pad_id = int(model.tokenizer.pad_token_id)
    order = sorted(range(len(tokens["input_ids"])), key=lambda i: len(tokens["input_ids"][i]))
    size = max(batch_size // at_once, 1) if at_once else batch_size
    at_once = at_once or len(names)
    starts = range(0, len(order), size)
    visible = len(starts) > SHOWN_FROM if progress is None else progress
    description = names[0] if len(names) == 1 else f"{len(names)} tasks"
    for start in progress_bar(starts, description, "batch", shown=visible):
        rows = order[start : start + size]
        batch = pad_rows(tokens, rows, pad_id, model.device)
        for first in range(0, len(names), at_once):
            part = names[first : first + at_once]
            ids = torch.tensor([model.task_id(name) for name in part], device=model.device)
            for name, task_id, pooled in zip(part, ids, _encode(model, batch, ids), strict=True):
                results[name][rows] = model.heads(pooled, task_id.view(1)).float().cpu()


def _encode(model: ModelCore, batch: Mapping[str, Tensor], ids: Tensor) -> Sequence[Tensor]:
    """Return the pooled texts, (B, H) for each of the tasks ``ids`` (k,), from one pass; see ``_fill``."""
    if len(ids) == 1:
        return [model.encode_for_tasks(batch, ids)]
    if model.task_names[int(ids[0])] in model.frozen_tasks:
        return [model.encode_frozen(batch)] * len(ids)
    count, embeddings = len(ids), model.embed_tasks(ids)
    if not model.encodes_per_task:
        return [model.encode(batch, None)] * count
    private = model.private_parts(ids.repeat_interleave(len(batch["input_ids"])))  # (k B, ...), task after task
    if embeddings is not None:
        embeddings = embeddings.repeat_interleave(len(batch["input_ids"]), dim=0)
    if can_repeat_inside(model.encoder):
        pooled = model.encode(batch, embeddings, count, private)
    else:
        repeated = {name: values.repeat(count, 1) for name, values in batch.items()}
        pooled = model.encode(repeated, embeddings, private=private)
    return pooled.chunk(count)
