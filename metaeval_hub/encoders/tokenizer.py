"""Load an encoder's tokenizer from checked files, and fit it to the encoder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import transformers
from transformers import PreTrainedTokenizerFast

from metaeval_hub.encoders.tokenizer_probe import probe, usable
from metaeval_hub.encoders.tokens import fix_options
from metaeval_hub.safe_files.encoder_files import read_tokenizer
from metaeval_hub.safe_files.newer_keys import as_written
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.repository import (
    UnsafeRepositoryError,
)

_CLASSES_REBUILD = int(transformers.__version__.split(".")[0]) >= 5


def load_tokenizer(folder: Path, default_class: str | None = None) -> PreTrainedTokenizerFast:
    """Load a tokenizer from checked files: only they are copied to the folder that transformers reads.

    Args:
        folder: the folder of its files.
        default_class: the tokenizer class if its configuration names none.

    Raises:
        UnsafeRepositoryError: its class or another part is not known to be safe, or its files are missing.
    """
    name, files = read_tokenizer(folder, default_class)
    if _CLASSES_REBUILD:
        name, files = as_written(name, files)
    with tempfile.TemporaryDirectory(prefix="metaeval-tokenizer-") as clean:
        for file, content in files.items():
            (Path(clean) / file).write_bytes(content)
        with usable(f"no usable tokenizer in {folder}"):
            tokenizer = getattr(transformers, name).from_pretrained(clean, local_files_only=True)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UnsafeRepositoryError(f"no usable tokenizer in {folder}: a {name} could not be made of its files")
    tokenizer.name_or_path = tokenizer.init_kwargs["name_or_path"] = ""  # the folder above is gone
    fix_options(tokenizer)

    probe(tokenizer)
    return tokenizer


def fit_tokenizer(tokenizer: PreTrainedTokenizerFast, module: Any) -> None:
    """Check that an encoder has all tokens and segments of a tokenizer; drop segments if it has none.

    Raises:
        UnsafeRepositoryError: the id of a token or segment exceeds the encoder's table.
    """
    if "roberta" in module.config.model_type and module.config.pad_token_id is None:
        raise UnsafeRepositoryError(
            f"config.json: pad_token_id is null; a {module.config.model_type} encoder counts positions from it, so "
            "expected the id of the padding token"
        )
    rows, segments = module.get_input_embeddings().num_embeddings, getattr(module.config, "type_vocab_size", 0)
    token, last = max(tokenizer.get_vocab().items(), key=lambda item: item[1], default=("", -1))
    if last >= rows:
        raise UnsafeRepositoryError(
            f"the tokenizer gives {shown(token)} the id {last}, and the encoder has {rows} rows (vocab_size)"
        )
    if segments < 2:
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    for encoding in probe(tokenizer):  # a post-processor defines its own ids
        for key, known, setting in (("input_ids", rows, "vocab_size"), ("token_type_ids", segments, "type_vocab_size")):
            if (last := max(encoding.get(key, [0]))) >= known > 0:
                raise UnsafeRepositoryError(
                    f"the tokenizer gives a text {key} of up to {last}, and the encoder has {known} ({setting})"
                )
    positions, added = module.config.max_position_embeddings, tokenizer.num_special_tokens_to_add(pair=True)
    if added >= positions:
        raise UnsafeRepositoryError(
            f"the tokenizer adds {added} tokens to a pair of texts, and the encoder takes {positions} "
            "(max_position_embeddings)"
        )
