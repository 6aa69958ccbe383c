"""Check the configuration and the tokenizer in an encoder's folder, key by key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from metaeval_hub.safe_files.allowed_values import (
    ATTENTION_KEYS,
    DANGEROUS_KEYS,
    ENCODER_DROPPED,
    ENCODER_FIXED,
    ENCODER_KEYS,
    MAX_ADDED_TOKENS,
    MAX_TOKENS,
    SPECIAL_TOKENS,
    TOKENIZER_CLASSES,
    TOKENIZER_DROPPED,
    TOKENIZER_KEYS,
    TOKENIZER_OF,
)
from metaeval_hub.safe_files.newer_keys import older_encoder_keys, older_tokenizer_keys
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.repository import (
    UnsafeRepositoryError,
    apply_rule,
    check_file_names,
    check_inside,
    check_keys,
    parse_json,
    read_bytes,
    read_json,
    unknown_key,
)
from metaeval_hub.safe_files.tokenizer_files import BERT_GROWTH, check_ids, check_tokenizer_json

# Encoders that adapters can be attached to and whose code is part of transformers.
MODEL_TYPES = frozenset(ENCODER_KEYS)
MAX_ADDED_BYTES = 2**21  # maximum bytes of added tokens: searching for them takes 100 bytes of memory for each
MAX_TOKENIZER_BYTES = 64 * 2**20  # a tokenizer.json with a large vocabulary has 10 to 35 MB


def check_encoder_config(config: Mapping[str, Any], file: str = "config.json") -> dict[str, Any]:
    """Check an encoder's configuration and return the part that builds the encoder, with the keys of transformers 4.

    Args:
        config: the content of the file.
        file: its name, for error messages.

    Raises:
        UnsafeRepositoryError: a key is dangerous, unknown or out of bounds; the message names the file and the key.
    """
    check_keys(config, file)
    config = older_encoder_keys(config, file)
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in MODEL_TYPES:
        raise UnsafeRepositoryError(
            f"{file}: model_type is {shown(kind)}; expected one of {', '.join(sorted(MODEL_TYPES))}"
        )
    rules, kept = ENCODER_KEYS[kind], {"model_type": kind}
    for key, value in config.items():
        if key in rules:
            kept[key] = apply_rule(rules[key], value, f"{file}: {key}")
        elif key in ENCODER_FIXED:
            apply_rule(ENCODER_FIXED[key], value, f"{file}: {key}")
        elif key != "model_type" and key not in ENCODER_DROPPED | DANGEROUS_KEYS | ATTENTION_KEYS:
            raise unknown_key(file, key)
    return kept


def read_encoder_config(folder: Path) -> tuple[dict[str, Any], str]:
    """Read and check an encoder's configuration; return it with the tokenizer class of encoders of this type.

    Args:
        folder: folder of the encoder. If its configuration names a tokenizer class, that class is returned.

    Raises:
        UnsafeRepositoryError: a file or key is not known to be safe.
    """
    check_inside(folder)
    check_file_names((path.name for path in folder.iterdir()), code=False)
    config = read_json(folder / "config.json")
    kept = check_encoder_config(config)
    return kept, config.get("tokenizer_class") or TOKENIZER_OF[kept["model_type"]]


def read_tokenizer(folder: Path, default_class: str | None = None) -> tuple[str, dict[str, bytes]]:
    """Read and check a tokenizer; return the name of its fast class and its checked files: name -> content.

    Args:
        folder: folder that contains tokenizer.json, or vocab.txt, or vocab.json and merges.txt.
        default_class: the class if tokenizer_config.json names none.

    Raises:
        UnsafeRepositoryError: a file or key is not known to be safe; the message names it.
    """
    check_inside(folder)
    check_file_names((path.name for path in folder.iterdir()), code=False)
    config: dict[str, Any] = {}
    if (folder / "tokenizer_config.json").exists():
        config = read_json(folder / "tokenizer_config.json")
    kept = check_tokenizer_config(config)
    name = older_tokenizer_keys(config, "tokenizer_config.json").get("tokenizer_class") or default_class
    if not isinstance(name, str) or name not in TOKENIZER_CLASSES:
        raise UnsafeRepositoryError(
            f"tokenizer_config.json: tokenizer_class is {shown(name)}; expected one of "
            f"{', '.join(sorted(TOKENIZER_CLASSES))}"
        )
    name = name if name.endswith("Fast") else f"{name}Fast"
    files = {"tokenizer_config.json": _dump({**kept, "tokenizer_class": name})}
    tokens = [*_contents([kept.get(key) for key in SPECIAL_TOKENS]), *_contents(kept.get("added_tokens_decoder", {}))]
    if (folder / "special_tokens_map.json").exists():
        special = _special_tokens(read_json(folder / "special_tokens_map.json"))
        files["special_tokens_map.json"] = _dump(special)
        tokens += _contents(special)
    if (folder / "added_tokens.json").exists():
        added = read_json(folder / "added_tokens.json")
        check_ids(added, "added_tokens.json", MAX_ADDED_TOKENS)
        files["added_tokens.json"] = _dump(added)
        tokens += added
    _check_added(tokens, _read_vocabulary(folder, files, tokens))
    return name, files


def _read_vocabulary(folder: Path, files: dict[str, bytes], tokens: list[str]) -> float:
    """Read and check the files with the vocabulary; add them to ``files``, and their added tokens to ``tokens``.

    Returns:
        The maximum number of bytes with which the normalizer replaces one byte.
    """
    if (folder / "tokenizer.json").exists():
        files["tokenizer.json"] = read_bytes(folder / "tokenizer.json", MAX_TOKENIZER_BYTES)
        value = parse_json(files["tokenizer.json"], "tokenizer.json")
        growth = check_tokenizer_json(value)
        tokens += _contents(value.get("added_tokens"))
        return growth
    if (folder / "vocab.txt").exists():
        files["vocab.txt"] = _read_lines(folder / "vocab.txt")
    elif (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        files["vocab.json"], files["merges.txt"] = read_bytes(folder / "vocab.json"), _read_lines(folder / "merges.txt")
        check_ids(parse_json(files["vocab.json"], "vocab.json"), "vocab.json", MAX_TOKENS)
    else:
        raise UnsafeRepositoryError(
            f"no tokenizer.json in {folder}, nor vocab.txt, nor vocab.json with merges.txt; save the tokenizer with a "
            "fast class to have one"
        )
    return BERT_GROWTH  # that of the normalizer that transformers adds, if any


def _read_lines(path: Path) -> bytes:
    content = read_bytes(path)
    if content.count(b"\n") > MAX_TOKENS:
        raise UnsafeRepositoryError(f"{path.name} has more than {MAX_TOKENS:,} lines")
    return content


def _contents(value: Any) -> list[str]:
    """Return the texts of checked tokens in a list or table."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [value["content"]] if isinstance(value.get("content"), str) else _contents(list(value.values()))
    return [token for each in value or () for token in _contents(each)]


def _check_added(tokens: Iterable[str], growth: float) -> None:
    """Check that the normalized added tokens are small enough for the automaton that searches for all of them."""
    size = growth * sum(len(token.encode("utf-8", "surrogatepass")) for token in tokens)
    if size > MAX_ADDED_BYTES:
        raise UnsafeRepositoryError(
            f"the tokenizer adds tokens that come to {size:,.0f} bytes when normalized; expected at most "
            f"{MAX_ADDED_BYTES:,}"
        )


def check_tokenizer_config(config: Mapping[str, Any], file: str = "tokenizer_config.json") -> dict[str, Any]:
    """Check a tokenizer's configuration and return the part that is used, with the keys of transformers 4.

    Args:
        config: the content of the file.
        file: its name, for error messages.

    Raises:
        UnsafeRepositoryError: a key is not known to be safe; the message names the file and the key.
    """
    check_keys({key: value for key, value in config.items() if key != "added_tokens_decoder"}, file)
    config = older_tokenizer_keys(config, file)
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if key in TOKENIZER_KEYS:
            kept[key] = apply_rule(TOKENIZER_KEYS[key], value, f"{file}: {key}")
        elif key not in TOKENIZER_DROPPED | DANGEROUS_KEYS | ATTENTION_KEYS:
            raise unknown_key(file, key)
    for key in SPECIAL_TOKENS.keys() & kept.keys():
        kept[key] = _plain_token(kept[key], marked=True)
    if "added_tokens_decoder" in kept:
        kept["added_tokens_decoder"] = {
            key: _plain_token(token, marked=False) for key, token in kept["added_tokens_decoder"].items()
        }
    return kept


def _special_tokens(value: Mapping[str, Any]) -> dict[str, Any]:
    file = "special_tokens_map.json"
    for key, token in value.items():
        if key not in SPECIAL_TOKENS:
            raise unknown_key(file, key)
        apply_rule(SPECIAL_TOKENS[key], token, f"{file}: {key}")
    return {key: _plain_token(token, marked=False) for key, token in value.items()}


def _plain_token(token: Any, *, marked: bool) -> Any:
    if isinstance(token, list):
        return [_plain_token(item, marked=marked) for item in token]
    if not isinstance(token, Mapping):
        return token
    plain = {key: value for key, value in token.items() if key not in ("__type", "id")}
    return {"__type": "AddedToken", **plain} if marked else plain


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()
