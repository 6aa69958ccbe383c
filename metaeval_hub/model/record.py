"""The record of a model, which config.json contains; it is checked when it is written and when it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch

from metaeval_hub.conditional.config import OPTIONAL_FIELDS, ConditionalConfig
from metaeval_hub.encoders.base import BaseEncoder
from metaeval_hub.hub.names import looks_like_repo_id
from metaeval_hub.safe_files.allowed_values import is_number, is_whole, one_of
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.repository import (
    MAX_JSON_BYTES,
    UnsafeRepositoryError,
    apply_rule,
    check_file_names,
    check_inside,
    check_keys,
    check_label,
    check_name,
    read_json,
)
from metaeval_hub.task_data.origins import TaskOrigin

FORMAT = "metaeval-conditional-adapters"
FORMAT_VERSION = 1
MODEL_TYPE = "metaeval"  # by which AutoConfig of transformers finds the class
CONFIG_FILE = "config.json"
# Maximum of any whole number in a configuration. The size of the weights file limits their product.
MAX_WHOLE = 2**20
MAX_TASKS = 100_000
# Maximum of the number of tasks times the largest number of classes: entries in the table of label vectors.
MAX_TABLE = 2**25
DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16,
}  # fmt: skip
_COMMIT = re.compile("[0-9a-f]{40}")
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class ModelRecord:
    """The content of config.json.

    Args:
        base: the encoder.
        conditional: the conditioning.
        labels: task name -> class names, in the order of the task ids.
        metaeval_version: version of the package that wrote the record.
        fields: task name -> 1 (a text) or 2 (a pair); tasks whose form is not known are missing.
        origins: task name -> where its rows came from; tasks whose origin is not known are missing.
        dtype: dtype of all weights, one of ``DTYPES``.
        label_vectors: task name -> name of the label vector of each class; tasks that share none are missing.
        frozen: the tasks whose classifiers read the encoder without adapters.
        layered: the tasks whose classifiers read all layers.
    """

    base: BaseEncoder
    conditional: ConditionalConfig
    labels: Mapping[str, tuple[str, ...]]
    metaeval_version: str
    fields: Mapping[str, int] = field(default_factory=dict)
    origins: Mapping[str, TaskOrigin] = field(default_factory=dict)
    dtype: str = "float32"
    label_vectors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    frozen: frozenset[str] = frozenset()
    layered: frozenset[str] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of config.json."""
        return {
            "model_type": MODEL_TYPE,
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "metaeval_version": self.metaeval_version,
            "dtype": self.dtype,
            "base": self.base.to_dict(),
            "conditional": self.conditional.to_dict(),
            "tasks": [self._task(name) for name in self.labels],
        }

    def _task(self, name: str) -> dict[str, Any]:
        known: dict[str, Any] = {"label_vectors": list(self.label_vectors[name])} if name in self.label_vectors else {}
        if name in self.fields:
            known["fields"] = self.fields[name]
        if name in self.origins:
            known["origin"] = self.origins[name].to_dict()
        if name in self.frozen:
            known["encoder"] = "frozen"
        if name in self.layered:
            known["layers"] = "all"
        return {"name": name, "labels": list(self.labels[name]), **known}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ModelRecord:
        """Check the content of config.json and return the record.

        Raises:
            UnsafeRepositoryError: a key is missing, unknown or of the wrong type; the message names it.
        """
        check_keys(value, CONFIG_FILE)
        if value.get("format") != FORMAT:
            raise UnsafeRepositoryError(
                f"{CONFIG_FILE}: format is {shown(value.get('format'))}; expected {FORMAT!r} (is this a model of "
                "metaeval?)"
            )
        if value.get("format_version") != FORMAT_VERSION:
            raise UnsafeRepositoryError(
                f"{CONFIG_FILE}: format_version is {shown(value.get('format_version'))}; this release reads "
                f"{FORMAT_VERSION}"
            )
        required = {"format", "format_version", "metaeval_version", "base", "conditional", "tasks"}
        expect_keys(value, required, "", {"dtype", "model_type"})
        apply_rule(one_of(MODEL_TYPE), value.get("model_type", MODEL_TYPE), f"{CONFIG_FILE}: model_type")
        return cls(
            base=_base(value["base"]),
            conditional=_conditional(value["conditional"]),
            labels=_labels(value["tasks"]),
            metaeval_version=check_name(value["metaeval_version"], f"{CONFIG_FILE}: metaeval_version"),
            fields=_fields(value["tasks"]),
            origins=_origins(value["tasks"]),
            label_vectors=_label_vectors(value["tasks"]),
            frozen=_marked(value["tasks"], "encoder", "frozen"),
            layered=_marked(value["tasks"], "layers", "all"),
            dtype=apply_rule(one_of(*DTYPES), value.get("dtype", "float32"), f"{CONFIG_FILE}: dtype"),
        )


def expect_keys(value: Any, keys: set[str], place: str, optional: Collection[str] = ()) -> None:
    """Check that a value of config.json is an object with the expected keys.

    Args:
        value: the value.
        keys: keys that it must have.
        place: where the value is in config.json, for the error message; "" is the whole file.
        optional: keys that it may have.

    Raises:
        UnsafeRepositoryError: it is not an object, or a key is missing or unknown; the message names the key.
    """
    where = f"{CONFIG_FILE}{': ' + place if place else ''}"
    if not isinstance(value, Mapping):
        raise UnsafeRepositoryError(f"{where} is a {type(value).__name__}; expected an object")
    missing, unknown = sorted(keys - set(value)), sorted(set(value) - keys - set(optional))
    if missing:
        raise UnsafeRepositoryError(f"{where}: missing key {shown(missing[0])}; save the model again")
    if unknown:
        more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        raise UnsafeRepositoryError(f"{where}: unknown key {shown(unknown[0])}{more}; remove it or upgrade metaeval")


def _base(value: Any) -> BaseEncoder:
    expect_keys(value, {field.name for field in fields(BaseEncoder)}, "base")
    kind, name, revision, sha256 = (value[key] for key in ("kind", "id", "revision", "sha256"))
    if kind not in ("hub", "package", "local"):
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: base.kind is {shown(kind)}; expected hub, package or local")
    check_name(name, f"{CONFIG_FILE}: base.id")
    if kind == "hub" and not looks_like_repo_id(name):
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: base.id is {shown(name)}; expected a Hub id, such as 'org/name'")
    if kind == "hub" and not (isinstance(revision, str) and _COMMIT.fullmatch(revision)):
        raise UnsafeRepositoryError(
            f"{CONFIG_FILE}: base.revision is {shown(revision)}; expected the full id of a commit, 40 hex digits: a "
            "branch or tag could be moved to other weights"
        )
    if revision is not None:
        check_name(revision, f"{CONFIG_FILE}: base.revision")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: base.sha256 is {shown(sha256)}; expected 64 hex digits")
    return BaseEncoder(**value)


def _conditional(value: Any) -> ConditionalConfig:
    hints = get_type_hints(ConditionalConfig)
    expect_keys(value, set(hints) - set(OPTIONAL_FIELDS), "conditional", OPTIONAL_FIELDS)
    for key, hint in hints.items():
        if key in value and not _fits(value[key], hint):
            raise UnsafeRepositoryError(
                f"{CONFIG_FILE}: conditional.{key} is {shown(value[key])}; expected {_named(hint)}"
            )
    try:
        return ConditionalConfig.from_dict(value)
    except (ValueError, TypeError) as error:
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: conditional: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value read from JSON has the type of a field.

    Numbers must be finite and within limits; booleans do not count as numbers.
    """
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if hint is int:
        return is_whole(value, -MAX_WHOLE, MAX_WHOLE)
    if hint is float:
        return is_number(value, -MAX_WHOLE, MAX_WHOLE)
    if hint in (bool, NoneType):
        return isinstance(value, hint)
    if hint is str:
        return isinstance(value, str) and len(value) <= 256
    raise TypeError(f"config.json has no rule for values of type {hint}; add one to _fits")


def _named(hint: Any) -> str:
    """Return the name of a field's type for an error message."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_named(part) for part in get_args(hint))
    names = {int: f"a whole number of at most {MAX_WHOLE}", float: "a number", bool: "true or false", NoneType: "null"}
    return names.get(hint, "a string of at most 256 characters")


_OPTIONAL = {"label_vectors", "rows", "fields", "origin", "encoder", "layers"}  # keys that a task may have


def _labels(tasks: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(tasks, list) or not 0 < len(tasks) <= MAX_TASKS:
        raise UnsafeRepositoryError(f"{CONFIG_FILE}: tasks is not a list of 1 to {MAX_TASKS:,} tasks")
    labels: dict[str, tuple[str, ...]] = {}
    for i, task in enumerate(tasks):
        place = f"{CONFIG_FILE}: tasks[{i}]"
        expect_keys(task, {"name", "labels"}, f"tasks[{i}]", _OPTIONAL)
        name, classes = check_name(task["name"], f"{place}.name"), task["labels"]
        if name in labels:
            raise UnsafeRepositoryError(
                f"{place}.name is {shown(name)}; but another task has this name; expected different names"
            )
        if not isinstance(classes, list) or len(classes) < 2:
            raise UnsafeRepositoryError(f"{place}.labels is {shown(classes)}; expected two or more class names")
        labels[name] = tuple(check_label(label, f"{place}.labels") for label in classes)
        if len(set(classes)) < len(classes):
            raise UnsafeRepositoryError(f"{place}.labels repeats a name: {shown(classes)}; expected different names")
    check_size(len(labels), max(map(len, labels.values())))
    return labels


def check_size(tasks: int, classes: int) -> None:
    """Check that a model can store its tasks.

    Args:
        tasks: number of tasks.
        classes: number of classes of the task that has the most.

    Raises:
        UnsafeRepositoryError: there are too many tasks or classes.
    """
    if tasks > MAX_TASKS or tasks * classes > MAX_TABLE:
        raise UnsafeRepositoryError(
            f"{CONFIG_FILE}: tasks: {tasks:,} tasks of up to {classes:,} classes; expected at most {MAX_TASKS:,} tasks "
            f"and a table of at most {MAX_TABLE:,} entries"
        )


def _label_vectors(tasks: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for i, task in enumerate(tasks):
        key = "label_vectors" if "label_vectors" in task else "rows"  # the name of the key in earlier releases
        if key not in task:
            continue
        if "label_vectors" in task and "rows" in task:
            raise UnsafeRepositoryError(
                f"{CONFIG_FILE}: tasks[{i}] has label_vectors and rows, the old name of the same key; remove rows"
            )
        place, vectors = f"{CONFIG_FILE}: tasks[{i}].{key}", task[key]
        if not isinstance(vectors, list) or len(vectors) != len(task["labels"]):
            raise UnsafeRepositoryError(f"{place} is {shown(vectors)}; expected one name per class of the task")
        found[task["name"]] = tuple(check_label(vector, place) for vector in vectors)
        if len(set(vectors)) < len(vectors):
            raise UnsafeRepositoryError(f"{place} repeats a name: {shown(vectors)}; expected different names")
    return found


def _fields(tasks: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    for i, task in enumerate(tasks):
        if "fields" in task and not is_whole(task["fields"], 1, 2):
            raise UnsafeRepositoryError(
                f"{CONFIG_FILE}: tasks[{i}].fields is {shown(task['fields'])}; expected 1 (a text) or 2 (a pair)"
            )
    return {task["name"]: task["fields"] for task in tasks if "fields" in task}


def _origins(tasks: Sequence[Mapping[str, Any]]) -> dict[str, TaskOrigin]:
    origins = {}
    for i, task in enumerate(tasks):
        if "origin" in task:
            place = f"tasks[{i}].origin"
            expect_keys(task["origin"], set(), place, {field.name for field in fields(TaskOrigin)})
            values = {key: check_label(value, f"{CONFIG_FILE}: {place}.{key}") for key, value in task["origin"].items()}
            origins[task["name"]] = TaskOrigin(**values)
    return origins


def _marked(tasks: Sequence[Mapping[str, Any]], key: str, mark: str) -> frozenset[str]:
    """Return the tasks that have a key, whose only value is the mark."""
    for i, task in enumerate(tasks):
        apply_rule(one_of(mark), task.get(key, mark), f"{CONFIG_FILE}: tasks[{i}].{key}")
    return frozenset(task["name"] for task in tasks if key in task)


def check_record(record: ModelRecord) -> None:
    """Check that a model can be stored and loaded again, before it is built or written.

    Raises:
        ValueError: it cannot; the message names the obstacle.
    """
    try:
        ModelRecord.from_dict(record.to_dict())
    except UnsafeRepositoryError as error:
        raise ValueError(f"the model could not be stored: {error}") from None


def write_record(folder: Path, record: ModelRecord) -> None:
    """Write config.json.

    Args:
        folder: the folder to write to.
        record: a record that ``check_record`` accepts.

    Raises:
        ValueError: the file would be larger than the limit for reading.
    """
    text = json.dumps(record.to_dict(), indent=1, ensure_ascii=False) + "\n"
    if len(text.encode()) > MAX_JSON_BYTES:
        raise ValueError(
            f"{CONFIG_FILE} would have more than {MAX_JSON_BYTES:,} bytes; use fewer tasks or shorter names"
        )
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")


def read_record(folder: Path) -> ModelRecord:
    """Read and check config.json.

    Raises:
        UnsafeRepositoryError: the file is missing or does not have the expected form.
    """
    check_inside(folder)
    check_file_names(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return ModelRecord.from_dict(read_json(folder / CONFIG_FILE))
