"""Run the service on a socket until a signal stops it."""

from __future__ import annotations

import os
import signal
import socket
import string
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from metaeval_hub.serve.guard import is_loopback

TOKEN_VARIABLE = "METAEVAL_TOKEN"  # noqa: S105 - the name of a variable
SHORTEST_TOKEN = 16
MOST_CONNECTIONS = 1_000
STOP_SECONDS = 60  # how long requests may take after a signal to stop
_TOKEN_CHARACTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)


def read_token(file: Path | None) -> str | None:
    """Return the token of the file, or of the variable METAEVAL_TOKEN; None if neither is given.

    Raises:
        ValueError: the token is too short, or contains blanks or characters that are not ASCII.
        OSError: the file cannot be read; the message names it.
    """
    if file is None:
        token, place = os.environ.get(TOKEN_VARIABLE), f"the variable {TOKEN_VARIABLE}"
        if not token:
            return None
    else:
        try:
            token, place = file.read_text(encoding="utf-8", errors="replace").strip(), str(file)
        except OSError as error:
            raise OSError(f"the token file {file} cannot be read: {error.strerror}") from error
    if len(token) < SHORTEST_TOKEN or not set(token) <= _TOKEN_CHARACTERS:
        raise ValueError(
            f"{place} contains no usable token; expected one line of at least {SHORTEST_TOKEN} ASCII characters "
            "without blanks, such as the output of: openssl rand -hex 32"
        )
    return token


def check_host(host: str, token: str | None) -> None:
    """Check that a server that other machines can reach has a token.

    Raises:
        ValueError: it has none.
    """
    if token is None and not is_loopback(host):
        raise ValueError(
            f"--host {host} lets other machines reach the server, which needs a token; pass --token-file FILE, or set "
            f"{TOKEN_VARIABLE}"
        )


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Args:
        host: name or address of an interface of this machine.
        port: 0 chooses a free port.

    Raises:
        ValueError: the port is out of range.
        OSError: the address cannot be used; the message says what to do.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"--port is {port}; expected 0 to 65535")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind)
    except OSError as error:
        raise OSError(f"--host {host} cannot be used: {error.strerror or error}; try 127.0.0.1") from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        found.close()
        raise OSError(
            f"port {port} of {host} cannot be used: {error.strerror or error}; choose another one with --port"
        ) from None
    return found


class Server(uvicorn.Server):
    """A server that ends normally when a signal stops it: uvicorn's own sends the signal a second time.

    Args:
        app: the service.
        started: called once the server answers, such as to print its address.
        options: further options of ``uvicorn.Config``.
    """

    def __init__(self, app: FastAPI, started: Callable[[], None] | None = None, **options: Any) -> None:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=STOP_SECONDS,
            **options,
        )
        super().__init__(config)
        self._when_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer."""
        await super().startup(sockets=sockets)
        if self.started and self._when_started is not None:
            self._when_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM once all requests are answered; a second signal stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = {kind: signal.signal(kind, self.handle_exit) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)
