"""Logits of many texts: one task, or several tasks over the same texts for less than a pass each.

What does not depend on the task is what precedes the first adapter: the embeddings and most of the first attention
block, by count of operations 4 % of a pass through 6 layers and 2 % through 12. It is computed once for several tasks.
More comes from the batches: with T tasks a batch is full with T times fewer texts, so that they are of nearly one
length and little of it is padding; and a few texts still fill a batch. All else depends on the task, and is exact only
if it is computed for each. A baseline without task embeddings reads every text once for all tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from adapters.context import ForwardContext
from adapters.methods.bottleneck import BottleneckLayer
from torch import Tensor, nn
from tqdm.auto import tqdm

from metaeval_hub.encoders.tokens import Text, pad_rows

if TYPE_CHECKING:
    from metaeval_hub.model.model import ConditionalAdapterModel

# Encoders in which `adapters` lets a batch grow on the way: it repeats what else has a row a text, such as the mask.
GROWING = frozenset({"bert", "roberta", "xlm-roberta", "electra", "distilbert", "deberta-v2"})
SHOWN_FROM = 50  # batches, from which on there is a bar


@torch.inference_mode()
def task_logits(
    model: ConditionalAdapterModel,
    names: Sequence[str],
    texts: Sequence[Text],
    batch_size: int,
    progress: bool | None,
) -> dict[str, Tensor]:
    """Return the logits of texts for each of several tasks, (N, C) float32 on the CPU each.

    One task gives the bits of a batch of that task; several give the same up to rounding.

    Args:
        model: the model, in evaluation mode.
        names: tasks of the model, all over texts or all over pairs.
        texts: N strings, or N pairs.
        batch_size: most rows at once; a row is a text for one task.
        progress: whether to show a bar; None shows one where it takes more than 50 batches.
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
    hidden = len(starts) <= SHOWN_FROM if progress is None else not progress
    shown = names[0] if len(names) == 1 else f"{len(names)} tasks"
    for start in tqdm(starts, desc=shown, unit="batch", disable=hidden):
        rows = order[start : start + texts_at_once]
        batch = pad_rows(tokens, rows, pad_id, model.device)
        for first in range(0, len(names), tasks_at_once):
            part = slice(first, first + tasks_at_once)
            for name, task_id, pooled in zip(names[part], ids[part], _encode(model, batch, ids[part]), strict=True):
                results[name][rows] = model.heads(pooled, task_id.view(1)).float().cpu()
    return results


def _encode(model: ConditionalAdapterModel, batch: Mapping[str, Tensor], ids: Tensor) -> Sequence[Tensor]:
    """Return what the classifiers read, (B, H) for each of the tasks ``ids`` (k,), from one pass."""
    count, embeddings = len(ids), model.embed_tasks(ids)
    if embeddings is None:
        return [model.encode(batch, None)] * count
    if count == 1:
        return [model.encode(batch, embeddings)]
    embeddings = embeddings.repeat_interleave(len(batch["input_ids"]), dim=0)  # (k B, Z), task after task
    if model.encoder.config.model_type in GROWING:
        pooled = model.encode(batch, embeddings, repeats=count)
    else:
        repeated = {name: values.repeat(count, 1) for name, values in batch.items()}
        pooled = model.encode(repeated, embeddings)
    return pooled.chunk(count)


def let_grow(encoder: nn.Module) -> None:
    """Let a batch of B texts become one of ``task_repeats`` times B rows at the place of the first adapter.

    How often is said by each pass, in the context that `adapters` keeps per thread.
    """
    place = next(module for module in encoder.modules() if isinstance(module, BottleneckLayer))
    place.register_forward_pre_hook(_repeat)


def _repeat(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    count = getattr(ForwardContext.get_context(), "task_repeats", None)
    return inputs if count is None else (inputs[0].repeat(count, 1, 1), *inputs[1:])


class Evaluation:
    """Keeps a model in evaluation mode for as long as any thread predicts with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._was_training = False

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[None]:
        """Within, a model is in evaluation mode; the last thread that leaves puts it back into the mode it had."""
        with self._lock:
            if not self._count:
                self._was_training = model.training
            if any(module.training for module in model.modules()):
                model.eval()
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if not self._count and self._was_training:
                    model.train()
