"""What an encoder's folder may hold: its configuration and its tokenizer, checked key by key."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from metaeval_hub.gate import (
    UnsafeRepositoryError,
    apply_rule,
    check_file_names,
    check_inside,
    check_keys,
    parse_json,
    read_bytes,
    read_json,
    shown,
    unknown_key,
)
from metaeval_hub.gate_tables import (
    ATTENTION_KEYS,
    DANGEROUS_KEYS,
    ENCODER_DROPPED,
    ENCODER_FIXED,
    ENCODER_KEYS,
    KNOWN_PATTERNS,
    MAX_ADDED_TOKENS,
    MAX_PARTS,
    MAX_REPLACEMENT,
    MAX_TOKENS,
    MAX_WORD_CHARACTERS,
    NOTHING,
    SPECIAL_TOKENS,
    TOKENIZER_CLASSES,
    TOKENIZER_DROPPED,
    TOKENIZER_KEYS,
    TOKENIZER_OF,
    TOKENIZER_PARTS,
    is_token,
    is_whole,
)

# Encoders whose bottleneck places `adapters` knows and whose code is part of transformers.
MODEL_TYPES = frozenset(ENCODER_KEYS)
MAX_TOKENIZER_BYTES = 64 * 2**20  # a tokenizer.json of a large vocabulary has 10 to 35 MB


def check_encoder_config(config: Mapping[str, Any], file: str = "config.json") -> dict[str, Any]:
    """Check an encoder's configuration and return the part that builds the encoder, ready for transformers.

    Raises:
        UnsafeRepositoryError: names the file, and the key that is dangerous, unknown or out of bounds.
    """
    check_keys(config, file)
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
    """Read and check an encoder's configuration; return it with the class of its tokenizer where none is named there.

    Raises:
        UnsafeRepositoryError: a file or key is not among those that are safe.
    """
    check_inside(folder)
    check_file_names((path.name for path in folder.iterdir()), code=False)
    config = read_json(folder / "config.json")
    kept = check_encoder_config(config)
    return kept, config.get("tokenizer_class") or TOKENIZER_OF[kept["model_type"]]


def read_tokenizer(folder: Path, default_class: str | None = None) -> tuple[str, dict[str, bytes]]:
    """Read and check a tokenizer; return the name of its fast class and the files that make it, as checked.

    Args:
        folder: with tokenizer.json, or vocab.txt, or vocab.json and merges.txt.
        default_class: where tokenizer_config.json names none.

    Raises:
        UnsafeRepositoryError: names the file and the key.
    """
    check_inside(folder)
    check_file_names((path.name for path in folder.iterdir()), code=False)
    files: dict[str, bytes] = {}
    config: dict[str, Any] = {}
    if (folder / "tokenizer_config.json").exists():
        config = read_json(folder / "tokenizer_config.json")
    name = config.get("tokenizer_class") or default_class
    kept = check_tokenizer_config(config)
    if not isinstance(name, str) or name not in TOKENIZER_CLASSES:
        raise UnsafeRepositoryError(
            f"tokenizer_config.json: tokenizer_class is {shown(name)}; expected one of "
            f"{', '.join(sorted(TOKENIZER_CLASSES))}"
        )
    name = name if name.endswith("Fast") else f"{name}Fast"
    files["tokenizer_config.json"] = _dump({**kept, "tokenizer_class": name})
    if (folder / "special_tokens_map.json").exists():
        files["special_tokens_map.json"] = _dump(_special_tokens(read_json(folder / "special_tokens_map.json")))
    if (folder / "added_tokens.json").exists():
        added = read_json(folder / "added_tokens.json")
        _check_ids(added, "added_tokens.json", MAX_ADDED_TOKENS)
        files["added_tokens.json"] = _dump(added)
    if (folder / "tokenizer.json").exists():
        files["tokenizer.json"] = read_bytes(folder / "tokenizer.json", MAX_TOKENIZER_BYTES)
        check_tokenizer_json(parse_json(files["tokenizer.json"], "tokenizer.json"))
    elif (folder / "vocab.txt").exists():
        files["vocab.txt"] = read_bytes(folder / "vocab.txt")
    elif (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        files["vocab.json"], files["merges.txt"] = (read_bytes(folder / part) for part in ("vocab.json", "merges.txt"))
        _check_ids(parse_json(files["vocab.json"], "vocab.json"), "vocab.json", MAX_TOKENS)
    else:
        raise UnsafeRepositoryError(
            f"no tokenizer.json in {folder}, nor vocab.txt, nor vocab.json with merges.txt; save the tokenizer with a "
            "fast class to have one"
        )
    return name, files


def check_tokenizer_config(config: Mapping[str, Any], file: str = "tokenizer_config.json") -> dict[str, Any]:
    """Check a tokenizer's configuration and return the part that is used.

    Raises:
        UnsafeRepositoryError: names the file and the key.
    """
    check_keys({key: value for key, value in config.items() if key != "added_tokens_decoder"}, file)
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if key in TOKENIZER_KEYS:
            kept[key] = apply_rule(TOKENIZER_KEYS[key], value, f"{file}: {key}")
        elif key == "extra_special_tokens":  # would become attributes of the tokenizer
            apply_rule(NOTHING, value, f"{file}: {key}")
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


def _check_ids(table: Any, place: str, most: int) -> None:
    if not isinstance(table, Mapping) or len(table) > most:
        raise UnsafeRepositoryError(f"{place} is not a table of at most {most:,} tokens")
    for token, number in table.items():
        if not is_whole(number, 0, MAX_TOKENS):
            raise UnsafeRepositoryError(
                f"{place}: {shown(token)} is {shown(number)}; expected a whole number in 0..{MAX_TOKENS}"
            )


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


def check_tokenizer_json(value: Mapping[str, Any], file: str = "tokenizer.json") -> None:
    """Check a fast tokenizer's file: known parts only, and none that makes a text grow or searches it without end.

    Raises:
        UnsafeRepositoryError: names the file and the part.
    """
    known = {"version", "truncation", "padding", "added_tokens", *TOKENIZER_PARTS}  # the first three are not used
    for key in value:
        if key not in known:
            raise unknown_key(file, key)
    added = value.get("added_tokens") or []
    if not isinstance(added, list) or len(added) > MAX_ADDED_TOKENS:
        raise UnsafeRepositoryError(f"{file}: added_tokens is not a list of at most {MAX_ADDED_TOKENS:,} tokens")
    for i, token in enumerate(added):
        if not isinstance(token, Mapping) or not is_token(token):
            raise UnsafeRepositoryError(f"{file}: added_tokens[{i}] is {shown(token)}; expected a short token")
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        _check_part(value.get(part), part, file)
    _check_model(value.get("model"), file)


def _check_part(value: Any, part: str, file: str) -> None:
    if value is None:
        return
    growth = 1
    for count, (place, inner) in enumerate(_parts(value, part, file), 1):
        kind = inner.get("type")
        if not isinstance(kind, str) or kind not in TOKENIZER_PARTS[part]:
            raise UnsafeRepositoryError(
                f"{file}: {place}.type is {shown(kind)}; expected one of {', '.join(sorted(TOKENIZER_PARTS[part]))}"
            )
        pattern = inner.get("pattern")
        if isinstance(pattern, Mapping) and "Regex" in pattern and pattern["Regex"] not in KNOWN_PATTERNS:
            raise UnsafeRepositoryError(
                f"{file}: {place}.pattern.Regex is {shown(pattern['Regex'])}, not a pattern of a known tokenizer; "
                "another could run for ever on some text"
            )
        added = inner.get("content") if kind == "Replace" else inner.get("prepend") if kind == "Prepend" else None
        growth *= max(1, len(added)) if isinstance(added, str) else 1
        if kind == "Precompiled":
            growth *= _longest_replacement(inner.get("precompiled_charsmap"), f"{file}: {place}")
        if growth > MAX_REPLACEMENT or count > MAX_PARTS:
            raise UnsafeRepositoryError(
                f"{file}: {place} makes a text grow by more than {MAX_REPLACEMENT} times, or is one of more than "
                f"{MAX_PARTS} parts"
            )


def _longest_replacement(charsmap: Any, place: str) -> int:
    """Return the length in bytes of the longest string that a map of characters puts in place of one.

    Its form is that of SentencePiece: the size of a trie in 4 bytes, the trie, strings that end in NUL.
    """
    try:
        content = base64.b64decode(charsmap, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise UnsafeRepositoryError(f"{place}.precompiled_charsmap is not in base64: {error}") from error
    strings = content[4 + int.from_bytes(content[:4], "little") :]
    return max(1, *(len(string) for string in strings.split(b"\0")))


def _parts(value: Any, place: str, file: str, depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(value, Mapping) or depth > 4:
        raise UnsafeRepositoryError(f"{file}: {place} is {shown(value)}; expected a part with a type")
    yield place, value
    for key in ("normalizers", "pretokenizers", "processors", "decoders"):
        inner = value.get(key, [])
        if not isinstance(inner, list):
            raise UnsafeRepositoryError(f"{file}: {place}.{key} is {shown(inner)}; expected a list")
        for i, item in enumerate(inner):
            yield from _parts(item, f"{place}.{key}[{i}]", file, depth + 1)
    for key in ("single", "pair"):  # the template of a post-processor, which adds tokens to every text
        if isinstance(value.get(key), list) and len(value[key]) > MAX_PARTS:
            raise UnsafeRepositoryError(f"{file}: {place}.{key} has more than {MAX_PARTS} pieces")
    special = value.get("special_tokens", {})
    for name, token in special.items() if isinstance(special, Mapping) else ():
        if isinstance(token, Mapping) and isinstance(token.get("ids"), list) and len(token["ids"]) > MAX_PARTS:
            raise UnsafeRepositoryError(f"{file}: {place}.special_tokens.{shown(name)} has more than {MAX_PARTS} ids")


def _check_model(model: Any, file: str) -> None:
    if not isinstance(model, Mapping):
        raise UnsafeRepositoryError(f"{file}: model is {shown(model)}; expected an object")
    kind = model.get("type")
    if kind is not None and kind not in TOKENIZER_PARTS["model"]:
        raise UnsafeRepositoryError(
            f"{file}: model.type is {shown(kind)}; expected one of {', '.join(sorted(TOKENIZER_PARTS['model']))}"
        )
    if isinstance(model.get("vocab"), list):  # of pairs (token, score), the id is the place
        odd = next((pair for pair in model["vocab"] if not isinstance(pair, list) or len(pair) != 2), None)
        if odd is not None or len(model["vocab"]) > MAX_TOKENS:
            raise UnsafeRepositoryError(
                f"{file}: model.vocab is not a list of at most {MAX_TOKENS:,} tokens and scores"
            )
    else:
        _check_ids(model.get("vocab"), f"{file}: model.vocab", MAX_TOKENS)
    longest = model.get("max_input_chars_per_word", 100)
    if not is_whole(longest, 1, MAX_WORD_CHARACTERS):
        raise UnsafeRepositoryError(
            f"{file}: model.max_input_chars_per_word is {shown(longest)}; expected 1..{MAX_WORD_CHARACTERS}"
        )
    if model.get("dropout"):
        raise UnsafeRepositoryError(f"{file}: model.dropout is {shown(model['dropout'])}; expected none")
