"""Read task files: YAML files that declare tasks of your own, one entry per task.

    acme/tickets:
      files: tickets.csv          # or train: a.csv, test: b.csv; or hub: ORG/NAME
      text: message
      label: topic
      names: [billing, bug, delivery]

Paths are relative to the task file. Values are texts as they are written, so a class may be called ``no`` or ``1``.
The fields are the arguments of ``task_from``. An entry that is wrong does not stop work on the other tasks of the file:
commands leave its task out with a warning, unless they are about this task.
"""

from __future__ import annotations

import difflib
import logging
import os
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from metaeval_datasets.catalog import registered
from metaeval_datasets.own import task_from
from metaeval_datasets.safe_yaml import load_yaml
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.spec import SPLITS, SpecError, TaskSpec

MAX_BYTES = 4 << 20

logger = logging.getLogger(__name__)


class TaskFileError(ValueError):
    """Raised for a task file that cannot be used; the message names the file, and if possible the task and field."""


def read_task_file(path: str | os.PathLike[str]) -> list[TaskSpec]:
    """Return the tasks that a file declares, in order.

    The rows of an entry without ``names`` are read to find its classes.

    Raises:
        TaskFileError: the file cannot be read, or an entry is wrong.
    """
    place = Path(path).expanduser()
    return [declare(place, name, entry) for name, entry in read_entries(place).items()]


@contextmanager
def task_file(path: str | os.PathLike[str], requested: Collection[str] | None = ()) -> Iterator[None]:
    """Register the tasks of a file in a ``with`` block, except those whose entry is wrong.

    A warning says why a task is left out. If it is requested in the block, the same text is the error.

    Args:
        path: the file.
        requested: tasks and groups that are requested in the block, and therefore not warned of; None warns of no task.

    Raises:
        TaskFileError: the file cannot be read.
        SpecError: a task with the name of an entry is already registered and is declared differently.
    """
    specs, left_out = usable_tasks(path, requested)
    with registered(specs, left_out):
        yield


def usable_tasks(
    path: str | os.PathLike[str], requested: Collection[str] | None = ()
) -> tuple[list[TaskSpec], dict[str, str]]:
    """Return the tasks of a file whose entries are right, and task -> reason for the others, which are warned of.

    Args:
        path: the file.
        requested: see ``task_file``.

    Raises:
        TaskFileError: the file cannot be read.
    """
    place, specs, left_out = Path(path).expanduser(), [], {}
    for name, entry in read_entries(place).items():
        try:
            specs.append(declare(place, name, entry))
        except TaskFileError as error:
            left_out[name] = str(error)
            if requested is not None and not {name, name.split("/", 1)[0]} & set(requested):
                logger.warning("%s is left out: %s", name, error)
    return specs, left_out


def read_entries(place: Path) -> dict[str, Any]:
    """Return task name -> entry of a task file; ``declare`` checks the entries.

    Raises:
        TaskFileError: the file cannot be read, or is not a mapping with names as keys.
    """
    try:
        with place.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise TaskFileError(f"the task file {place} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise TaskFileError(f"the task file {place} has more than {MAX_BYTES:,} bytes")
    return parse_entries(content, place)


def parse_entries(content: bytes, place: Path) -> dict[str, Any]:
    """Return task name -> entry, from the content of a task file; see ``read_entries``."""
    try:
        data = load_yaml(content.decode("utf-8-sig"), as_text=True)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TaskFileError(f"the task file {place} is not valid: {' '.join(str(error).split())[:300]}") from error
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise TaskFileError(f"{place}: expected task names with fields below them, got {_kind(data)}")
    return data


def add_entry(path: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Append an entry to a task file, which is created if it does not exist. All that it contains stays as it is.

    Raises:
        TaskFileError: the file has an entry of this name, or is not valid with the new entry.
        OSError: the file cannot be written.
    """
    before = read_entries(path) if path.exists() else {}
    if name in before:
        raise TaskFileError(f"{path} already declares {name}; edit its entry, or choose another name")
    text = path.read_bytes().decode("utf-8-sig") if path.exists() else ""
    text += "" if text.endswith("\n") or not text else "\n"
    block = yaml.safe_dump({name: dict(entry)}, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    text += ("\n" if text else "") + block
    if parse_entries(text.encode(), path) != {**before, name: dict(entry)}:
        raise TaskFileError(f"{path}: an entry cannot be appended to this file; add it by hand:\n{block}")
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        aside.write_text(text, encoding="utf-8", newline="")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


# --- The fields of an entry -----------------------------------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _is_texts(value: Any) -> bool:
    return _is_text(value) or _is_list(value)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and isinstance(v, str | None) for k, v in value.items())


def _is_paths(value: Any) -> bool:
    return _is_texts(value) or (isinstance(value, dict) and bool(value) and all(map(_is_texts, value.values())))


def _is_splits(value: Any) -> bool:
    return _is_list(value) or (isinstance(value, dict) and all(map(_is_text, value.values())))


# Field -> (check of its value, what is expected)
_Check = tuple[Callable[[Any], bool], str]
_TEXT: _Check = (_is_text, "a text")
_TEXTS: _Check = (_is_texts, "a column or a list of columns")
_LIST: _Check = (_is_list, "a list of texts")
FIELDS: dict[str, _Check] = {
    "files": (_is_paths, f"a path, a list of paths, or one of these for each split ({', '.join(SPLITS)})"),
    "hub": (_is_text, "a dataset repository, ORG/NAME"),
    "text": _TEXTS,
    "second_text": _TEXTS,
    "label": _TEXT,
    "names": _LIST,
    "label_values": (_is_mapping, "label: class name, or label: null to leave its rows out"),
    "canonical": _LIST,
    "type": _TEXT,
    "groups": _TEXTS,
    "distinct": (lambda value: value in ("true", "false"), "true or false"),
    "may_be_empty": _LIST,
    "config": _TEXTS,
    "revision": _TEXT,
    "splits": (_is_splits, "a list of splits, or split: split of the repository"),
    "unlabelled": _LIST,
    "delimiter": _TEXT,
    "quote": (lambda value: value is None or _is_text(value), "a character, or null if fields are not quoted"),
    "encoding": _TEXT,
    "license": _TEXT,
    "citation": _TEXT,
    "notes": _TEXT,
}


def _check_entry(place: Path, name: str, entry: Any) -> None:
    where = f"{place}: task {name}"
    if not isinstance(entry, dict):
        raise TaskFileError(f"{where}: expected fields such as `files: rows.csv`, got {_kind(entry)}")
    for field, value in entry.items():
        if field not in FIELDS:
            near = difflib.get_close_matches(str(field), FIELDS, n=1)
            hint = f"closest: `{near[0]}`" if near else f"expected some of {', '.join(FIELDS)}"
            raise TaskFileError(f"{where}: unknown field `{field}`; {hint}")
        check, expected = FIELDS[field]
        if not check(value):
            raise TaskFileError(f"{where}: `{field}` must be {expected}, got {_kind(value)}")
    if ("files" in entry) == ("hub" in entry):
        raise TaskFileError(f"{where}: give either `files` or `hub`")
    if "text" not in entry:
        raise TaskFileError(f"{where}: `text` is missing; name the column of the text")


def _kind(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    return "nothing" if value is None else repr(value)[:80]


def declare(place: Path, name: str, entry: Any) -> TaskSpec:
    """Return the task that an entry of a task file declares.

    Raises:
        TaskFileError: the entry is wrong, or the rows cannot be read to find the classes; the message names the file,
            the task, and if possible the field.
    """
    _check_entry(place, name, entry)
    fields = dict(entry)
    hub = fields.pop("hub", None)
    data = hub if hub is not None else _below(place.absolute().parent, fields.pop("files"))
    data = {"train": data} if isinstance(data, list) else data
    if "distinct" in fields:
        fields["distinct"] = fields["distinct"] == "true"
    if fields.get("delimiter") in ("tab", "\\t"):
        fields["delimiter"] = "\t"
    if hub is not None and "label_values" in fields:  # a repository can store the label as a number
        values = fields["label_values"]
        fields["label_values"] = {**values, **{int(key): values[key] for key in values if key.lstrip("-").isdecimal()}}
    try:
        return task_from(data, name=name, **fields)
    except (SpecError, SourceError) as error:
        text = " ".join(str(error).split())
        named = text.startswith((f"task {name}:", f"task {name!r}:"))
        raise TaskFileError(f"{place}: {text if named else f'task {name}: {text}'}") from error


def _below(folder: Path, given: Any) -> Any:
    """Return paths relative to a folder, as ``task_from`` takes them."""
    if isinstance(given, dict):
        return {split: _below(folder, paths) for split, paths in given.items()}
    if isinstance(given, list):
        return [folder / Path(path).expanduser() for path in given]
    return folder / Path(given).expanduser()
