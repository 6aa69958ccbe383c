"""Limit what the Hub may answer: time, number of bytes, and headers that become file names.

The Hub client waits without end for some answers, reads answers of any length, and names files after the ETag of an
answer. ``http_requests`` and ``http_httpx`` apply the limits of this module to the HTTP library of the Hub client.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 15.0  # seconds without a byte of the answer, unless the client sets another limit
WRITE_SECONDS = 120.0  # the same for requests that write: a commit of many files takes long
GRACE_SECONDS = 30.0  # seconds of waiting for bytes before the minimum speed applies:
LEAST_BYTES_PER_SECOND = 1_000
MAX_ANSWER_BYTES = 64 << 20  # maximum bytes of an answer that is kept in memory
MAX_FILE_BYTES = 16 << 30
MAX_WAIT_SECONDS = 120.0  # longest time that the Hub may ask a client to wait before the next request
READS = frozenset({"GET", "HEAD"})
COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=-]{0,255}")
_XET_HASH = re.compile(r"[0-9a-fA-F]{64}")
_FILE_NAMES = (("X-Linked-Etag", _ETAG), ("ETag", _ETAG), ("X-Repo-Commit", COMMIT), ("X-Xet-Hash", _XET_HASH))

_lock = threading.Lock()
_limits: list[int] = []  # maximum bytes per file of each running call
_own = threading.local()  # per thread: .size of the last requested file, .lost seconds waited without an answer


class LimitError(OSError):
    """Base class of the errors of this module."""


class HubAnswerError(LimitError):
    """Raised if an answer of the Hub is too long or malformed."""


class SlowHubError(LimitError):
    """Raised if the Hub was slow for too long; no further request was sent."""


class BusyHubError(LimitError):
    """Raised if the Hub asks to wait for longer than ``MAX_WAIT_SECONDS``.

    Args:
        message: what the Hub answered.
        response: the answer of the Hub.
    """

    def __init__(self, message: str, response: Any) -> None:
        super().__init__(message)
        self.response = response


@contextmanager
def limited(max_file_bytes: int) -> Iterator[None]:
    """Apply the limits while the block runs.

    Args:
        max_file_bytes: maximum size of a downloaded file.
    """
    with _lock:
        _limits.append(max_file_bytes)
    _own.size, _own.lost = None, 0.0
    try:
        yield
    finally:
        with _lock:
            _limits.remove(max_file_bytes)


def are_active() -> bool:
    """Return whether a block of this package is asking the Hub."""
    return bool(_limits)


# --- Time -------------------------------------------------------------------------------------------------------------


def timeouts(method: str) -> tuple[float, float]:
    """Return the seconds to wait for a connection, and for the next byte of the answer to a request."""
    return CONNECT_SECONDS, SILENT_SECONDS if method in READS else WRITE_SECONDS


def check_patience() -> None:
    """Check that this thread has not waited too long for answers; the Hub client itself retries up to six times.

    Raises:
        SlowHubError: it has.
    """
    lost = getattr(_own, "lost", 0.0)
    if lost > GRACE_SECONDS:
        raise SlowHubError(f"no answer in {lost:.0f} seconds")


def lose(seconds: float) -> None:
    """Count seconds in which this thread waited without an answer."""
    _own.lost = getattr(_own, "lost", 0.0) + seconds


class Pace:
    """Measure the speed of one answer; only the time spent waiting for bytes counts."""

    def __init__(self) -> None:
        self._waited, self._received = 0.0, 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the seconds of the block, which waits for bytes.

        Raises:
            TimeoutError: the answer is too slow to wait any longer.
        """
        started = time.monotonic()
        try:
            if _limits and self._waited > GRACE_SECONDS and self._received < self._waited * LEAST_BYTES_PER_SECOND:
                raise TimeoutError(f"{self._received:,} bytes in {self._waited:.0f} seconds")
            yield
        except Exception:
            lose(self._waited + time.monotonic() - started)
            raise
        self._waited += time.monotonic() - started

    def count(self, received: int) -> None:
        """Add the number of bytes that arrived."""
        self._received += received


# --- Headers and lengths ----------------------------------------------------------------------------------------------


def check_head(response: Any) -> None:
    """Check the headers of a response that become file names, and remember the size that a HEAD response announces.

    Args:
        response: response of ``requests`` or ``httpx``.

    Raises:
        HubAnswerError: a value that becomes part of a path is itself a path.
    """
    if response.request.method != "HEAD" or response.status_code >= 400:
        return
    for header, rule in _FILE_NAMES:
        value = response.headers.get(header)
        if value is not None and not rule.fullmatch(value.removeprefix("W/").strip('"')):
            raise HubAnswerError(
                f"the answer for {_path(response)} has the {header} {value[:80]!r}, which cannot name "
                "a file of the cache; nothing was downloaded"
            )
    size = response.headers.get("X-Linked-Size") or response.headers.get("Content-Length") or ""
    _own.size = int(size) if size.isdecimal() and len(size) < 20 else None


def most_in_memory(response: Any) -> int:
    """Return the maximum bytes of an answer kept in memory; more than usual if the request asks for more."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", str(response.request.headers.get("Range", "")))
    return max(MAX_ANSWER_BYTES, int(asked[2]) - int(asked[1]) + 1) if asked else MAX_ANSWER_BYTES


def most_in_file() -> int:
    """Return the maximum bytes of the file that this thread downloads: as promised, and no more than allowed."""
    promised: int | None = getattr(_own, "size", None)
    allowed = max(list(_limits), default=MAX_FILE_BYTES)
    return allowed if promised is None else min(allowed, promised)


def counted(chunks: Iterator[bytes], response: Any, most: int) -> Iterator[bytes]:
    """Yield the chunks of an answer as long as they are no longer than ``most`` bytes together.

    Raises:
        HubAnswerError: the answer is longer; it is closed.
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > most:
            response.close()
            raise HubAnswerError(f"the answer for {_path(response)} is longer than {most:,} bytes; reading was stopped")
        yield chunk


def _path(response: Any) -> str:
    """Return path and query of the request that was answered, for an error message."""
    url = urlsplit(str(response.request.url))
    return (url.path + (f"?{url.query}" if url.query else ""))[:200]
