"""Compute domain vectors and TextEmb with a frozen encoder, both for the tasks of a model and for unseen tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedTokenizerBase

from metaeval_hub.encoders.tokens import pad_rows
from metaeval_hub.task_data.domains import mean_word_vector

BATCH = 32  # texts per pass of the encoder


def count_tokens(
    rows: Iterable[Sequence[int] | NDArray[np.integer]], size: int, special: Iterable[int]
) -> NDArray[np.int64]:
    """Count how often each token of a vocabulary occurs in texts.

    Args:
        rows: token ids of each text.
        size: size of the vocabulary, V.
        special: ids of special tokens, whose count is set to 0.

    Returns:
        (V,) int64.
    """
    counts = np.zeros(size, np.int64)
    for row in rows:
        counts += np.bincount(np.asarray(row, np.int64), minlength=size)
    counts[[token for token in special if token < size]] = 0
    return counts


def domain_vector(encoder: nn.Module, counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean of the encoder's input embeddings over the words of a task, normalized to length 1.

    Args:
        encoder: the encoder, with input embeddings of size E.
        counts: how often each token occurs in the task, (V,).

    Returns:
        (E,) float32.

    Raises:
        ValueError: all counts are 0.
    """
    table = encoder.get_input_embeddings().weight  # type: ignore[operator, union-attr]
    used = np.flatnonzero(counts)
    vectors = (
        table[torch.from_numpy(used).to(table.device)].detach().float().cpu().numpy()
    )  # only these rows: the table may be large
    return mean_word_vector(counts[used], vectors)


@torch.inference_mode()
def text_embedding(
    encoder: nn.Module, tokenizer: PreTrainedTokenizerBase, tokens: dict[str, list[list[int]]]
) -> NDArray[np.float32]:
    """Return TextEmb, the mean over texts of the mean output over tokens (Sileo & Moens 2022, section 3).

    The mean includes special tokens but no padding. Adapters that are attached to the encoder have no effect here.
    ``training/task_vectors.py`` computes the same vectors.

    Args:
        encoder: a frozen encoder in evaluation mode.
        tokenizer: the tokenizer of the encoder.
        tokens: the token ids of the texts, without padding.

    Returns:
        (H,) float32.
    """
    order = sorted(range(len(tokens["input_ids"])), key=lambda i: len(tokens["input_ids"][i]))
    device, total = encoder.get_input_embeddings().weight.device, 0.0  # type: ignore[operator, union-attr]
    for start in range(0, len(order), BATCH):
        batch = pad_rows(tokens, order[start : start + BATCH], int(tokenizer.pad_token_id), device)
        states = encoder(**batch).last_hidden_state.double()  # (B, T, H)
        mask = batch["attention_mask"].unsqueeze(-1)  # (B, T, 1)
        total = total + ((states * mask).sum(dim=1) / mask.sum(dim=1)).sum(dim=0)
    mean: torch.Tensor = total / len(order)  # type: ignore[assignment]
    return mean.float().cpu().numpy()
