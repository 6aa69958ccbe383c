"""Write the card of a published table of task embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.hub.card_templates import (
    code_span,
    count,
    markdown_table,
    python_string,
    size_category,
    template,
    yaml_text,
)

_SHOWN_NEAR, _LISTED_TASKS = 3, 1000


class EmbeddingTable(Protocol):
    """Describe what a card and a push need of ``TaskEmbeddings``, whose module imports theirs and not the reverse."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the n task names."""

    @property
    def values(self) -> NDArray[np.float32]:
        """Return one embedding per task, (n, Z)."""

    @property
    def copies(self) -> NDArray[np.float32] | None:
        """Return all embeddings of each task, (n, K, Z); None if each task has one."""

    def nearest(self, name: str, k: int = 10) -> list[tuple[str, float]]:
        """Return the ``k`` nearest tasks and their cosines."""

    def save(self, folder: Path | str) -> Path:
        """Write the files of the table to ``folder`` and return it."""


def embeddings_card(
    embeddings: EmbeddingTable, repo_id: str, parquet: str, files: tuple[str, str], model: str | None
) -> str:
    """Return the card of a published table of task embeddings.

    Args:
        embeddings: the table.
        repo_id: repository in which it is published.
        parquet: name of the file that ``datasets`` reads.
        files: names of the safetensors file and of the file with the task names.
        model: Hub id of the model that learned the embeddings.
    """
    n, dim_z = embeddings.values.shape
    data = {
        "pretty_name": "Task embeddings",
        "language": ["en"],
        "size_categories": [size_category(n)],
        "tags": ["metaeval", "task-embeddings"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": parquet}]}],
    }
    several = "" if embeddings.copies is None else ", `copies` (all embeddings that were learned for it)"
    rows = [
        [
            code_span(name),
            *(f"{code_span(other)} {cosine:.2f}" for other, cosine in embeddings.nearest(name, _SHOWN_NEAR)),
        ]
        for name in embeddings.names[:_LISTED_TASKS]
    ]
    near = min(_SHOWN_NEAR, n - 1)
    table = markdown_table(["task", *("nearest by cosine", *[""] * _SHOWN_NEAR)[:near]], rows)
    more = f"\n\nAnd {count(n - _LISTED_TASKS, 'task')} more." if n > _LISTED_TASKS else ""
    return template("embeddings.md").substitute(
        metadata=yaml_text(data),
        n_tasks=count(n, "task"),
        dim_z=dim_z,
        model=f"[{model}](/{model})" if model else "a model of conditional adapters",
        repo_id=python_string(repo_id),
        example=python_string(embeddings.names[0]),
        parquet=parquet,
        columns=f"`task` (its name), `embedding` ({dim_z} numbers){several}",
        tensors=files[0],
        names=files[1],
        tasks=table + more,
    )
