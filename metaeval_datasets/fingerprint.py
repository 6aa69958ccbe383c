"""Hashes that name a prepared task in the cache: of the code that makes rows, and of a task's declaration."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from metaeval_datasets.spec import Embedded, TaskSpec

_ROW_CODE = (
    *(
        "hashing",
        "schema",
        "written",
        "outside",
        "cast",
        "splits",
        "patterns",
        "layout",
        "readers",
        "parquet",
        "sources",
    ),
    *("rows", "report", "record", "published", "metaeval"),
)


@cache
def code_hash(*patterns: str) -> str:
    """Hash of the source text of the modules that rows go through, or of those that match patterns."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for pattern in patterns or _ROW_CODE:
        for path in sorted(folder.glob(f"{pattern}.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def task_hash(spec: TaskSpec, *others: str) -> str:
    """Hash of a declaration, of the modules that make its rows where it is embedded, and of other texts."""
    modules = [f"{source.module}*" for source in spec.sources if isinstance(source, Embedded)]
    parts = [spec.digest(), *(code_hash(module) for module in modules), *others]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
