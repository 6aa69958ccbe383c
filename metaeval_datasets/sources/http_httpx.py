"""Connect to ``httpx``, which huggingface_hub 1 uses, or its successor ``httpx2``; ``http_requests`` is the twin.

Both modules provide ``HTTP_ERRORS``, ``CERTIFICATE_VARIABLE``, ``kind_of_failure`` and ``install``.
"""

from __future__ import annotations

import importlib
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import getproxies, proxy_bypass

from metaeval_datasets.sources import answer_limits
from metaeval_datasets.sources.answer_limits import BusyHubError
from metaeval_datasets.sources.failures import Failure, asked_wait

_http: Any = importlib.import_module("huggingface_hub.utils._http")  # untyped: its names depend on the version
httpx: Any = getattr(_http, "httpx2", None) or _http.httpx  # huggingface_hub 2 uses httpx2

HTTP_ERRORS: tuple[type[Exception], ...] = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL)
CERTIFICATE_VARIABLE = "SSL_CERT_FILE"


def kind_of_failure(error: BaseException) -> Failure | None:
    """Return how a request failed before its answer was complete; None if the error has another reason."""
    if isinstance(error, httpx.ProxyError):
        return "proxy"
    if isinstance(error, httpx.TransportError) and any(isinstance(each, ssl.SSLError) for each in _chain(error)):
        return "certificate"
    if isinstance(error, httpx.ConnectTimeout):
        return "not connected in time"
    if isinstance(error, httpx.TimeoutException):
        return "slow"
    if isinstance(error, httpx.ConnectError):
        return "proxy" if _has_proxy(error) else "not connected"
    return "broken" if isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError)) else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that it was made from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _has_proxy(error: Any) -> bool:
    """Return whether the request of an error was sent to a proxy."""
    request = getattr(error, "_request", None)
    if request is None:
        return False
    proxies = getproxies()
    return bool(proxies.get(request.url.scheme) or proxies.get("all")) and not proxy_bypass(request.url.host)


def install() -> None:
    """Apply the limits to all clients that the Hub client creates from now on, if not done before."""
    make = _http._GLOBAL_CLIENT_FACTORY
    if getattr(make, "is_limited", False):
        return

    def make_limited() -> Any:
        return _limit(make())

    make_limited.is_limited = True  # type: ignore[attr-defined]
    _http._GLOBAL_CLIENT = None  # `set_client_factory` would close it, although other threads may be using it
    _http.set_client_factory(make_limited)


def _limit(client: Any) -> Any:
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = _PacedBackend(pool._network_backend)
    client._transport = _Transport(client._transport)
    client._mounts = {
        pattern: None if transport is None else _Transport(transport) for pattern, transport in client._mounts.items()
    }
    client.event_hooks = {**client.event_hooks, "response": [*client.event_hooks["response"], _check]}
    return client


class _Transport(httpx.BaseTransport):  # type: ignore[misc]
    """Set the time limits of requests that have none."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def handle_request(self, request: Any) -> Any:
        if not answer_limits.are_active():
            return self._inner.handle_request(request)
        answer_limits.check_patience()
        connect, other = answer_limits.timeouts(request.method)
        usual = {"connect": connect, "read": other, "write": other, "pool": other}
        given = {name: value for name, value in request.extensions.get("timeout", {}).items() if value is not None}
        request.extensions = {**request.extensions, "timeout": {**usual, **given}}
        started = time.monotonic()
        try:
            return self._inner.handle_request(request)
        except httpx.ConnectTimeout:
            answer_limits.lose(time.monotonic() - started)
            raise

    def close(self) -> None:
        self._inner.close()


def _check(response: Any) -> None:
    """Check the headers that become file names or waits, and limit the length of the body."""
    if not answer_limits.are_active():
        return
    answer_limits.check_head(response)
    wait = asked_wait(response)
    if response.status_code >= 400 and wait is not None and wait > answer_limits.MAX_WAIT_SECONDS:
        raise BusyHubError(f"{response.status_code} {response.reason_phrase} for url: {response.url}", response)
    read, most = response.iter_bytes, answer_limits.most_in_file()
    response.read = _reader(response, read)
    response.iter_bytes = lambda *sizes, **more: answer_limits.counted(read(*sizes, **more), response, most)


def _reader(response: Any, iter_bytes: Callable[[], Iterator[bytes]]) -> Callable[[], bytes]:
    """Return a function that reads a whole answer into memory, in place of the method of the response."""

    def read() -> bytes:
        if not hasattr(response, "_content"):
            most = answer_limits.most_in_memory(response)
            response._content = b"".join(answer_limits.counted(iter_bytes(), response, most))
        content: bytes = response._content
        return content

    return read


class _PacedBackend:
    """Open connections whose answers have a minimum speed."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def connect_tcp(self, *place: Any, **options: Any) -> _PacedStream:
        return _PacedStream(self._inner.connect_tcp(*place, **options))


class _PacedStream:
    """Read an answer as long as it is fast enough. Writing starts a new request, and so a new answer."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._pace = inner, answer_limits.Pace()
        self._is_new, self._is_read = True, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def start_tls(self, *context: Any, **options: Any) -> _PacedStream:
        return _PacedStream(self._inner.start_tls(*context, **options))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._is_new:
            self._is_read = any(buffer.startswith(f"{method} ".encode()) for method in answer_limits.READS)
            self._is_new, self._pace = False, answer_limits.Pace()
        self._inner.write(buffer, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._is_new = True  # what is written next begins another request
        if not self._is_read:
            content: bytes = self._inner.read(max_bytes, timeout)
            return content
        try:
            with self._pace.waiting():
                content = self._inner.read(max_bytes, timeout)
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        self._pace.count(len(content))
        return content
