"""Convert tables of a source to tables of the task: pure functions on Arrow columns, a batch of rows at a time.

No function reads a file or loops over rows. The result has the task's text columns, ``label`` (the index of the class,
or a negative code that ``schema.check_rows`` counts), ``idx``, and ``GROUP`` if the task has row groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metaeval_datasets.hashing import Hashes, combine, mix, text_hashes
from metaeval_datasets.outside import LabelTally, index_of
from metaeval_datasets.schema import FILTERED, IDX, LABEL, LEFT_OUT, UNKNOWN, UNLABELLED, one_array
from metaeval_datasets.spec import (
    After,
    Alone,
    AnySource,
    Before,
    ConfigText,
    Files,
    Groups,
    Items,
    Join,
    Keep,
    Orient,
    Replace,
    RowModulus,
    SameRow,
    SameText,
    Source,
    Stack,
    Step,
    TaskSpec,
    Text,
    text_columns,
)
from metaeval_datasets.written import for_truth, is_missing, is_plain_number, same, truth, whole_number, written_number

ROW, KEEP, GROUP = "_row", "_keep", "_group"  # helper columns next to those of the source
ORIENT_SEED = 7  # changing it would change ethics/utilitarianism


class CastError(ValueError):
    """Raised if a source differs from its declaration; the message names the column or the labels."""


def columns_to_read(spec: TaskSpec, source: AnySource) -> tuple[str, ...]:
    """Return the columns of the source that casting needs, each once."""
    groups = row_groups(spec, source)
    group_texts = groups.texts if isinstance(groups, SameText) else ()
    wanted = [*spec.columns, *(column for text in group_texts for column in text_columns(text))]
    if isinstance(source, Source):
        wanted = [name for column in wanted for name in text_columns(source.columns.get(column, column))]
        made = {name for step in source.steps for name in _made_by(step)}
        read = [name for step in source.steps for name in _read_by(step)]
        wanted = [*(name for name in wanted if name not in made), *read]
    return tuple(dict.fromkeys(wanted))


def label_source(spec: TaskSpec, source: AnySource) -> str | None:
    """Return the column of the source that the label is read from; None if a step creates it."""
    if not isinstance(source, Source):
        return spec.label
    text = source.columns.get(spec.label, spec.label)
    if not isinstance(text, str) or text in {name for step in source.steps for name in _made_by(step)}:
        return None
    return text


def row_groups(spec: TaskSpec, source: AnySource) -> Groups:
    """Return the rule for row groups of a source; ``Alone`` if there is none."""
    own = source.groups if isinstance(source, Source) else None
    return own or spec.groups or Alone()


def cast_table(
    table: pa.Table,
    spec: TaskSpec,
    source: AnySource,
    first_row: int = 0,
    config: str | None = None,
    label_names: Sequence[str] | None = None,
    seen: LabelTally | None = None,
) -> pa.Table:
    """Cast a batch of N source rows to the task's columns.

    Args:
        table: the source's columns (those of ``columns_to_read`` are enough), N rows.
        spec: the task in one edition.
        source: the source that the rows come from.
        first_row: number of the batch's first row in its source split.
        config: config of the source that the rows come from.
        label_names: class names stored in the source's files, in the order of the integer labels.
        seen: updated with the labels of the rows that no step filters.

    Returns:
        M rows, M = N times ``rows_per_source_row``: text columns (string), ``label`` (int64), ``idx`` (int64), and
        ``GROUP`` (uint64) if rows have groups. No row is dropped.

    Raises:
        CastError: a column is missing or its type is not text.
    """
    table = table.combine_chunks().append_column(ROW, pa.array(np.arange(first_row, first_row + len(table))))
    steps = source.steps if isinstance(source, Source) else ()
    for step in steps:
        table = _apply(step, table)
    if isinstance(source, Source) and source.columns:
        table = _rename(table, source.columns, config)
    cast = {name: evaluate(text, table, config) for name, text in spec.texts.items()}
    keep = _column(table, KEEP) if KEEP in table.column_names else None
    labels = label_codes(_column(table, spec.label), spec, source, label_names, seen, keep)
    if keep is not None:
        labels = pc.if_else(keep, labels, FILTERED)
    cast |= {LABEL: labels, IDX: _column(table, ROW)}
    groups = group_hashes(table, row_groups(spec, source), config)
    if groups is not None:
        cast[GROUP] = pa.array(groups)
    return pa.table(cast)


# --- Texts ----------------------------------------------------------------------------------------------------------


def evaluate(text: Text, table: pa.Table, config: str | None = None) -> pa.Array:
    """Return the strings of a declared text, one for each row of the table.

    Raises:
        CastError: a column is missing, or contains values other than texts.
    """
    if isinstance(text, str):
        return _strings(text, _column(table, text))
    if isinstance(text, Join):
        parts = [evaluate(part, table, config) for part in text.parts]
        return pc.binary_join_element_wise(*parts, text.separator)
    if isinstance(text, Before):
        whole = evaluate(text.text, table, config)
        return pc.coalesce(pc.struct_field(_split_at_last(whole, text.separator), "before"), whole)
    if isinstance(text, After):
        whole = evaluate(text.text, table, config)
        return pc.struct_field(_split_at_last(whole, text.separator), "after")
    if isinstance(text, Replace):
        return pc.replace_substring(evaluate(text.text, table, config), text.old, text.new)
    if isinstance(text, Items):
        return _join_items(text, _column(table, text.column))
    if isinstance(text, ConfigText):
        if config is None or config not in text.texts:
            raise CastError(f"no text is declared for config {config!r}; ConfigText has texts for {sorted(text.texts)}")
        return pa.repeat(text.texts[config], len(table))
    raise TypeError(f"not a text: {text!r}")


def _column(table: pa.Table, name: str) -> pa.Array:
    if name not in table.column_names:
        has = ", ".join(sorted(column for column in table.column_names if not column.startswith("_")))
        raise CastError(f"no column {name!r}; the source has {has}")
    column = one_array(table[name])
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _strings(name: str, column: pa.Array) -> pa.Array:
    kind = column.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not text and (pa.types.is_nested(kind) or not _is_written(kind)):
        raise CastError(f"column {name!r} contains {kind}; expected text (declare Items for lists of texts)")
    try:
        column.validate(full=text)  # a Parquet column of type text can contain other bytes
        return column if pa.types.is_string(kind) else column.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise CastError(f"column {name!r} contains values that are not text: {error}") from error


def _is_written(kind: pa.DataType) -> bool:
    """Return whether values of a type have a unique written form; bytes do not."""
    kinds = ("is_null", "is_boolean", "is_integer", "is_floating", "is_decimal", "is_temporal")
    return any(getattr(pa.types, name)(kind) for name in kinds) or str(kind) == "string_view"


def _split_at_last(texts: pa.Array, separator: str) -> pa.StructArray:
    """Return a struct of ``before`` and ``after``; null where the separator is absent."""
    return pc.extract_regex(texts, rf"(?s)\A(?P<before>.*)\Q{separator}\E(?P<after>.*)\z")


def _join_items(text: Items, column: pa.Array) -> pa.Array:
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise CastError(f"column {text.column!r} contains {column.type}; expected lists of texts")
    return pc.binary_join(column.cast(pa.list_(pa.string())), text.separator)


def _rename(table: pa.Table, columns: Mapping[str, Text], config: str | None) -> pa.Table:
    """Return the table with the task's column names; a plain rename keeps the type, and so the labels."""
    made = {
        name: _column(table, text) if isinstance(text, str) else evaluate(text, table, config)
        for name, text in columns.items()
    }
    for name, column in made.items():
        table = _put(table, name, column)
    return table


def _put(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    position = table.schema.get_field_index(name)
    return table.append_column(name, column) if position < 0 else table.set_column(position, name, column)


# --- Labels ---------------------------------------------------------------------------------------------------------


def label_codes(
    column: pa.Array,
    spec: TaskSpec,
    source: AnySource,
    label_names: Sequence[str] | None = None,
    seen: LabelTally | None = None,
    keep: pa.BooleanArray | None = None,
) -> pa.Array:
    """Return the class index of each label, or a negative code (``UNLABELLED``, ``LEFT_OUT``, ``UNKNOWN``), int64.

    Only the distinct labels of a batch are processed one at a time. ``seen`` counts those of the rows to ``keep``.

    Raises:
        CastError: the column contains values that cannot be labels, such as lists.
    """
    tokens, places = _distinct(spec.label, column)
    codes = [label_code(token, spec, source, label_names) for token in tokens]
    if seen is not None:
        index = index_of(spec, source, list(_label_values(spec, source)), label_names)
        counted = places if keep is None else places.filter(keep)
        for entry in pc.value_counts(counted).to_pylist():
            number = entry["values"]
            token, code = (None, UNLABELLED) if number is None else (tokens[number], codes[number])
            seen.add(token, code, entry["counts"], index)
    return pc.fill_null(pc.take(pa.array(codes, pa.int64()), places), UNLABELLED)


def _distinct(name: str, column: pa.Array) -> tuple[list[Any], pa.Array]:
    """Return the distinct values of a column of labels or filter values, and each row's index among them."""
    kind = column.type
    if pa.types.is_null(kind):
        return [], pa.nulls(len(column), pa.int32())
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_written(kind)):
        raise CastError(f"column {name!r} contains {kind}; expected texts, numbers or booleans")
    try:
        column.validate(full=True)
        encoded = (
            column.cast(pa.string()).dictionary_encode() if pa.types.is_temporal(kind) else column.dictionary_encode()
        )
        return encoded.dictionary.to_pylist(), encoded.indices
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise CastError(f"column {name!r} contains {kind} that cannot be read: {error}") from error


def label_code(token: Any, spec: TaskSpec, source: AnySource, label_names: Sequence[str] | None = None) -> int:
    """Return the class index of one label of the source, by its written form (``written.py``).

    - A text is looked up in ``label_values``, then in ``names``. Otherwise it is treated as the boolean or number
      that it spells.
    - A boolean is looked up in ``label_values`` as true or false, or as 1 or 0. Otherwise it is the name that the
      source gives to that number, or else the class named true or yes, or false or no. It cannot mean any other class.
    - A number is looked up in ``label_values``. Otherwise it is the name that the source gives to that number if it
      gives names, or else an index in the task's ``names``. In local files a number is the class with that name, if
      there is one, before it is an index. If any of ``label_values`` or ``names`` is a number, a text
      that spells a number must be one of them.
    """
    values = _label_values(spec, source)
    names = label_names or (source.label_names if isinstance(source, Source) else None)
    written = written_number(token) if isinstance(source, Files) and names is None else None
    if written is not None and (written in values or written in spec.names):
        return _index(values.get(written, written), spec)
    if isinstance(token, str):
        if token in values or token in spec.names:
            return _index(values.get(token, token), spec)
        if token.strip() in {"", "-"}:
            return UNLABELLED
    if is_missing(token):
        return UNLABELLED
    if (value := truth(token)) is not None:
        return _truth_code(value, spec, values, names)
    number = whole_number(token)
    if number is None:
        return UNKNOWN
    if number in values:
        return _index(values[number], spec)
    if number < 0:
        return UNLABELLED if number == -1 else UNKNOWN
    if isinstance(token, str) and any(isinstance(key, str) and key.isdecimal() for key in [*values, *spec.names]):
        key = str(number)
        known = is_plain_number(token) and (key in values or key in spec.names)
        return _index(values.get(key, key), spec) if known else UNKNOWN
    if names:
        return _index(values.get(names[number], names[number]), spec) if number < len(names) else UNKNOWN
    if any(isinstance(key, int) for key in values):
        return UNKNOWN
    return number if number < len(spec.names) else UNKNOWN


def _truth_code(
    value: bool, spec: TaskSpec, values: Mapping[str | int, str | None], names: Sequence[str] | None
) -> int:
    """Return the class index of a boolean by name: it is unknown whether True is the second class."""
    for key, name in values.items():
        if truth(key) is value:
            return _index(name, spec)
    number = int(value)
    if number in values:
        return _index(values[number], spec)
    if names:
        return _index(values.get(names[number], names[number]), spec) if number < len(names) else UNKNOWN
    word = for_truth(value, spec.names)
    return UNKNOWN if word is None else spec.names.index(word)


def check_label_names(spec: TaskSpec, source: AnySource, label_names: Sequence[str]) -> None:
    """Check that the class names stored in a source's files are those of the declaration, in any order.

    Raises:
        CastError: a name is not in ``names`` or ``label_values``, or a class has no name.
    """
    codes = {name: label_code(number, spec, source, label_names) for number, name in enumerate(label_names)}
    unknown = [name for name, code in codes.items() if code == UNKNOWN]
    missing = [name for number, name in enumerate(spec.names) if number not in codes.values()]
    if unknown or missing:
        raise CastError(
            f"labels of the source are {list(label_names)}: {unknown} are not among the declared names, "
            f"and no label maps to {missing}; map them with `label_values`"
        )


def _label_values(spec: TaskSpec, source: AnySource) -> Mapping[str | int, str | None]:
    own = source.label_values if isinstance(source, Source) else None
    return spec.label_values if own is None else own


def _index(name: str | None, spec: TaskSpec) -> int:
    if name is None:
        return LEFT_OUT
    return spec.names.index(name) if name in spec.names else UNKNOWN


# --- Steps ----------------------------------------------------------------------------------------------------------


def _made_by(step: Step) -> tuple[str, ...]:
    if isinstance(step, Stack):
        return (step.into, step.label)
    return (step.label,) if isinstance(step, Orient) else ()


def _read_by(step: Step) -> tuple[str, ...]:
    if isinstance(step, Stack):
        return tuple(step.labels)
    return (step.first, step.second) if isinstance(step, Orient) else (step.column,)


def _apply(step: Step, table: pa.Table) -> pa.Table:
    if isinstance(step, Stack):
        return _stack(step, table)
    return _orient(step, table) if isinstance(step, Orient) else _keep(step, table)


def _stack(step: Stack, table: pa.Table) -> pa.Table:
    """Stack columns so that the rows made from one row are adjacent: row 0's first column, its second column, ..."""
    count, rows = len(step.labels), len(table)
    texts = pa.concat_arrays([evaluate(column, table) for column in step.labels])
    order = np.arange(count * rows).reshape(count, rows).T.ravel()
    labels = pa.array(list(step.labels.values())).take(pa.array(np.tile(np.arange(count), rows)))
    table = table.take(pa.array(np.repeat(np.arange(rows), count)))
    return _put(_put(table, step.into, texts.take(pa.array(order))), step.label, labels)


def _orient(step: Orient, table: pa.Table) -> pa.Table:
    first, second = evaluate(step.first, table), evaluate(step.second, table)
    hashes = combine(text_hashes(first, ORIENT_SEED), text_hashes(second, ORIENT_SEED))
    swap = pa.array((hashes >> np.uint64(63)).astype(bool))
    table = _put(table, step.first, pc.if_else(swap, second, first))
    table = _put(table, step.second, pc.if_else(swap, first, second))
    return _put(table, step.label, pc.if_else(swap, step.labels[1], step.labels[0]))


def _keep(step: Keep, table: pa.Table) -> pa.Table:
    tokens, places = _distinct(step.column, _column(table, step.column))
    wanted = pa.array([any(same(token, value) for value in step.values) for token in tokens], pa.bool_())
    keep = pc.fill_null(pc.take(wanted, places), False)
    if KEEP in table.column_names:
        keep = pc.and_(keep, _column(table, KEEP))
    return _put(table, KEEP, keep)


# --- Groups ---------------------------------------------------------------------------------------------------------


def group_hashes(table: pa.Table, groups: Groups, config: str | None = None) -> Hashes | None:
    """Return a number per row, equal within a group, (N,); None if rows have no groups."""
    if isinstance(groups, Alone):
        return None
    if isinstance(groups, SameText):
        hashes = np.zeros(len(table), np.uint64)
        for text in groups.texts:
            hashes = combine(hashes, text_hashes(evaluate(text, table, config)))
        return hashes
    rows = _column(table, ROW).to_numpy().astype(np.uint64)
    if isinstance(groups, RowModulus):
        return mix(rows % np.uint64(groups.modulus))
    if isinstance(groups, SameRow):
        return mix(rows)
    raise TypeError(f"not a rule for groups: {groups!r}")
