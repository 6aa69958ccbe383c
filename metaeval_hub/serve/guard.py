"""What every request passes before it is answered: who may ask, and how long the answer took."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from starlette.responses import JSONResponse

from metaeval_hub.serve.metrics import Metrics
from metaeval_hub.serve.requests import RequestError

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

# These say nothing about the model: whether the server runs, and the description of every server of this package.
OPEN_PATHS = frozenset({"/healthz", "/docs", "/openapi.json"})
PATHS = frozenset({"/predict", "/tasks", "/metrics", *OPEN_PATHS})


class JSONLine(JSONResponse):
    """JSON that ends with a line break, so that the prompt of a terminal is not on the line of an answer."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return super().render(content) + b"\n"


def error_response(error: RequestError) -> JSONLine:
    """Return the answer for an error."""
    return JSONLine(error.content(), error.status, error.headers)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address can only be reached from this machine."""
    name = host.rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


class Guard:
    """Refuse requests without the token, and count all requests.

    A server without a token answers only if the address that the client typed is one of this machine. Otherwise, a web
    page could reach it through a host name of its own that leads to 127.0.0.1.

    Args:
        app: answers the requests that are let through.
        metrics: counts the requests.
        token: the token; None lets every client of this machine through.
    """

    def __init__(self, app: App, metrics: Metrics, token: str | None) -> None:
        self._app, self._metrics = app, metrics
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope)
            await (self._app if refusal is None else error_response(refusal))(scope, receive, watch)
        except Exception:
            status = status or 500
            raise
        finally:
            if status:
                self._metrics.request(_declared(scope["path"]), status, time.perf_counter() - started)

    def _refusal(self, scope: Message) -> RequestError | None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._token is None:
            host = headers.get(b"host", b"").decode("latin-1")
            name = host.partition("]")[0] if host.startswith("[") else host.partition(":")[0]
            if not is_loopback(name):
                return RequestError(
                    421,
                    f"this server answers only to localhost, and the request is for {name[:100]!r}; to serve under "
                    "another name, start it with a token",
                )
        elif scope["path"] not in OPEN_PATHS:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token):
                return RequestError(
                    401,
                    "the token is missing or wrong; send the header 'Authorization: Bearer TOKEN'",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        return None


def _declared(path: str) -> str:
    """Return a path as it is declared, so that there are few to count."""
    if path in PATHS:
        return path
    return "/tasks/{name}" if path.startswith("/tasks/") else "other"
