"""Rewrite what transformers 5 writes into the keys that every supported release of transformers reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from metaeval_hub.safe_files.allowed_values import (
    MAX_LAYERS,
    TOKEN_ID,
    TOKENS,
    Rule,
    is_number,
    optional,
)
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.repository import UnsafeRepositoryError, apply_rule

_FULL, _SLIDING = "full_attention", "sliding_attention"
_THETAS = {_FULL: "global_rope_theta", _SLIDING: "local_rope_theta"}
_LAYER_TYPES = Rule(
    lambda value: (
        isinstance(value, list)
        and 0 < len(value) <= MAX_LAYERS
        and all(isinstance(kind, str) and kind in _THETAS for kind in value)
    ),
    f"a list of 1 to {MAX_LAYERS} layers, each {_FULL!r} or {_SLIDING!r}",
)
_ROPE = Rule(
    lambda value: (
        isinstance(value, Mapping)
        and value.keys() <= {"rope_theta", "rope_type"}
        and value.get("rope_type", "default") == "default"
        and is_number(value.get("rope_theta", 1.0), 1.0, 1e9)
    ),
    "an object with rope_type 'default' and a rope_theta in 1..1e9",
)
_ROPES = Rule(
    lambda value: isinstance(value, Mapping) and value.keys() <= _THETAS.keys(),
    f"an object with {_FULL} and {_SLIDING}",
)
_BERT_TOKENS = {f"{role.lower()}_token": f"[{role}]" for role in ("UNK", "SEP", "PAD", "CLS", "MASK")}
_ROBERTA_TOKENS = {
    "bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>",
    "pad_token": "<pad>", "mask_token": "<mask>",
}  # fmt: skip
# The special tokens that a tokenizer of a class has unless its files name others.
_CLASS_TOKENS = {
    **dict.fromkeys(("BertTokenizerFast", "ElectraTokenizerFast", "DistilBertTokenizerFast"), _BERT_TOKENS),
    "DebertaV2TokenizerFast": {**_BERT_TOKENS, "bos_token": "[CLS]", "eos_token": "[SEP]"},
    **dict.fromkeys(("RobertaTokenizerFast", "XLMRobertaTokenizerFast"), _ROBERTA_TOKENS),
    "MPNetTokenizerFast": {**_ROBERTA_TOKENS, "unk_token": "[UNK]"},
}
_WITHOUT_SEGMENTS = frozenset({
    "DistilBertTokenizerFast", "RobertaTokenizerFast", "XLMRobertaTokenizerFast", "MPNetTokenizerFast",
})  # fmt: skip
GENERIC_CLASS = "PreTrainedTokenizerFast"
EXTRA_TOKENS = Rule(lambda value: not value or TOKENS.holds(value), f"nothing, or {TOKENS.expected}")


def older_encoder_keys(config: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return an encoder's configuration with the keys of transformers 4; only ModernBERT has others in transformers 5.

    Args:
        config: configuration of the encoder.
        file: its name, for error messages.

    Raises:
        UnsafeRepositoryError: a key has an unexpected value, or contradicts the older key.
    """
    older = dict(config)
    if config.get("model_type") != "modernbert":
        return older
    found: dict[str, Any] = {}
    if (types := older.pop("layer_types", None)) is not None:
        found["global_attn_every_n_layers"] = _period(
            apply_rule(_LAYER_TYPES, types, f"{file}: layer_types"), config, file
        )
    if (ropes := older.pop("rope_parameters", None)) is not None:
        apply_rule(_ROPES, ropes, f"{file}: rope_parameters")
        for kind, rope in ropes.items():
            apply_rule(_ROPE, rope, f"{file}: rope_parameters.{kind}")
            if "rope_theta" in rope:
                found[_THETAS[kind]] = rope["rope_theta"]
    for key, value in found.items():
        if older.setdefault(key, value) != value:
            raise UnsafeRepositoryError(
                f"{file}: {key} is {shown(older[key])}, and its newer key says {shown(value)}; remove one of them"
            )
    if older.get("local_rope_theta", 0) is None and older.get("global_rope_theta") is not None:
        older["local_rope_theta"] = older["global_rope_theta"]  # what null means in transformers 4
    return older


def _period(types: list[str], config: Mapping[str, Any], file: str) -> int:
    """Return n such that every n-th layer, from the first, has full attention."""
    period = next((i for i, kind in enumerate(types) if i > 0 and kind == _FULL), len(types))
    expected = [_SLIDING if i % period else _FULL for i in range(len(types))]
    if types != expected or len(types) != config.get("num_hidden_layers", len(types)):
        raise UnsafeRepositoryError(
            f"{file}: layer_types is {shown(types)}; expected {_FULL} in every n-th of the num_hidden_layers layers, "
            f"from the first, and {_SLIDING} in the others"
        )
    return period


def older_tokenizer_keys(config: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return a tokenizer's configuration with the keys of transformers 4.

    Args:
        config: configuration of the tokenizer.
        file: its name, for error messages.

    Raises:
        UnsafeRepositoryError: a key has an unexpected value, or is there in both forms.
    """
    older = dict(config)
    if older.get("tokenizer_class") == "TokenizersBackend":
        older["tokenizer_class"] = GENERIC_CLASS
    # The id of the unknown token is part of tokenizer.json too, where it counts.
    apply_rule(optional(TOKEN_ID), older.pop("unk_id", None), f"{file}: unk_id")
    extra = apply_rule(EXTRA_TOKENS, older.pop("extra_special_tokens", None), f"{file}: extra_special_tokens")
    if extra:
        if older.get("additional_special_tokens"):
            raise UnsafeRepositoryError(
                f"{file}: additional_special_tokens and extra_special_tokens are both there; remove one of them"
            )
        older["additional_special_tokens"] = extra
    return older


def as_written(name: str, files: Mapping[str, bytes]) -> tuple[str, dict[str, bytes]]:
    """Return the class and the files with which transformers 5 uses a tokenizer.json as it is.

    The tokenizer classes of transformers 5 take only the vocabulary from tokenizer.json and build the other parts
    themselves, which changes the tokens of some texts: DebertaV2Tokenizer drops the map of characters, for example. The
    generic class uses the whole file, but does not know the special tokens of the classes.

    Args:
        name: tokenizer class, as ``read_tokenizer`` returns it.
        files: file name -> content, as ``read_tokenizer`` returns them; unchanged if there is no tokenizer.json.
    """
    if "tokenizer.json" not in files:
        return name, dict(files)
    config = json.loads(files["tokenizer_config.json"])
    named = config.keys() | json.loads(files.get("special_tokens_map.json", b"{}")).keys()
    defaults = {key: token for key, token in _CLASS_TOKENS.get(name, {}).items() if key not in named}
    segments = [] if name in _WITHOUT_SEGMENTS else ["token_type_ids"]
    inputs = {"model_input_names": ["input_ids", *segments, "attention_mask"]}
    written = json.dumps({**inputs, **defaults, **config, "tokenizer_class": GENERIC_CLASS}).encode()
    return GENERIC_CLASS, {**files, "tokenizer_config.json": written}
