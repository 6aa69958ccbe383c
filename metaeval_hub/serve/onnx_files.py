"""The folder of a model that was exported to ONNX, and what its config.json contains.

config.json      format, tasks with their class names, tokenizer settings, and the SHA-256 of the other files
model.onnx       the encoder, the adapters, the task embeddings and the classifiers, as one graph
tokenizer.json   the tokenizer
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from metaeval_hub.safe_files.names import class_names, task_name
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.repository import UnsafeRepositoryError, read_json

CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE = "config.json", "model.onnx", "tokenizer.json"
README_FILE = "README.md"
OWN_FILES = (CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE, README_FILE)
FORMAT = "metaeval-onnx"
FORMAT_VERSION = 1
WEIGHTS = ("float32", "int8")
_SIDES = ("left", "right")


@dataclass(frozen=True)
class OnnxRecord:
    """The content of config.json.

    Args:
        metaeval_version: version of the package that wrote the folder.
        base: id of the encoder, for readers.
        weights: "float32", or "int8" if the matrices are quantized.
        max_length: largest number of tokens of a text or pair.
        truncation_side: the side on which longer texts are cut.
        pad_id: id of the padding token.
        has_segments: whether the graph has the input ``token_type_ids``.
        labels: task name -> class names, in the order of the task ids.
        forms: task name -> 1 (a text) or 2 (a pair); tasks that accept both are missing.
        sha256: file -> SHA-256 of its content.
    """

    metaeval_version: str
    base: str
    weights: str
    max_length: int
    truncation_side: str
    pad_id: int
    has_segments: bool
    labels: Mapping[str, tuple[str, ...]]
    forms: Mapping[str, int] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, valid, expected in (
            ("metaeval_version", self.metaeval_version, isinstance(self.metaeval_version, str), "a string"),
            ("base", self.base, isinstance(self.base, str), "a string"),
            ("weights", self.weights, self.weights in WEIGHTS, f"one of {', '.join(WEIGHTS)}"),
            ("max_length", self.max_length, _is_whole(self.max_length, 1), "a whole number of at least 1"),
            ("truncation_side", self.truncation_side, self.truncation_side in _SIDES, "left or right"),
            ("pad_id", self.pad_id, _is_whole(self.pad_id, 0), "a whole number of at least 0"),
            ("has_segments", self.has_segments, isinstance(self.has_segments, bool), "true or false"),
            ("labels", self.labels, bool(self.labels), "at least one task"),
        ):
            if not valid:
                raise UnsafeRepositoryError(f"{CONFIG_FILE}: {name} is {shown(value)}; expected {expected}")
        for task, names in self.labels.items():
            class_names(task_name(task), names)

    def write(self, folder: Path) -> None:
        """Write config.json, with the SHA-256 of the other files of the folder."""
        digests = {name: digest(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE)}
        values = {name: value for name, value in asdict(self).items() if name not in ("labels", "forms", "sha256")}
        tasks = [
            {"name": task, "labels": list(names), **({"fields": self.forms[task]} if task in self.forms else {})}
            for task, names in self.labels.items()
        ]
        content = {"format": FORMAT, "format_version": FORMAT_VERSION, **values, "sha256": digests, "tasks": tasks}
        (folder / CONFIG_FILE).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_onnx_record(folder: Path) -> OnnxRecord:
    """Read config.json and compare the other files with their SHA-256.

    Raises:
        UnsafeRepositoryError: the folder is not an export of this package, or a file is missing or was changed.
    """
    if not (folder / CONFIG_FILE).is_file():
        raise UnsafeRepositoryError(
            f"{folder} contains no {CONFIG_FILE}; expected a folder that `metaeval export-onnx` wrote"
        )
    value = read_json(folder / CONFIG_FILE)
    if (value.get("format"), value.get("format_version")) != (FORMAT, FORMAT_VERSION):
        raise UnsafeRepositoryError(
            f"{CONFIG_FILE}: format is {shown(value.get('format'))} {shown(value.get('format_version'))}; this release "
            f"reads {FORMAT!r} {FORMAT_VERSION}; write the folder with `metaeval export-onnx`"
        )
    tasks = value.get("tasks")
    if not isinstance(tasks, list) or not all(
        isinstance(task, dict) and isinstance(task.get("name"), str) and isinstance(task.get("labels"), list)
        for task in tasks
    ):
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: tasks is not a list of objects with a name and labels")
    try:
        record = OnnxRecord(
            **{each.name: value[each.name] for each in fields(OnnxRecord) if each.name not in ("labels", "forms")},
            labels={task["name"]: tuple(task["labels"]) for task in tasks},
            forms={task["name"]: task["fields"] for task in tasks if task.get("fields") in (1, 2)},
        )
    except KeyError as error:
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: the key {error} is missing") from None
    except (TypeError, ValueError) as error:
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: {error}") from None
    for name in (MODEL_FILE, TOKENIZER_FILE):
        if not (folder / name).is_file():
            raise UnsafeRepositoryError(f"{folder} contains no {name}; export the model again")
        if not isinstance(record.sha256, Mapping) or digest(folder / name) != record.sha256.get(name):
            raise UnsafeRepositoryError(
                f"{name} is not the file that was exported: its SHA-256 differs from that in {CONFIG_FILE}; copy the "
                "folder again, or export the model again"
            )
    return record


def is_onnx_folder(folder: Path) -> bool:
    """Return whether a folder contains an exported model."""
    return (folder / MODEL_FILE).is_file() and (folder / CONFIG_FILE).is_file()


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        found = hashlib.sha256()
        while block := file.read(2**20):
            found.update(block)
    return found.hexdigest()


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31
