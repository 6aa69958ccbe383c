"""A model's folder on disk: what is in it, how it is written, and how it is read back with suspicion.

config.json        format, base encoder, conditioning, tasks with their class names
model.safetensors  the trained tensors: adapter, task embeddings, classifiers
tokenizer/         the encoder's tokenizer
encoder/           the encoder itself, where no one else keeps it
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from metaeval_hub.conditional.config import ConditionalConfig
from metaeval_hub.encoder import BaseEncoder
from metaeval_hub.gate import UnsafeRepositoryError, check_inside, check_keys, read_json

FORMAT = "metaeval-conditional-adapters"
FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FOLDER = "tokenizer"
ENCODER_FOLDER = "encoder"
MODEL_FILES = (
    CONFIG_FILE,
    WEIGHTS_FILE,
    *(f"{TOKENIZER_FOLDER}/*{ending}" for ending in (".json", ".txt", ".model")),
    f"{ENCODER_FOLDER}/config.json",
    f"{ENCODER_FOLDER}/model.safetensors",
)


@dataclass(frozen=True)
class ModelRecord:
    """The content of config.json.

    Args:
        base: the encoder.
        conditional: the conditioning.
        labels: task name -> class names, in the order of the task ids.
        metaeval_version: of the package that wrote it.
    """

    base: BaseEncoder
    conditional: ConditionalConfig
    labels: Mapping[str, tuple[str, ...]]
    metaeval_version: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "metaeval_version": self.metaeval_version,
            "base": self.base.to_dict(),
            "conditional": self.conditional.to_dict(),
            "tasks": [{"name": name, "labels": list(labels)} for name, labels in self.labels.items()],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ModelRecord:
        """Check and build.

        Raises:
            UnsafeRepositoryError: a key is missing, unknown or of the wrong type; the message names it.
        """
        check_keys(value, CONFIG_FILE)
        if value.get("format") != FORMAT:
            raise UnsafeRepositoryError(
                f"{CONFIG_FILE}: format is {value.get('format')!r}; expected {FORMAT!r} (is this a model of metaeval?)"
            )
        if value.get("format_version") != FORMAT_VERSION:
            raise UnsafeRepositoryError(
                f"{CONFIG_FILE}: format_version is {value.get('format_version')!r}; this release reads {FORMAT_VERSION}"
            )
        expect_keys(value, {"format", "format_version", "metaeval_version", "base", "conditional", "tasks"}, "")
        return cls(
            base=_base(value["base"]),
            conditional=_conditional(value["conditional"]),
            labels=_labels(value["tasks"]),
            metaeval_version=str(value["metaeval_version"]),
        )


def expect_keys(value: Any, keys: set[str], place: str) -> None:
    """Check that ``value`` is an object with just these keys.

    Raises:
        UnsafeRepositoryError: names what is missing and what is unknown.
    """
    where = f"{CONFIG_FILE}{': ' + place if place else ''}"
    if not isinstance(value, Mapping):
        raise UnsafeRepositoryError(f"{where} is a {type(value).__name__}; expected an object")
    missing, unknown = sorted(keys - set(value)), sorted(set(value) - keys)
    if missing or unknown:
        raise UnsafeRepositoryError(f"{where} lacks {missing or 'nothing'} and has unknown keys {unknown or 'none'}")


def _base(value: Any) -> BaseEncoder:
    expect_keys(value, {field.name for field in fields(BaseEncoder)}, "base")
    if value["kind"] not in ("hub", "package", "local"):
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: base.kind is {value['kind']!r}; expected hub, package or local")
    for key in ("id", "sha256"):
        if not isinstance(value[key], str):
            raise UnsafeRepositoryError(f"{CONFIG_FILE}: base.{key} is {value[key]!r}; expected a string")
    if value["revision"] is not None and not isinstance(value["revision"], str):
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: base.revision is {value['revision']!r}; expected a string or null")
    return BaseEncoder(**value)


def _conditional(value: Any) -> ConditionalConfig:
    expect_keys(value, {field.name for field in fields(ConditionalConfig)}, "conditional")
    try:
        return ConditionalConfig.from_dict(value)
    except (ValueError, TypeError) as error:
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: conditional: {error}") from error


def _labels(tasks: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(tasks, list) or not tasks:
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: tasks is not a list of at least one task")
    labels: dict[str, tuple[str, ...]] = {}
    for i, task in enumerate(tasks):
        expect_keys(task, {"name", "labels"}, f"tasks[{i}]")
        name, classes = task["name"], task["labels"]
        if not isinstance(name, str) or not name or name in labels:
            raise UnsafeRepositoryError(f"{CONFIG_FILE}: tasks[{i}].name is {name!r}; expected a name not used before")
        if not isinstance(classes, list) or not all(isinstance(label, str) for label in classes):
            raise UnsafeRepositoryError(f"{CONFIG_FILE}: tasks[{i}].labels is {classes!r}; expected a list of strings")
        labels[name] = tuple(classes)
    return labels


def write_record(folder: Path, record: ModelRecord) -> None:
    """Write config.json."""
    text = json.dumps(record.to_dict(), indent=1, ensure_ascii=False) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")


def read_record(folder: Path) -> ModelRecord:
    """Read and check config.json.

    Raises:
        UnsafeRepositoryError: it is missing or not of the expected form.
    """
    check_inside(folder)
    return ModelRecord.from_dict(read_json(folder / CONFIG_FILE))


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, from whatever device they are on."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def read_tensors(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read tensors, checked against those of a model before any of them is read.

    Args:
        path: a safetensors file.
        expected: the tensors that the configuration calls for; their names, shapes and types count.

    Raises:
        UnsafeRepositoryError: the file is missing or torn, or a name, shape, type or value is not as expected.
    """
    if not path.is_file():
        raise UnsafeRepositoryError(f"{path.name} is missing in {path.parent}")
    try:
        with safe_open(path, framework="pt") as file:
            _compare_names(path.name, set(file.keys()), set(expected))
            for name, tensor in expected.items():
                header = file.get_slice(name)
                shape, dtype = tuple(header.get_shape()), header.get_dtype()
                if shape != tuple(tensor.shape) or dtype != _SAFETENSORS_DTYPE.get(tensor.dtype):
                    raise UnsafeRepositoryError(
                        f"{path.name}: {name} is {dtype}{list(shape)}; its configuration calls for "
                        f"{_SAFETENSORS_DTYPE.get(tensor.dtype)}{list(tensor.shape)}"
                    )
            tensors = {name: file.get_tensor(name) for name in expected}
    except SafetensorError as error:
        raise UnsafeRepositoryError(f"{path.name} is not a whole safetensors file: {error}") from error
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise UnsafeRepositoryError(f"{path.name}: {name} holds values that are not finite")
    return tensors


_SAFETENSORS_DTYPE = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}


def _compare_names(file: str, found: set[str], expected: set[str]) -> None:
    missing, unknown = sorted(expected - found), sorted(found - expected)
    if missing or unknown:
        raise UnsafeRepositoryError(
            f"{file} does not fit its configuration: {len(missing)} tensors missing "
            f"({', '.join(missing[:3]) or 'none'}), {len(unknown)} unknown ({', '.join(unknown[:3]) or 'none'})"
        )
