"""Train the private part of one task, after the shared training and with everything shared frozen.

The tasks cannot disturb each other here, and z stays as it is, so that the map of the tasks keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.conditional.private import PrivateUpdates
from metaeval_training.config import TrainConfig
from metaeval_training.data.encoding import TaskData, collate
from metaeval_training.data.sampling import Batch, epoch_batches
from metaeval_training.engine.optimizer import rate_factor

BATCH_SIZE = 16  # rows of one task per step, as for single-task baselines


def private_updates(model: ConditionalAdapterModel) -> PrivateUpdates:
    """Return the private parts of all tasks.

    Raises:
        ValueError: the model was created without them.
    """
    if model.adapter is None or model.adapter.private is None:
        raise ValueError(
            "the model has private_rank 0, so its tasks have no private part; create it with a rank above 0"
        )
    return model.adapter.private


def train_private_part(
    model: ConditionalAdapterModel, task: TaskData, number: int, config: TrainConfig, accelerator: Accelerator
) -> Tensor:
    """Train the private part and the classifier of a task on its rows, and store them in the model.

    Args:
        model: the model, in evaluation mode; its config has a ``private_rank``.
        task: the rows.
        number: id of the task in the model.
        config: ``private_epochs``, ``private_lr``, and the schedule and seed of the run.
        accelerator: the Accelerator of the run, whose number format is used.

    Returns:
        V of the task before, (P, R, H), for ``drop_private_part``.
    """
    private, heads, device = private_updates(model), model.heads, accelerator.device
    ids, vectors = torch.tensor([number], device=device), heads.table[number, : heads.sizes[number]]
    with torch.no_grad():
        z = model.embed_tasks(ids)
    down, up = (tensor.detach().clone().requires_grad_() for tensor in private(ids))
    weight, bias = (tensor[vectors].detach().clone().requires_grad_() for tensor in (heads.weight, heads.bias))
    trained = [down, up, weight, bias]
    optimizer = torch.optim.AdamW(trained, lr=config.private_lr, weight_decay=0.0)
    batches = [
        rows
        for epoch in range(config.private_epochs)
        for rows in epoch_batches(
            task.train.lengths, BATCH_SIZE, config.bucket_batches, config.seed, "private", task.name, epoch
        )
    ]
    with _frozen(model):
        for step, rows in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = config.private_lr * rate_factor(step, len(batches), config.warmup, config.schedule)
            batch = collate({number: task.train}, Batch(ids.cpu().numpy(), rows), model.tokenizer.pad_token_id, device)
            labels = batch.pop("labels")
            batch.pop("task_ids")
            with accelerator.autocast():
                pooled = model.encode(batch, z, private=(down, up))
            loss = F.cross_entropy(F.linear(pooled.float(), weight.float(), bias.float()), labels)
            optimizer.zero_grad()
            loss.backward()
            if config.clip_norm:
                torch.nn.utils.clip_grad_norm_(trained, config.clip_norm)
            optimizer.step()
    with torch.no_grad():
        start = private.down[number].clone()
        private.down[number], private.up[number] = down[0], up[0]
        heads.weight[vectors], heads.bias[vectors] = weight, bias
    model.private_tasks.add(task.name)
    return start


@contextmanager
def _frozen(model: ConditionalAdapterModel) -> Iterator[None]:
    """Compute no gradients of the model's own weights in a ``with`` block; they would take time and memory."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@torch.no_grad()
def drop_private_part(model: ConditionalAdapterModel, task: TaskData, number: int, start: Tensor) -> None:
    """Remove the private part of a task; its classifier stays as it is.

    V is restored too: if training diverged, it is not finite, and then neither is U V h with U = 0.

    Args:
        model: the model.
        task: the task.
        number: id of the task in the model.
        start: V before training, (P, R, H).
    """
    private = private_updates(model)
    private.down[number], private.up[number] = start, 0
    model.private_tasks.discard(task.name)
