"""Connect to the ``requests`` library, which huggingface_hub before version 1 uses; ``http_httpx`` is its twin.

Both modules provide ``HTTP_ERRORS``, ``CERTIFICATE_VARIABLE``, ``kind_of_failure`` and ``install``.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPResponse
from typing import Any

import requests
from huggingface_hub import configure_http_backend
from huggingface_hub.utils import _http
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from metaeval_datasets.sources import answer_limits
from metaeval_datasets.sources.failures import Failure

HTTP_ERRORS: tuple[type[Exception], ...] = (requests.RequestException,)
CERTIFICATE_VARIABLE = "REQUESTS_CA_BUNDLE"


def kind_of_failure(error: BaseException) -> Failure | None:
    """Return how a request failed before its answer was complete; None if the error has another reason."""
    if isinstance(error, requests.exceptions.ProxyError):
        return "proxy"
    if isinstance(error, requests.exceptions.SSLError):
        return "certificate"
    # `requests` raises ConnectionError if a body stops.
    stopped = isinstance(error, requests.ConnectionError) and "Read timed out" in str(error)
    if stopped or isinstance(error, (requests.ReadTimeout, ReadTimeoutError)):
        return "slow"
    if isinstance(error, requests.ConnectTimeout):
        return "not connected in time"
    if isinstance(error, requests.ConnectionError):
        reason = getattr(error.args[0], "reason", None) if error.args else None
        return "not connected" if isinstance(reason, NewConnectionError) else "broken"
    return "broken" if isinstance(error, (ProtocolError, requests.exceptions.ChunkedEncodingError)) else None


def install() -> None:
    """Apply the limits to all sessions that the Hub client creates from now on, if not done before."""
    make = _http._GLOBAL_BACKEND_FACTORY
    if getattr(make, "is_limited", False):
        return

    def make_limited() -> requests.Session:
        return _limit(make())

    make_limited.is_limited = True  # type: ignore[attr-defined]
    configure_http_backend(make_limited)


def _limit(session: requests.Session) -> requests.Session:
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SafePool}
            adapter.send = partial(_send, adapter.send)  # type: ignore[method-assign]
    session.hooks["response"].append(_check)
    return session


def _send(send: Callable[..., requests.Response], request: requests.PreparedRequest, **options: Any) -> Any:
    if not answer_limits.are_active():
        return send(request, **options)
    answer_limits.check_patience()
    if options.get("timeout") is None:
        options["timeout"] = answer_limits.timeouts(request.method or "")
    started = time.monotonic()
    try:
        return send(request, **options)
    except requests.ConnectTimeout:
        answer_limits.lose(time.monotonic() - started)
        raise


def _check(response: requests.Response, **options: Any) -> None:
    """Check the headers that become file names, and limit the length of the body."""
    if not answer_limits.are_active():
        return
    answer_limits.check_head(response)
    read = response.iter_content
    if not options.get("stream") or response.is_redirect or not response.ok:  # no file, but a page or a reason
        most = answer_limits.most_in_memory(response)
        response._content = b"".join(answer_limits.counted(read(1 << 16), response, most))
    else:
        most = answer_limits.most_in_file()
        response.iter_content = lambda *sizes, **more: answer_limits.counted(read(*sizes, **more), response, most)  # type: ignore[method-assign]


class _Paced(io.RawIOBase):
    """Read an answer as long as it is fast enough."""

    def __init__(self, raw: Any) -> None:
        self._raw, self._pace = raw, answer_limits.Pace()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        with self._pace.waiting():
            count: int | None = self._raw.readinto(buffer)
        self._pace.count(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PacedResponse(HTTPResponse):
    """Apply the minimum speed to the status line, the headers and the body of an answer."""

    def __init__(self, sock: Any, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        if method in answer_limits.READS:
            self.fp = io.BufferedReader(_Paced(self.fp.detach()))  # type: ignore[assignment, attr-defined]


class _Connection(HTTPConnection):
    response_class = _PacedResponse


class _SafeConnection(HTTPSConnection):
    response_class = _PacedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SafePool(HTTPSConnectionPool):
    ConnectionCls = _SafeConnection
