"""Encode texts with a frozen encoder without adapters: the state of [CLS], and the mean over tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray

from metaeval_hub.encoders.base import LoadedEncoder
from metaeval_hub.encoders.encoder import load_encoder
from metaeval_hub.hub.retry import HubError
from metaeval_training.config import ConfigError, TrainConfig
from metaeval_training.data.encoding import collate, encode_rows
from metaeval_training.data.sampling import Batch


@dataclass(frozen=True)
class Features:
    """Two vectors per text, from the encoder's last layer.

    Attributes:
        cls: state of the first token, (rows, H) float32.
        mean: mean over the tokens of the text, special ones included, padding excluded, (rows, H) float32.
    """

    cls: NDArray[np.float32]
    mean: NDArray[np.float32]


def open_encoder(config: TrainConfig, vocabulary: Iterable[str]) -> LoadedEncoder:
    """Load the encoder that the settings name, frozen.

    Args:
        config: settings of the run.
        vocabulary: texts whose words the tokenizer of "tiny" knows; not read for other encoders.

    Raises:
        ConfigError: it cannot be loaded.
    """
    try:
        return load_encoder(
            config.encoder,
            revision=config.encoder_revision or None,
            vocabulary=vocabulary if config.encoder == "tiny" else None,
            seed=config.seed,
        )
    except (ValueError, ImportError, OSError) as error:
        raise encoder_error(config.encoder, error) from error


def encoder_error(name: str, error: Exception) -> ConfigError:
    """Return the error for an encoder that cannot be loaded.

    Args:
        name: value of --encoder.
        error: why it cannot be loaded. If a download failed, the name may be a misspelt one that needs no download.
    """
    hint = "; check the name: expected tiny, minilm, a folder or a Hub id" if isinstance(error, HubError) else ""
    return ConfigError(f"--encoder {name}: {error}{hint}")


@torch.no_grad()
def text_features(
    encoder: LoadedEncoder, rows: Dataset, *, max_length: int, batch_size: int, device: torch.device
) -> Features:
    """Encode the texts of a split; pairs are encoded together, as the models read them.

    Args:
        encoder: the encoder, in evaluation mode.
        rows: rows of one split.
        max_length: maximum number of tokens per example.
        batch_size: examples per batch; the examples of a batch have similar lengths.
        device: to compute on.
    """
    encoder.module.to(device).eval()
    encoded = encode_rows(rows, encoder.tokenizer, max_length)
    hidden_size = encoder.module.config.hidden_size
    found = Features(*(np.empty((len(encoded), hidden_size), dtype=np.float32) for _ in range(2)))
    order = np.argsort(encoded.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = collate([encoded], Batch(np.zeros(1, dtype=np.int64), chosen), encoder.tokenizer.pad_token_id, device)
        del batch["labels"], batch["task_ids"]
        states = encoder.module(**batch).last_hidden_state.float()  # (B, T, H)
        mask = batch["attention_mask"].unsqueeze(-1)  # (B, T, 1)
        found.cls[chosen] = states[:, 0].cpu().numpy()
        found.mean[chosen] = ((states * mask).sum(dim=1) / mask.sum(dim=1)).cpu().numpy()
    return found
