"""Ask the Hub about the files of sources, once for each, and share the answers between tasks and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.sources.hub_files import RepoFacts, Token, read_range, repo_facts
from metaeval_datasets.sources.layout import kind_of
from metaeval_datasets.sources.pins import Pins
from metaeval_datasets.spec import Source

FOOTER_BYTES = 64 << 10  # bytes of the first request; nearly all footers fit
HEAD_BYTES = 256 << 10  # bytes read from the start of a CSV or JSON file

T = TypeVar("T")


class Answers:
    """Cache answers of the Hub, so that tasks and threads that need the same answer send one request.

    Args:
        token: as in ``load_dataset``.
        pins: commits at which sources are pinned.
    """

    def __init__(self, token: Token = None, pins: Pins | None = None) -> None:
        self.token, self.pins = token, pins or Pins()
        self._lock = threading.Lock()
        self._known: dict[tuple[Hashable, ...], Future[Any]] = {}

    def count(self, kind: str = "") -> int:
        """Return the number of answers of one kind (``repo``, ``footer``, ``head``), or of all."""
        return sum(not kind or key[0] == kind for key in list(self._known))

    def repo(self, source: Source) -> RepoFacts:
        """Return the facts about a source's repository at its pinned commit, or at its declared revision."""
        return self._repo(source.repo, self.pins.commit(source) or source.revision)

    def branch(self, source: Source) -> RepoFacts:
        """Return the facts about a source's repository at its declared revision, even if it is pinned."""
        return self._repo(source.repo, source.revision)

    def main(self, source: Source) -> RepoFacts:
        """Return the facts about a source's repository on its main branch."""
        return self._repo(source.repo, None)

    def footer(self, source: Source, facts: RepoFacts, path: str) -> pq.ParquetFile:
        """Return a Parquet file of which only the footer was read."""
        return self._once(("footer", source.repo, facts.commit, path), lambda: self._footer(source, facts, path))

    def head(self, source: Source, facts: RepoFacts, path: str) -> bytes:
        """Return the first lines of a file, or all of a small file."""
        key = ("head", source.repo, facts.commit, path, source.quote)
        return self._once(key, lambda: self._head(source, facts, path))

    def _once(self, key: tuple[Hashable, ...], ask: Callable[[], T]) -> T:
        with self._lock:
            known = self._known.get(key)
            first = known is None
            if known is None:
                known = self._known[key] = Future()
        if first:
            try:
                known.set_result(ask())
            except BaseException as error:  # other threads that wait for the answer get the error too
                known.set_exception(error)
        result: T = known.result()
        return result

    def _repo(self, repo: str, revision: str | None) -> RepoFacts:
        return self._once(("repo", repo, revision), lambda: repo_facts(repo, revision, self.token))

    def _footer(self, source: Source, facts: RepoFacts, path: str) -> pq.ParquetFile:
        size = facts.sizes[path]
        if not size:
            raise SourceError(f"{path} is empty")
        content = read_range(source.repo, path, facts.commit, max(0, size - FOOTER_BYTES), size, self.token)
        length = int.from_bytes(content[-8:-4], "little") + 8 if content[-4:] == b"PAR1" else 0
        if len(content) < length <= size:
            content = read_range(source.repo, path, facts.commit, size - length, size, self.token)
        try:
            return pq.ParquetFile(pa.BufferReader(content))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is not a readable Parquet file: {error}") from error

    def _head(self, source: Source, facts: RepoFacts, path: str) -> bytes:
        size = facts.sizes[path]
        if not size:
            raise SourceError(f"{path} is empty")
        content = read_range(source.repo, path, facts.commit, 0, min(size, HEAD_BYTES), self.token)
        return content if size <= HEAD_BYTES else whole_lines(content, source.quote if kind_of(path) == "csv" else None)


def whole_lines(content: bytes, quote: str | None = '"') -> bytes:
    """Return the beginning of a file up to the last line break outside quotes, which can be parsed separately."""
    end = content.rfind(b"\n") + 1
    kept = content[:end]
    while quote and kept.count(quote.encode()) % 2:
        kept = kept[: kept.rfind(b"\n", 0, -1) + 1]
    return kept or content[:end] or content
