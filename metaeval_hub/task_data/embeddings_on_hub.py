"""Push a table of task embeddings to the Hub as a dataset with a card, and download one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from metaeval_hub.hub.download import CacheOptions, fetch
from metaeval_hub.hub.login import push_target
from metaeval_hub.hub.upload import push_folder
from metaeval_hub.safe_files.repository import check_file_names, naming
from metaeval_hub.task_data.embeddings_card import EmbeddingTable, embeddings_card

PARQUET_FILE = "task_embeddings.parquet"
TABLE_FILES = ("task_embeddings.safetensors", "task_embeddings.json")
MAX_BYTES = 2**30


def push(
    embeddings: EmbeddingTable,
    repo_id: str,
    *,
    model: str | None,
    private: bool | None,
    revision: str | None,
    token: str | bool | None,
    message: str,
    parent_commit: str | None,
) -> str:
    """Push a table and return the address of the commit; see ``TaskEmbeddings.push_to_hub``."""
    repo_id = push_target(repo_id, token)
    with tempfile.TemporaryDirectory() as name:
        folder = embeddings.save(name)
        pq.write_table(to_arrow(embeddings), folder / PARQUET_FILE)
        card = embeddings_card(embeddings, repo_id, PARQUET_FILE, TABLE_FILES, model)
        (folder / "README.md").write_text(card, encoding="utf-8")
        commit = push_folder(
            folder,
            repo_id,
            repo_type="dataset",
            private=private,
            revision=revision,
            message=message,
            token=token,
            remove=(PARQUET_FILE, *TABLE_FILES),
            parent_commit=parent_commit,
        )
    return commit.commit_url


def fetch_table(repo_id: str, revision: str | None, token: str | bool | None, cache: CacheOptions) -> Path:
    """Download the files of a table and return their folder; see ``TaskEmbeddings.from_hub``."""
    with naming(repo_id):
        return fetch(
            repo_id,
            repo_type="dataset",
            revision=revision,
            allow_patterns=TABLE_FILES,
            token=token,
            check_names=check_file_names,
            max_bytes=MAX_BYTES,
            cache=cache,
        )


def to_arrow(embeddings: EmbeddingTable) -> pa.Table:
    """Return the table as Arrow: ``task``, ``embedding`` (Z,), and ``copies`` (K, Z) if tasks have several."""
    dim_z = embeddings.values.shape[1]
    columns = {
        "task": pa.array(embeddings.names, pa.string()),
        "embedding": pa.FixedSizeListArray.from_arrays(embeddings.values.ravel(), dim_z),
    }
    if embeddings.copies is not None:
        rows = pa.FixedSizeListArray.from_arrays(embeddings.copies.ravel(), dim_z)
        columns["copies"] = pa.FixedSizeListArray.from_arrays(rows, embeddings.copies.shape[1])
    return pa.table(columns)
