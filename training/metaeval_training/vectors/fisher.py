"""The Fisher embedding of a task: how sensitive a fine-tuned model's answers are to each unit of the pooled text."""

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
    """Diagonal of the empirical Fisher information of the pooled text.

    Source: Sileo & Moens 2022, appendix A, eq. 4 (after Vu et al. 2020): (1/n) * sum over the training examples of the
    squared gradient of log P(y_k | x_k) with respect to h_[CLS]. Empirical: y_k are the examples' own labels. With
    ``pooling="mean"`` h is the mean over the tokens instead of [CLS]: in both cases what the classifier reads.

    Args:
        model: fine-tuned on the task; put into evaluation mode, so that dropout adds nothing.
        rows: the training rows.
        task_id: number of the task in the model.
        batch_size: examples at once, of similar length; the result does not depend on it.

    Returns:
        (H,), none below 0.
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
            pooled = model.encode(batch, model.embed_tasks(task_ids))
        pooled.requires_grad_()  # (B, H); all that is before it stays out of the gradient
        logits = model.heads(pooled, task_ids).float()  # (B, C)
        # the examples' terms are apart, so that the gradient of their sum holds that of each one in its row
        (gradient,) = torch.autograd.grad(-F.cross_entropy(logits, labels, reduction="sum"), pooled)
        total += gradient.double().square().sum(dim=0).cpu().numpy()
    return total / len(order)
