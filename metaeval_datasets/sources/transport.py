"""Limit the answers of the Hub for all clients: time, bytes, and headers that become file names.

The Hub client waits without end for some answers, reads others whatever their length, and takes the ETag of an answer
for the name of a file. Its sessions are bounded here, for the time in which this package asks the Hub.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import requests
from huggingface_hub import configure_http_backend, constants
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import _http
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 15.0  # seconds without a byte of the answer, unless the client sets another limit
WRITE_SECONDS = 120.0  # the same for requests that write: a commit of many files takes long
GRACE_SECONDS = 30.0  # seconds of waiting for bytes before the minimum speed applies:
LEAST_BYTES_PER_SECOND = 1_000
PATIENCE_SECONDS = 60.0  # seconds after which no request is retried; half of it if the Hub does not answer at all
MAX_ANSWER_BYTES = 64 << 20  # maximum bytes of an answer that is kept in memory
MAX_FILE_BYTES = 16 << 30
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=-]{0,255}")
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST})
_READS = frozenset({"GET", "HEAD"})


class HubAnswerError(requests.RequestException):
    """Raised if an answer of the Hub is too long or malformed."""


class SlowHubError(requests.RequestException):
    """Raised if the Hub was slow for too long; no further request was sent."""


# --- Words ----------------------------------------------------------------------------------------------------------


def why_silent(error: BaseException | None) -> str | None:
    """Return why there was no answer; None if there was one, or if the failure is of another kind."""
    hub = f"the Hub at {constants.ENDPOINT}"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"{hub} cannot be reached through the proxy ({_cause(error)}); check HTTP_PROXY and HTTPS_PROXY"
    if isinstance(error, requests.exceptions.SSLError):
        return f"{hub} has a certificate that cannot be verified ({_cause(error)}); check REQUESTS_CA_BUNDLE"
    if isinstance(error, OfflineModeIsEnabled):
        return None
    slow = (SlowHubError, requests.ReadTimeout, TimeoutError, ReadTimeoutError)
    # `requests` raises ConnectionError if a body stops.
    if isinstance(error, slow) or (isinstance(error, requests.ConnectionError) and "Read timed out" in str(error)):
        return f"{hub} does not answer, or too slowly; try again later"
    if isinstance(error, (requests.ConnectionError, ConnectionError, ProtocolError)):
        return f"{hub} cannot be reached ({_cause(error)}); check the network, and HF_ENDPOINT if it is set"
    return None


def _cause(error: BaseException) -> str:
    """Return the innermost reason in a few words, such as "Connection refused"."""
    written = " ".join(str(error).split())
    if found := re.search(r"\[Errno -?\d+\] ([^'\")]+)", written):
        return found[1].strip()
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    return "the connection was broken off" if "abort" in written or "reset" in written else written[:200]


def is_unreachable(error: BaseException | None) -> bool:
    """Return whether there was no connection: no network, unknown host, or connection refused."""
    reason = getattr(error.args[0], "reason", None) if error is not None and error.args else None
    return isinstance(error, requests.ConnectionError) and isinstance(reason, NewConnectionError)


def is_unwritable(error: BaseException | None) -> bool:
    """Return whether an error means that a cache is not writable."""
    return isinstance(error, OSError) and error.errno in _UNWRITABLE


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Convert errors of the Hub client about malformed answers into a HubAnswerError.

    Raises:
        HubAnswerError: instead of the KeyError and the like.
    """
    try:
        yield
    except (HFValidationError, UnicodeError):
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        if isinstance(error, requests.RequestException) and not isinstance(error, requests.exceptions.JSONDecodeError):
            raise
        told = f"{type(error).__name__}: {error}"[:200]
        raise HubAnswerError(
            f"the answer of {constants.ENDPOINT} about {what} is not that of a Hub ({told}); check HF_ENDPOINT"
        ) from error


def commit_of(sha: object, what: str) -> str:
    """Return the full commit id given by the Hub.

    Raises:
        HubAnswerError: it is none.
    """
    if isinstance(sha, str) and _COMMIT.fullmatch(sha):
        return sha
    raise HubAnswerError(f"the Hub gives {str(sha)[:80]!r} as the commit of {what}; expected 40 hexadecimal digits")


# --- Limits ---------------------------------------------------------------------------------------------------------

_lock = threading.Lock()
_limits: list[int] = []  # maximum bytes per file of each running call
_own = threading.local()  # per thread: .size of the last requested file, .lost seconds waited without an answer


@contextmanager
def bounded(max_file_bytes: int = MAX_FILE_BYTES) -> Iterator[None]:
    """Apply the limits of this module to the Hub's answers while the block runs.

    Args:
        max_file_bytes: of one file that is downloaded.
    """
    with _lock:
        _install()
        _limits.append(max_file_bytes)
    _own.size, _own.lost = None, 0.0
    try:
        yield
    finally:
        with _lock:
            _limits.remove(max_file_bytes)


def _install() -> None:
    """Apply the limits to all sessions that the Hub client creates from now on, if not done before."""
    make = _http._GLOBAL_BACKEND_FACTORY
    if getattr(make, "is_bounded", False):
        return

    def make_bounded() -> requests.Session:
        return _bound(make())

    make_bounded.is_bounded = True  # type: ignore[attr-defined]
    configure_http_backend(make_bounded)


def _bound(session: requests.Session) -> requests.Session:
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SafePool}
            adapter.send = partial(_send, adapter.send)  # type: ignore[method-assign]
    session.hooks["response"].append(_check)
    return session


def _send(send: Callable[..., requests.Response], request: requests.PreparedRequest, **options: Any) -> Any:
    if not _limits:
        return send(request, **options)
    if getattr(_own, "lost", 0.0) > GRACE_SECONDS:  # the Hub client itself retries up to six times
        raise SlowHubError(f"no answer in {_own.lost:.0f} seconds")
    if options.get("timeout") is None:
        options["timeout"] = (CONNECT_SECONDS, SILENT_SECONDS if request.method in _READS else WRITE_SECONDS)
    started = time.monotonic()
    try:
        return send(request, **options)
    except requests.ConnectTimeout:
        _lose(time.monotonic() - started)
        raise


def _lose(seconds: float) -> None:
    _own.lost = getattr(_own, "lost", 0.0) + seconds


def _check(response: requests.Response, **options: Any) -> None:
    """Check the headers that become file names, and the length."""
    if not _limits:
        return
    if response.request.method == "HEAD" and response.ok:
        _check_names(response)
        size = response.headers.get("X-Linked-Size") or response.headers.get("Content-Length") or ""
        _own.size = int(size) if size.isdecimal() and len(size) < 20 else None
    if not options.get("stream") or response.is_redirect:
        response._content = b"".join(_counted(response.iter_content(1 << 16), response, _most_in_memory(response)))
    else:
        promised: int | None = getattr(_own, "size", None)
        allowed = max(list(_limits), default=MAX_FILE_BYTES)
        most = allowed if promised is None else min(allowed, promised)
        read = response.iter_content
        response.iter_content = lambda *sizes, **more: _counted(read(*sizes, **more), response, most)  # type: ignore[method-assign]


def _check_names(response: requests.Response) -> None:
    """Check that a value that becomes part of a path is not itself a path.

    Raises:
        HubAnswerError: it is one.
    """
    for header, rule in (("X-Linked-Etag", _ETAG), ("ETag", _ETAG), ("X-Repo-Commit", _COMMIT)):
        value = response.headers.get(header)
        if value is not None and not rule.fullmatch(value.removeprefix("W/").strip('"')):
            raise HubAnswerError(
                f"the answer for {response.request.path_url[:200]} has the {header} {value[:80]!r}, which cannot name "
                "a file of the cache; nothing was downloaded"
            )


def _most_in_memory(response: requests.Response) -> int:
    """Return the maximum bytes of an answer kept in memory; more than usual if the request asks for more."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", str(response.request.headers.get("Range", "")))
    return max(MAX_ANSWER_BYTES, int(asked[2]) - int(asked[1]) + 1) if asked else MAX_ANSWER_BYTES


def _counted(chunks: Iterator[bytes], response: requests.Response, most: int) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > most:
            response.close()
            raise HubAnswerError(
                f"the answer for {response.request.path_url[:200]} is longer than {most:,} bytes; reading was stopped"
            )
        yield chunk


class _Paced(io.RawIOBase):
    """Read an answer as long as it is fast enough; only the time spent waiting for bytes counts."""

    def __init__(self, raw: Any) -> None:
        self._raw, self._waited, self._received = raw, 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        started = time.monotonic()
        try:
            if _limits and self._waited > GRACE_SECONDS and self._received < self._waited * LEAST_BYTES_PER_SECOND:
                raise TimeoutError(f"{self._received:,} bytes in {self._waited:.0f} seconds")
            count: int | None = self._raw.readinto(buffer)
        except TimeoutError:
            _lose(self._waited + time.monotonic() - started)
            raise
        self._waited += time.monotonic() - started
        self._received += count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PacedResponse(HTTPResponse):
    """Apply the minimum speed to the status line, the headers and the body of an answer."""

    def __init__(self, sock: Any, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        if method in _READS:
            self.fp = io.BufferedReader(_Paced(self.fp.detach()))  # type: ignore[assignment, attr-defined]


class _Connection(HTTPConnection):
    response_class = _PacedResponse


class _SafeConnection(HTTPSConnection):
    response_class = _PacedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SafePool(HTTPSConnectionPool):
    ConnectionCls = _SafeConnection


# --- Caches that cannot be written ------------------------------------------------------------------------------------


@cache
def spare_cache() -> Path:
    """Return a temporary cache for use if that of the Hub client is not writable; deleted when this process ends."""
    folder, owner = Path(tempfile.mkdtemp(prefix="metaeval-cache-")), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not in a forked process
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
