"""What one run works out of the data and the next need not: JSON and Arrow files, named by all that they depend on.

A file is written under another name and renamed when all of it is on the disk. So what has a final name is whole, and
two processes that work out the same thing at once both end with it. Every file begins with a checksum of the rest: a
file that a disk has damaged counts as missing, and is written again. Nothing here is ever wrong to delete.
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

HEAD = 128  # bytes ahead of the content: its SHA-256, padded so that the numbers in Arrow files stay aligned


def default_folder() -> Path:
    """Where the cache is unless the settings say otherwise: beside those of the Hugging Face libraries."""
    return Path(constants.HF_HOME) / "metaeval"


def digest(*parts: Any) -> str:
    """32 hex digits that change with any part; parts are JSON values."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class DataCache:
    """Files by kind and key.

    A disk that is full or read-only costs the run nothing but the time to work things out again: ``problem`` then says
    what happened first.

    Args:
        folder: made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem = ""

    def path(self, kind: str, key: str, ending: str) -> Path:
        """Where a file is, whether it exists or not."""
        return self.folder / kind / key[:2] / f"{key}.{ending}"

    def read_json(self, kind: str, key: str) -> Any:
        """The JSON value, None where there is none."""
        try:
            return json.loads(_checked(self.path(kind, key, "json").read_bytes()))
        except (OSError, ValueError):
            return None

    def write_json(self, kind: str, key: str, value: Any) -> None:
        """Keep a JSON value."""
        self._write(self.path(kind, key, "json"), json.dumps(value).encode())

    def read_table(self, kind: str, key: str) -> pa.Table | None:
        """The table, mapped into memory; None where there is none."""
        try:
            with pa.memory_map(str(self.path(kind, key, "arrow"))) as source:  # the map outlives the open file
                content = _checked(memoryview(source.read_buffer()))
            return pa.ipc.open_file(pa.py_buffer(content)).read_all()
        except (OSError, ValueError):  # ArrowInvalid is a ValueError
            return None

    def write_table(self, kind: str, key: str, table: pa.Table) -> pa.Table:
        """Keep a table; returns it mapped into memory, or as it came where it could not be written."""
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
    """The content of a file without its head; ValueError where the two do not belong together."""
    head, content = stored[:HEAD], stored[HEAD:]
    if bytes(head) != _checksum(content):
        raise ValueError("the checksum is that of other content")
    return content
