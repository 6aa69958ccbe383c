"""Write and read the tensors of a model as safetensors files, which are checked before tensors are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from metaeval_hub.encoders.weights import all_finite
from metaeval_hub.model.tensor_names import current_name
from metaeval_hub.safe_files.printable import printable
from metaeval_hub.safe_files.repository import (
    UnsafeRepositoryError,
    read_header,
)


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Check that all weights are finite, because a model with other weights would be refused when it is loaded.

    Raises:
        ValueError: a tensor has NaN or infinite values; the message names the first one.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not all_finite(tensor):
            raise ValueError(
                f"{name} contains values that are not finite, so the predictions would be meaningless and the model "
                "is not stored; use an earlier checkpoint, or train with a lower learning rate"
            )


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors from any device to a safetensors file."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def read_tensors(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read a model's tensors after checking them against those that its configuration requires.

    Args:
        path: a safetensors file; names of earlier releases are translated.
        expected: the tensors that the configuration requires. Only their names, shapes and types are used, so they may
            be on the meta device.

    Raises:
        UnsafeRepositoryError: the file is missing or damaged, or a name, shape, type or value is not as expected.
    """
    header = read_header(path)
    stored = {name: old for old in header if (name := current_name(old)) is not None}
    _compare_names(path.name, set(stored), set(expected))
    for name, tensor in expected.items():
        dtype, shape = header[stored[name]]
        if shape != tuple(tensor.shape) or dtype != _SAFETENSORS_DTYPE.get(tensor.dtype):
            raise UnsafeRepositoryError(
                f"{path.name}: {name} is {dtype}{list(shape)}; its configuration calls for "
                f"{_SAFETENSORS_DTYPE.get(tensor.dtype)}{list(tensor.shape)}"
            )
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(stored[name]) for name in expected}
    for name, tensor in tensors.items():
        if not all_finite(tensor):
            raise UnsafeRepositoryError(f"{path.name}: {name} contains values that are not finite")
    return tensors


_SAFETENSORS_DTYPE = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def _compare_names(file: str, found: set[str], expected: set[str]) -> None:
    missing, unknown = sorted(expected - found), sorted(found - expected)
    if missing or unknown:
        raise UnsafeRepositoryError(
            f"{file} does not fit its configuration: {len(missing)} tensors missing ({_first(missing)}), "
            f"{len(unknown)} unknown ({_first(unknown)})"
        )


def _first(names: list[str]) -> str:
    return ", ".join(printable(name, 80) for name in names[:3]) or "none"
