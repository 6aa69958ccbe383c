"""Sources to read and tasks to read them as, made for a test and gone after it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaeval_datasets.spec import Source, TaskSpec, TaskType

NAMES = ("no", "yes")


def task(**fields: Any) -> TaskSpec:
    """A declaration with what a test does not care about filled in."""
    texts = {} if {"sentence1", "sentence2", "sentence"} & fields.keys() else {"sentence": "text"}
    defaults = {
        "name": "made_up/task",
        "sources": (Source("made/up"),),
        "names": NAMES,
        "type": TaskType.OTHER,
        "license": "cc0-1.0",
        "citation": "nobody2000",
        **texts,
    }
    return TaskSpec(**{**defaults, **fields})


def parquet(columns: Mapping[str, Sequence[Any]] | pa.Table, label_names: Sequence[str] | None = None) -> bytes:
    """A Parquet file; with ``label_names`` it carries them as ``datasets`` stores them."""
    import datasets

    table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
    if label_names is not None:
        features = datasets.Features.from_arrow_schema(table.schema)
        features["label"] = datasets.ClassLabel(names=list(label_names))
        table = table.cast(features.arrow_schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def numbered(start: int, stop: int, names: int = 2) -> dict[str, list[Any]]:
    """Distinct texts with labels in turn."""
    rows = range(start, stop)
    return {"text": [f"text number {row}" for row in rows], "label": [row % names for row in rows]}


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[[TaskSpec], str]:
    """Put a declaration into the catalogue for one test; returns its name."""
    from metaeval_datasets.catalog import all_tasks
    from metaeval_datasets.metaeval import MetaEval, MetaEvalConfig

    def add(spec: TaskSpec) -> str:
        monkeypatch.setitem(all_tasks(), spec.name, spec)
        monkeypatch.setitem(MetaEval.builder_configs, spec.name, MetaEvalConfig(name=spec.name))
        return spec.name

    return add
