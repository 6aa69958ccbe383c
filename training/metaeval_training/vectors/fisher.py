"""Compute the Fisher embedding of a task: how sensitive a fine-tuned model is to each unit of the pooled text."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812

from metaeval_hub import ConditionalAdapterModel
from metaeval_training.data.encoding import EncodedRows, collate
from metaeval_training.data.sampling import Batch


def fisher_information(
    model: ConditionalAdapterModel, rows: EncodedRows, task_id: int, batch_size: int
) -> NDArray[np.float64]:
    """Return the diagonal of the empirical Fisher information of the pooled text.

    Source: Sileo & Moens 2022, appendix A, eq. 4 (after Vu et al. 2020): (1/n) * sum over the training examples of the
    squared gradient of log P(y_k | x_k) with respect to h_[CLS]. "Empirical": y_k are the examples' labels.
    With ``pooling="mean"``, h is the mean over the tokens instead of [CLS]; in both cases it is the classifier's input.

    Args:
        model: fine-tuned on the task; set to evaluation mode, which switches dropout off.
        rows: the training rows.
        task_id: id of the task in the model.
        batch_size: examples per batch; the result does not depend on it.

    Returns:
        (H,), not negative.
    """
    model.eval()
    total = np.zeros(model.heads.weight.shape[1])
    task = np.array([task_id], dtype=np.int64)
    order = np.argsort(rows.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        batch = collate(
            {task_id: rows}, Batch(task, order[start : start + batch_size]), model.tokenizer.pad_token_id, model.device
        )
        labels, task_ids = batch.pop("labels"), batch.pop("task_ids")
        with torch.no_grad():
            pooled = model.encode_for_tasks(batch, task_ids)
        pooled.requires_grad_()  # (B, H); the gradient stops here
        logits = model.heads(pooled, task_ids).float()  # (B, C)
        # each example depends only on its own row of pooled, so the gradient of the sum contains one gradient per row
        (gradient,) = torch.autograd.grad(-F.cross_entropy(logits, labels, reduction="sum"), pooled)
        total += gradient.double().square().sum(dim=0).cpu().numpy()
    return total / len(order)
