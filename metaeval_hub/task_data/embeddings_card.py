"""The card of a published table of task embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # it imports torch
    pass


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
    """What a card and a push need of ``TaskEmbeddings``, which imports this room's functions and is not imported."""

    @property
    def names(self) -> tuple[str, ...]:
        """The n task names."""

    @property
    def values(self) -> NDArray[np.float32]:
        """One embedding per task, (n, Z)."""

    @property
    def copies(self) -> NDArray[np.float32] | None:
        """All embeddings of each task, (n, K, Z), where a task has several."""

    def nearest(self, name: str, k: int = 10) -> list[tuple[str, float]]:
        """Return the ``k`` nearest tasks with their cosine."""

    def save(self, folder: Path | str) -> Path:
        """Write the table's files into ``folder`` and return it."""


def embeddings_card(
    embeddings: EmbeddingTable, repo_id: str, parquet: str, files: tuple[str, str], model: str | None
) -> str:
    """Return the card of a published table of task embeddings.

    Args:
        embeddings: the table.
        repo_id: where it is published.
        parquet: name of the file that ``datasets`` reads.
        files: names of the safetensors file and of the one with the names.
        model: Hub id of the model that learned them.
    """
    n, dim_z = embeddings.values.shape
    data = {
        "pretty_name": "Task embeddings",
        "language": ["en"],
        "size_categories": [size_category(n)],
        "tags": ["metaeval", "task-embeddings"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": parquet}]}],
    }
    several = "" if embeddings.copies is None else ", `copies` (all that were learned of it)"
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
