"""Declare a task of your own from files, data frames, datasets or a repository on the Hub.

>>> from metaeval_datasets import register_task, task_from
>>> register_task(task_from("tickets.csv", name="acme/tickets", text="message"))  # doctest: +SKIP

Rows in memory are written to Parquet files in the cache of ``datasets``, named by their content, so that they are
prepared, split and cached like the rows of any other source.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from metaeval_datasets.cast import label_codes
from metaeval_datasets.catalog import check_own_name
from metaeval_datasets.labels_found import LabelsFound, class_names, count_labels, unique_canonical, warn_alike
from metaeval_datasets.rows_in_memory import is_in_memory, write_rows
from metaeval_datasets.schema import one_array
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.sources.layout import KINDS
from metaeval_datasets.sources.opening import open_unchecked, splits_of
from metaeval_datasets.sources.source_files import name_in_errors, read_source_file
from metaeval_datasets.spec import (
    SPLITS,
    Files,
    Groups,
    Join,
    SameText,
    Source,
    SpecError,
    TaskSpec,
    TaskType,
    Text,
    text_columns,
)

UNKNOWN_LICENSE = "unknown"
logger = logging.getLogger(__name__)
_REPO = re.compile(r"[A-Za-z0-9_.\-]+/[A-Za-z0-9_.\-]+")
_DRAFT = ("first class", "second class")  # names of a declaration whose classes are not known yet

TextOrColumns = Text | Sequence[str]


def task_from(
    data: Any,
    *,
    name: str,
    text: TextOrColumns,
    second_text: TextOrColumns | None = None,
    label: str = "label",
    names: Sequence[str] | None = None,
    label_values: Mapping[str | int, str | None] | None = None,
    canonical: Sequence[str] = (),
    type: TaskType | str = TaskType.OTHER,
    groups: Groups | str | Sequence[str] | None = None,
    distinct: bool = False,
    may_be_empty: Sequence[str] = (),
    config: str | Sequence[str] | None = None,
    revision: str | None = None,
    splits: Mapping[str, str] | Sequence[str] | None = None,
    unlabelled: Sequence[str] = (),
    delimiter: str | None = None,
    quote: str | None = '"',
    encoding: str = "utf-8",
    license: str = UNKNOWN_LICENSE,
    citation: str = "",
    notes: str = "",
) -> TaskSpec:
    """Declare a task over rows of your own.

    Args:
        data: where the rows are. One of

            - the path of a CSV, TSV, JSON-lines or Parquet file, or split -> path or list of paths;
            - a ``datasets.Dataset``, a pandas data frame, a ``pyarrow.Table`` or a list of dicts, or split -> one of
              these, such as a ``DatasetDict``;
            - a dataset repository on the Hub, ``"ORG/NAME"``.

            Without splits, all rows are official training rows, from which the other splits are derived.
        name: ``group/task``; the group must not be one of the catalogue.
        text: column of the text, several columns to join with a space, or a class of ``metaeval_datasets.spec``.
        second_text: the same for the second text of a task over pairs.
        label: column of the label.
        names: class names in index order. By default the rows are read to find them: in the order that a dataset
            stores, or else numbers by value and texts by alphabet.
        label_values: label as it is written -> class name, or None to leave its rows out.
        canonical: names of the classes that are shared between tasks; see ``TaskSpec``.
        type: one of the eight task types.
        groups: column (or columns) whose equal values keep rows in the same split, such as the author of a text.
        distinct: keep only one of the rows with equal texts and label within a split.
        may_be_empty: text fields that may be empty, such as ``("sentence2",)``.
        config: config of a repository on the Hub.
        revision: commit, tag or branch of a repository on the Hub.
        splits: splits of a repository on the Hub to read: names among train, validation and test, or
            official split -> split of the repository. By default those that it has.
        unlabelled: official splits whose labels are hidden: they are not read. If the first rows of such a split of
            files have labels of two or more classes, a warning says so.
        delimiter: separator of CSV files; default: tab for ``.tsv`` files, comma for others.
        quote: character around CSV fields; None if quotation marks are part of the texts.
        encoding: encoding of CSV files.
        license: licence of the rows.
        citation: key of a reference; empty if there is none.
        notes: what users of the task should know.

    Raises:
        SpecError: the declaration cannot be right: a name, a column or the classes; or ``unlabelled`` names all splits
            of files whose rows have labels.
        SourceError: the rows cannot be read.
    """
    texts = _texts(text, second_text)
    given = {"names": names, "canonical": canonical, "unlabelled": unlabelled, "may_be_empty": may_be_empty}
    _check_lists(name, {field: value for field, value in given.items() if value is not None})
    _check_label_values(name, label_values)
    together: Any = _groups(groups)
    draft = TaskSpec(name, (Files({"train": "rows.csv"}),), _DRAFT, _type(name, type), license, citation,
                     **texts, label=label, splits=("train",), groups=together)  # fmt: skip
    check_own_name(name)
    if label in (column for part in draft.texts.values() for column in text_columns(part)):
        raise SpecError(
            f"task {name}: column {label!r} is both text and label; name another column as `text` or `label`"
        )
    columns = _all_columns(draft)
    source, official = _source(
        data, name, columns, config=config, revision=revision, splits=splits,
        csv={"delimiter": delimiter, "quote": quote, "encoding": encoding},
    )  # fmt: skip
    values = dict(label_values or {})
    hidden = tuple(unlabelled)
    if names is None:
        found = _look_at_labels(draft, source, official, hidden)
        hidden = (*hidden, *found.without_labels)
        names = class_names(name, label, found, values)
        if isinstance(source, Source):
            values = {**found.numbers(names), **values}
        warn_alike(name, names)
    spec = TaskSpec(
        name, (source,), tuple(names), draft.type, license, citation, **texts, label=label,
        canonical=tuple(canonical) or unique_canonical(names), label_values=values, splits=official,
        unlabelled=hidden, groups=together, distinct=distinct, may_be_empty=tuple(may_be_empty),
        in_101=False, notes=notes,
    )  # fmt: skip
    _check_hidden(spec, unlabelled)
    return spec


def count_classes(spec: TaskSpec) -> dict[str, int]:
    """Return class name -> number of rows in all labelled official splits of the first source of a task.

    Raises:
        SourceError: the rows cannot be read.
    """
    source = spec.sources[0]
    counts = dict.fromkeys(range(len(spec.names)), 0)
    for pieces in open_unchecked(spec, source).pieces.values():
        for piece in pieces:
            for table in read_source_file(piece, spec, source):
                with name_in_errors(piece):
                    codes = label_codes(one_array(table[spec.label]), spec, source, piece.label_names)
                for entry in pc.value_counts(codes).to_pylist():
                    if entry["values"] in counts:
                        counts[entry["values"]] += entry["counts"]
    return {name: counts[number] for number, name in enumerate(spec.names)}


def _check_lists(task: str, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise SpecError(f"task {task}: `{field}` is {value!r}; expected a list, such as [{str(value)!r}]")


def _check_label_values(task: str, values: Any) -> None:
    if values is not None and not isinstance(values, Mapping):
        raise SpecError(f"task {task}: `label_values` is {values!r}; expected a dict, label -> class name or None")
    for label, name in (values or {}).items():
        if name is not None and not isinstance(name, str):
            raise SpecError(
                f"task {task}: `label_values` of {label!r} is {name!r}; expected a class name, or None to leave its "
                "rows out"
            )


def _texts(text: TextOrColumns, second: TextOrColumns | None) -> dict[str, Any]:
    if second is None:
        return {"sentence": _joined(text)}
    return {"sentence1": _joined(text), "sentence2": _joined(second)}


def _joined(text: TextOrColumns) -> Any:
    if isinstance(text, list | tuple):
        return Join(*text) if len(text) > 1 else text[0] if text else ""
    return text


def _groups(groups: Groups | str | Sequence[str] | None) -> Any:
    if isinstance(groups, str):
        return SameText(groups)
    return SameText(*groups) if isinstance(groups, list | tuple) else groups


def _type(name: str, kind: TaskType | str) -> TaskType:
    try:
        return TaskType(kind.lower()) if isinstance(kind, str) else TaskType(kind)
    except ValueError:
        known = ", ".join(each.value for each in TaskType)
        raise SpecError(f"task {name}: `type` is {kind!r}; expected one of {known}") from None


def _all_columns(spec: TaskSpec) -> list[str]:
    texts = spec.groups.texts if isinstance(spec.groups, SameText) else ()
    return list(dict.fromkeys([*spec.columns, *(column for text in texts for column in text_columns(text))]))


# --- Where the rows are ---------------------------------------------------------------------------------------------


def _source(
    data: Any,
    name: str,
    columns: Sequence[str],
    *,
    config: str | Sequence[str] | None,
    revision: str | None,
    splits: Mapping[str, str] | Sequence[str] | None,
    csv: Mapping[str, Any],
) -> tuple[Source | Files, tuple[str, ...]]:
    """Return the source and its official splits."""
    if isinstance(data, str) and is_repository(data):
        return _hub_source(data, config, revision, splits)
    given = {"config": config, "revision": revision, "splits": splits}
    if extra := [key for key, value in given.items() if value is not None]:
        raise SpecError(f"task {name}: `{extra[0]}` only applies to a repository on the Hub, 'ORG/NAME'; leave it out")
    parts = _by_split(name, data)
    if empty := [split for split, part in parts.items() if isinstance(part, list | tuple) and not part]:
        raise SpecError(f"task {name}: {empty[0]}: the list is empty; expected rows as dicts, or paths of files")
    if any(is_in_memory(part) for part in parts.values()):
        paths = {split: write_rows(part, columns, f"task {name}: {split}") for split, part in parts.items()}
        return Files(paths, shown="rows in memory"), tuple(paths)
    for part in parts.values():
        check_paths(name, part)
    files = Files(parts, **csv)
    return files, tuple(files.paths)


def is_repository(data: str) -> bool:
    """Return whether a text names a repository on the Hub: it looks like ``ORG/NAME`` and is no local file."""
    known = data.lower().endswith(tuple(KINDS))
    return bool(_REPO.fullmatch(data)) and not known and not os.path.exists(os.path.expanduser(data))


def _by_split(name: str, data: Any) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        return {"train": data}
    if not data:
        raise SpecError(f"task {name}: the data has no splits; expected some of {', '.join(SPLITS)}")
    if unknown := [split for split in data if split not in SPLITS]:
        raise SpecError(
            f"task {name}: the data has the split {unknown[0]!r}; expected some of {', '.join(SPLITS)}. Give a dict of "
            f"the splits to use, such as {{'train': data['train']}}"
        )
    return dict(data)


def check_paths(name: str, given: Any) -> None:
    """Check that paths are those of files that can be read as a table.

    Raises:
        SpecError: a path is a folder, does not exist, or has an unknown extension.
    """
    for path in given if isinstance(given, list | tuple) else (given,):
        if not isinstance(path, str | os.PathLike):
            kind = f"{type(path).__module__}.{type(path).__qualname__}"
            raise SpecError(
                f"task {name}: rows cannot be read from an object of type {kind}; expected a path, a data frame, a "
                "dataset, a list of dicts, or a dict of these by split"
            )
        place = Path(path).expanduser()
        if place.is_dir():
            raise SpecError(f"task {name}: {place} is a folder; {_contents(place)}")
        if not place.is_file():
            raise SpecError(f"task {name}: {place} does not exist; expected the path of a file, or 'ORG/NAME'")
        if place.suffix.lower() not in KINDS:
            raise SpecError(
                f"task {name}: {place} has an unknown extension; expected one of {', '.join(sorted(KINDS))}"
            )


def _contents(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    usable = [name for name in names if name.lower().endswith(tuple(KINDS))]
    if not usable:
        return "it contains no CSV, TSV, JSON-lines or Parquet file"
    shown = ", ".join(usable[:5]) + (f" and {len(usable) - 5} more" if len(usable) > 5 else "")
    return f"give one of its files ({shown}), or a path for each split: train: {usable[0]}"


def _hub_source(
    repo: str,
    config: str | Sequence[str] | None,
    revision: str | None,
    splits: Mapping[str, str] | Sequence[str] | None,
) -> tuple[Source, tuple[str, ...]]:
    renamed = dict(splits) if isinstance(splits, Mapping) else {}
    configs = config if config is None or isinstance(config, str) else tuple(config)
    source = Source(repo, config=configs, revision=revision, splits={key: (value,) for key, value in renamed.items()})
    given = [splits] if isinstance(splits, str) else splits
    return source, splits_of(source) if given is None else tuple(given)


# --- Classes --------------------------------------------------------------------------------------------------------


def _look_at_labels(
    draft: TaskSpec, source: Source | Files, official: Iterable[str], hidden: Sequence[str]
) -> LabelsFound:
    """Read the labels of a source."""
    spec = dataclasses.replace(draft, sources=(source,), splits=tuple(official), unlabelled=tuple(hidden))
    opened = open_unchecked(spec, source)
    stored = next(
        (piece.label_names for pieces in opened.pieces.values() for piece in pieces if piece.label_names), None
    )
    if stored:
        return LabelsFound({}, tuple(stored))
    counts: dict[str, Counter[Any]] = {}
    for split, pieces in opened.pieces.items():
        counts[split] = Counter()
        for piece in pieces:
            count_labels(counts[split], piece, spec, source)
    return LabelsFound(counts, None)


def _check_hidden(spec: TaskSpec, hidden: Iterable[str]) -> None:
    """Compare the splits that a user declares as unlabelled with their first rows; repositories are not read for this.

    Equal labels may stand for hidden ones, so labels of two or more classes are needed to say anything.

    Raises:
        SpecError: all splits are declared as unlabelled, and one of them has labels.
    """
    source = spec.sources[0]
    if not isinstance(source, Files):
        return
    for split in hidden:
        rows, classes = _first_classes(spec, source, split)
        if len(classes) < 2:
            continue
        message = (
            f"task {spec.name}: `unlabelled` names {split}, but its first {rows:,} rows have labels of "
            f"{len(classes):,} classes in column {spec.label!r}"
        )
        if not spec.has_labels:
            raise SpecError(f"{message}; leave {split} out of `unlabelled`")
        logger.warning("%s; the split is not read. Leave it out of `unlabelled` to use its rows", message)


def _first_classes(spec: TaskSpec, source: Files, split: str) -> tuple[int, set[int]]:
    """Return the number of the first rows of a split, and their classes; none if they cannot be read."""
    rows, classes, source = 0, set[int](), dataclasses.replace(source, paths={split: source.paths[split]})
    alone = dataclasses.replace(spec, sources=(source,), splits=(split,), unlabelled=())
    try:
        for piece in open_unchecked(alone, source).pieces[split]:
            for table in itertools.islice(read_source_file(piece, alone, source), 1):
                with name_in_errors(piece):
                    codes = label_codes(one_array(table[spec.label]), alone, source, piece.label_names)
                rows += len(table)
                classes |= {code for code in pc.unique(codes).to_pylist() if code >= 0}
    except SourceError:  # such as a file without labels
        return 0, set()
    return rows, classes
