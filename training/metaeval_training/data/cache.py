"""Cache prepared data for later runs: JSON and Arrow files, named by a digest of everything they depend on.

Each file is written atomically, also if two processes write it at the same time, and begins with a checksum of the
rest. A damaged file counts as missing and is written again. All files can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from huggingface_hub import constants

from metaeval_training.atomic_files import write_file
from metaeval_training.config import TrainConfig

HEAD = 128  # bytes before the content: its SHA-256, padded so that the numbers in Arrow files stay aligned


def default_folder() -> Path:
    """Return the default folder of the cache, next to the caches of the Hugging Face libraries."""
    return Path(constants.HF_HOME) / "metaeval"


def digest(*parts: Any) -> str:
    """Return 32 hex digits that change if any of the parts, which are JSON values, changes."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class DataCache:
    """Stores files by kind and key.

    If the disk is full or read-only, nothing is stored and the run continues.

    Args:
        folder: created when the first file is written.

    Attributes:
        problem: the first error of a write; "" if there was none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem = ""

    def path(self, kind: str, key: str, ending: str) -> Path:
        """Return the path of a file, which may not exist."""
        return self.folder / kind / key[:2] / f"{key}.{ending}"

    def read_json(self, kind: str, key: str) -> Any:
        """Return a stored JSON value; None if it is missing or damaged."""
        try:
            return json.loads(_checked(self.path(kind, key, "json").read_bytes()))
        except (OSError, ValueError):
            return None

    def write_json(self, kind: str, key: str, value: Any) -> None:
        """Store a JSON value."""
        self._write(self.path(kind, key, "json"), json.dumps(value).encode())

    def read_table(self, kind: str, key: str) -> pa.Table | None:
        """Return a stored table, mapped into memory; None if it is missing or damaged."""
        try:
            with pa.memory_map(str(self.path(kind, key, "arrow"))) as source:  # the map outlives the open file
                content = _checked(memoryview(source.read_buffer()))
            return pa.ipc.open_file(pa.py_buffer(content)).read_all()
        except (OSError, ValueError):  # ArrowInvalid is a ValueError
            return None

    def write_table(self, kind: str, key: str, table: pa.Table) -> pa.Table:
        """Store a table and return it mapped into memory; return ``table`` itself if it could not be stored."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        self._write(self.path(kind, key, "arrow"), memoryview(sink.getvalue()))
        kept = self.read_table(kind, key)
        return table if kept is None else kept

    def _write(self, target: Path, content: bytes | memoryview) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_file(target, _checksum(content), content)
        except OSError as error:
            self.problem = self.problem or f"{type(error).__name__}: {error}"


def data_cache(config: TrainConfig) -> DataCache:
    """Return the cache of prepared data that the settings name."""
    return DataCache(Path(config.cache_dir) if config.cache_dir else default_folder())


def _checksum(content: bytes | memoryview) -> bytes:
    return hashlib.sha256(content).hexdigest().encode().ljust(HEAD - 1) + b"\n"


def _checked(stored: Any) -> Any:
    """Return the content of a file without its checksum; raise ValueError if the checksum differs."""
    head, content = stored[:HEAD], stored[HEAD:]
    if bytes(head) != _checksum(content):
        raise ValueError("the checksum differs from that of the content")
    return content
