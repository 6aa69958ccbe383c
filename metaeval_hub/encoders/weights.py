"""An encoder's modules and weights: build, read with checks, digest, and write."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import MODEL_MAPPING, AutoConfig

from metaeval_hub.safe_files.repository import (
    UnsafeRepositoryError,
    check_tensor,
    find_weights,
    read_header,
)

# Encoders that would otherwise come with a pooler: a trained layer that the classifiers do not read.
_WITH_POOLER = frozenset({"bert", "roberta", "xlm-roberta"})


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Let only errors through a library's logger, because the caller checks or knows the rest."""

    # A filter, because raising the level of its logger makes transformers log more, not less.
    def only_errors(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    logger = logging.getLogger(name)
    logger.addFilter(only_errors)
    try:
        yield
    finally:
        logger.removeFilter(only_errors)


# transformers turns weight initialization off for all threads while it builds one model.
_BUILDING = threading.RLock()


@contextmanager
def building(seed: int | None = None) -> Iterator[None]:
    """Build modules in one thread at a time, with random numbers from ``seed``; the caller's generator is unchanged."""
    with _BUILDING, torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        yield


def all_finite(tensor: torch.Tensor) -> bool:
    """Return whether a tensor contains neither NaN nor an infinity."""
    # Check the sum first: it is five times cheaper and propagates NaN and Inf. A finite sum can overflow, hence the
    # exact check.
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of an encoder's weights, with their names, types and shapes, in the order of the names.

    Weights in half precision are converted to float32, the dtype in which an encoder is always loaded.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        tensor = tensor.float() if tensor.is_floating_point() else tensor
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_configuration(folder: Path, config: dict[str, Any]) -> None:
    """Write an encoder's configuration as transformers reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def save_encoder(folder: Path, config: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
    """Write an encoder's configuration and weights as transformers reads them."""
    save_configuration(folder, config)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def longest_input(config: Any) -> int:
    """Return the largest number of tokens that an encoder accepts, from its transformers configuration."""
    if "roberta" not in config.model_type:
        return int(config.max_position_embeddings)
    # RoBERTa counts positions from pad_token_id + 1.
    return int(config.max_position_embeddings) - config.pad_token_id - 1


def build_module(config: dict[str, Any], device: str) -> Any:
    """Build an encoder whose weights are filled in later.

    Raises:
        UnsafeRepositoryError: the values of the configuration contradict each other.
    """
    options: dict[str, Any] = {"add_pooling_layer": False} if config["model_type"] in _WITH_POOLER else {}
    if config["model_type"] == "modernbert":
        config = {**config, "reference_compile": False}  # otherwise it may start a compiler
    try:
        settings = AutoConfig.for_model(**config)
        kind: Any = MODEL_MAPPING[type(settings)]
        # Naming an attention that transformers does not offer for a type is an error.
        settings._attn_implementation = "sdpa" if kind._supports_sdpa else "eager"
        with torch.device(device):
            return kind._from_config(settings, dtype=torch.float32, **options)
    except (ValueError, TypeError, KeyError, AssertionError, ArithmeticError, RuntimeError) as error:
        raise UnsafeRepositoryError(f"config.json describes no {config['model_type']} encoder: {error}") from error


def locate_tensors(config: dict[str, Any], folder: Path) -> dict[str, tuple[Path, str]]:
    """Find each of an encoder's tensors in its files, by their headers: name -> (file, name in the file).

    Raises:
        UnsafeRepositoryError: a tensor does not have the shape that the configuration requires, or is missing.
    """
    files = find_weights(folder)
    headers = {path: read_header(path) for path in set(files.values())}
    module = build_module(config, "meta")
    prefix = f"{module.base_model_prefix}."
    placed: dict[str, tuple[Path, str]] = {}
    missing = []
    for name, tensor in module.state_dict().items():
        # BERT's first releases call the parameters of a LayerNorm gamma and beta
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        stored = next((key for key in (name, prefix + name, old, prefix + old) if key in files), None)
        if stored is None:
            missing.append(name)
            continue
        path = files[stored]
        check_tensor(path.name, stored, headers[path][stored], tuple(tensor.shape))
        placed[name] = (path, stored)
    if missing:
        raise UnsafeRepositoryError(
            f"the weights lack {len(missing)} tensors that a {config['model_type']} encoder has, such as "
            f"{missing[0]}; without them they would be random"
        )
    return placed


@torch.no_grad()
def fill_module(module: Any, weights: dict[str, tuple[Path, str]]) -> None:
    """Copy checked tensors from their files into a module.

    Raises:
        UnsafeRepositoryError: a tensor has another shape than the module's, or is not finite.
    """
    state = module.state_dict()
    for path in sorted({path for path, _ in weights.values()}):
        with safe_open(path, framework="pt") as file:
            for name, (place, stored) in weights.items():
                if place != path:
                    continue
                tensor = file.get_tensor(stored)
                check_tensor(path.name, stored, ("F32", tuple(tensor.shape)), tuple(state[name].shape))
                state[name].copy_(tensor)
                if not all_finite(state[name]):
                    raise UnsafeRepositoryError(f"{path.name}: {stored} contains values that are not finite")
