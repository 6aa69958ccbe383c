"""What may be read from a repository: JSON of a known form and safetensors, never anything that runs.

Every configuration passes here before transformers sees it, because the releases of transformers that `adapters`
allows act on keys of a configuration file that name code on the Hub, whatever ``trust_remote_code`` says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# Encoders whose bottleneck places `adapters` knows and whose code is part of transformers.
MODEL_TYPES = frozenset({"bert", "roberta", "xlm-roberta", "distilbert", "electra", "deberta-v2", "modernbert"})
TOKENIZER_CLASSES = frozenset(
    name + suffix
    for name in (
        "BertTokenizer",
        "RobertaTokenizer",
        "XLMRobertaTokenizer",
        "DistilBertTokenizer",
        "ElectraTokenizer",
        "DebertaV2Tokenizer",
        "PreTrainedTokenizer",
        "MPNetTokenizer",
    )
    for suffix in ("", "Fast")
)
ATTENTION_KEYS = frozenset({"attn_implementation", "_attn_implementation", "_attn_implementation_internal"})
SAFE_ATTENTION = (None, "eager", "sdpa")
FORBIDDEN_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_pipelines", "use_kernels", "kernel_config"})
MAX_JSON_BYTES = 64 * 2**20  # a tokenizer.json of a large vocabulary has about 20 MB
MAX_DEPTH = 32
_SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors")


class UnsafeRepositoryError(ValueError):
    """A folder or repository holds something that this package refuses to load."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UnsafeRepositoryError: the file is missing, too large, not JSON, or not an object.
    """
    if not path.is_file():
        raise UnsafeRepositoryError(f"{path.name} is missing in {path.parent}")
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise UnsafeRepositoryError(f"{path.name} has {size:,} bytes; at most {MAX_JSON_BYTES:,} are read")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UnsafeRepositoryError(f"{path.name} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise UnsafeRepositoryError(f"{path.name} holds a {type(value).__name__}; expected an object")
    return value


def walk(value: Any, trail: str = "", depth: int = 0) -> Iterator[tuple[str, str, Any]]:
    """Yield (place, key, value) of every key at any depth.

    Raises:
        UnsafeRepositoryError: the nesting is deeper than any real configuration's.
    """
    if depth > MAX_DEPTH:
        raise UnsafeRepositoryError(f"nested deeper than {MAX_DEPTH} levels at {trail[:80]!r}")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            place = f"{trail}.{key}" if trail else str(key)
            yield place, str(key), inner
            yield from walk(inner, place, depth + 1)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from walk(inner, f"{trail}[{i}]", depth + 1)


def check_keys(config: Mapping[str, Any], file: str) -> None:
    """Refuse keys that make a library fetch or run code.

    Raises:
        UnsafeRepositoryError: names the file, the key and its value.
    """
    for place, key, value in walk(config):
        refused = key in FORBIDDEN_KEYS and value not in (None, False)
        refused |= key in ATTENTION_KEYS and value not in SAFE_ATTENTION
        if refused:
            raise UnsafeRepositoryError(
                f"{file}: {place} = {value!r} could make a library run code from elsewhere; remove the key to load this"
            )


def check_encoder_folder(folder: Path) -> dict[str, Any]:
    """Check an encoder's folder, file by file, and return its configuration.

    Raises:
        UnsafeRepositoryError: a file, key, model type or tokenizer class is not among those that are safe.
    """
    check_inside(folder)
    config = read_json(folder / "config.json")
    check_keys(config, "config.json")
    if config.get("model_type") not in MODEL_TYPES:
        raise UnsafeRepositoryError(
            f"config.json: model_type is {config.get('model_type')!r}; expected one of {', '.join(sorted(MODEL_TYPES))}"
        )
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        if (folder / name).exists():
            check_tokenizer_config(read_json(folder / name), name)
    check_shards(folder)
    return config


def check_tokenizer_config(config: Mapping[str, Any], file: str) -> None:
    """Refuse tokenizer classes outside transformers' own fast and plain ones.

    Raises:
        UnsafeRepositoryError: names the class.
    """
    check_keys(config, file)
    name = config.get("tokenizer_class")
    if name is not None and name not in TOKENIZER_CLASSES:
        raise UnsafeRepositoryError(
            f"{file}: tokenizer_class is {name!r}; expected one of {', '.join(sorted(TOKENIZER_CLASSES))}"
        )


def check_shards(folder: Path) -> None:
    """Check that weights come as safetensors and that an index of shards names only files beside it.

    Raises:
        UnsafeRepositoryError: there are no safetensors, or a shard's name is a path.
    """
    index = folder / "model.safetensors.index.json"
    if index.exists():
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict) or not all(isinstance(shard, str) for shard in shards.values()):
            raise UnsafeRepositoryError(f"{index.name}: weight_map is not a table of file names")
        for shard in sorted(set(shards.values())):
            if not _SHARD_NAME.fullmatch(shard):
                raise UnsafeRepositoryError(f"{index.name}: {shard!r} is not the name of a safetensors file beside it")
            if not (folder / shard).is_file():
                raise UnsafeRepositoryError(f"{index.name} names {shard}, which is missing")
    elif not (folder / "model.safetensors").is_file():
        found = sorted(p.name for p in folder.iterdir() if p.suffix in {".bin", ".pt", ".pth", ".h5", ".msgpack"})
        raise UnsafeRepositoryError(
            f"no model.safetensors in {folder}"
            + (f" (found {', '.join(found)}, which can hold code)" if found else "")
            + "; convert the weights with save_pretrained(..., safe_serialization=True)"
        )


def check_inside(folder: Path) -> None:
    """Refuse links that leave the folder; those of a Hub cache lead to the blobs of the same repository.

    Raises:
        UnsafeRepositoryError: names the link.
    """
    if not folder.is_dir():
        raise UnsafeRepositoryError(f"{folder} is not a folder")
    # <cache>/models--org--name/snapshots/<commit>[/subfolder], its files links into models--org--name/blobs
    cached = [parent.parent for parent in list(folder.parents)[:2] if parent.name == "snapshots"]
    root = (cached[0] if cached else folder).resolve()
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise UnsafeRepositoryError(f"{path.relative_to(folder)} is a link out of the folder")
