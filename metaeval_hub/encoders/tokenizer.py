"""Load the tokenizer of an encoder from checked files, and check that it fits the encoder."""

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
from metaeval_hub.safe_files.repository import UnsafeRepositoryError

# The tokenizer classes of transformers 5 build parts of a tokenizer again, instead of reading them from its file.
_CLASSES_REBUILD = int(transformers.__version__.split(".")[0]) >= 5


def load_tokenizer(folder: Path, default_class: str | None = None) -> PreTrainedTokenizerFast:
    """Load a tokenizer. transformers reads it from a temporary folder that contains only the checked files.

    Args:
        folder: the folder with the files of the tokenizer.
        default_class: the tokenizer class to use if its configuration names none.

    Raises:
        UnsafeRepositoryError: a file is missing, or the class or another part of the tokenizer is not known to be safe.
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
        raise UnsafeRepositoryError(f"no usable tokenizer in {folder}: its files do not make a {name}")
    tokenizer.name_or_path = tokenizer.init_kwargs["name_or_path"] = ""  # the temporary folder does not exist any more
    fix_options(tokenizer)

    probe(tokenizer)
    return tokenizer


def fit_tokenizer(tokenizer: PreTrainedTokenizerFast, module: Any) -> None:
    """Check that an encoder has an embedding for every token and segment of its tokenizer.

    If the encoder has no segments, the tokenizer no longer returns them.

    Args:
        tokenizer: the tokenizer.
        module: the encoder; its weights are not read.

    Raises:
        UnsafeRepositoryError: the id of a token or segment is outside the encoder's table, or the encoder is too short
            for the tokens of a pair of texts.
    """
    if "roberta" in module.config.model_type and module.config.pad_token_id is None:
        raise UnsafeRepositoryError(
            f"config.json: pad_token_id is null; expected the id of the padding token, from which "
            f"a {module.config.model_type} encoder counts positions"
        )
    size, segments = module.get_input_embeddings().num_embeddings, getattr(module.config, "type_vocab_size", 0)
    token, last = max(tokenizer.get_vocab().items(), key=lambda item: item[1], default=("", -1))
    if last >= size:
        raise UnsafeRepositoryError(
            f"the tokenizer gives {shown(token)} the id {last}, but the encoder has only {size} tokens (vocab_size)"
        )
    if segments < 2:
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    for encoding in probe(tokenizer):  # a post-processor adds ids that the vocabulary does not list
        for key, known, setting in (("input_ids", size, "vocab_size"), ("token_type_ids", segments, "type_vocab_size")):
            if (last := max(encoding.get(key, [0]))) >= known > 0:
                raise UnsafeRepositoryError(
                    f"the tokenizer gives a text {key} of up to {last}, but the encoder has only {known} ({setting})"
                )
    positions, added = module.config.max_position_embeddings, tokenizer.num_special_tokens_to_add(pair=True)
    if added >= positions:
        raise UnsafeRepositoryError(
            f"the tokenizer adds {added} tokens to a pair of texts, which leaves no room for the texts: the encoder "
            f"takes at most {positions} tokens (max_position_embeddings)"
        )
