"""Faults to inject into the test Hub, and the log of what was asked of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Request:
    """One request as the server saw it. ``path`` is unquoted and holds no query."""

    method: str
    path: str
    query: str
    route: str | None  # name of the endpoint: "commit", "resolve", "lfs_upload", ...; None if there is no such endpoint
    user: str | None = None
    status: int | None = None  # None: the connection was reset
    range: str | None = None
    agent: str = ""
    received: int = 0  # bytes of the body
    fault: Fault | None = None

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


Match = str | re.Pattern | Callable[[Request], bool]


def matches(request: Request, match: Match, method: str | None, route: str | None) -> bool:
    """Whether a request is meant: ``match`` is a part of path and query, a compiled pattern, or a function."""
    if (method and request.method != method.upper()) or (route and request.route != route):
        return False
    if callable(match):
        return match(request)
    return bool(match.search(request.target)) if isinstance(match, re.Pattern) else match in request.target


class RequestLog:
    """What was asked, oldest first; written just before the answer leaves, so a caller that has it finds it here."""

    def __init__(self) -> None:
        self._requests: list[Request] = []
        self._lock = threading.Lock()

    def append(self, request: Request) -> None:
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()

    def __iter__(self) -> Iterator[Request]:
        with self._lock:
            return iter(list(self._requests))

    def __len__(self) -> int:
        return len(self._requests)

    def select(self, match: Match = "", method: str | None = None, route: str | None = None) -> list[Request]:
        return [request for request in self if matches(request, match, method, route)]

    def count(self, match: Match = "", method: str | None = None, route: str | None = None) -> int:
        return len(self.select(match, method, route))

    def __str__(self) -> str:
        return "\n".join(f"{r.status} {r.method} {r.target}{f' [{r.range}]' if r.range else ''}" for r in self)


@dataclass(eq=False)
class Fault:
    """One rule: which requests fail, how often, and how. See ``Faults.add``."""

    match: Match
    method: str | None
    route: str | None
    times: int | None
    skip: int
    status: int | None
    retry_after: float | None
    reset: bool
    truncate: int | None
    delay: float
    stale: bool
    applied: bool
    hits: int = 0  # how often it struck
    seen: int = field(default=0, repr=False)


class Faults:
    """The faults in force. The first that matches a request strikes; fixture ``hub`` clears them after a test."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        match: Match = "",
        *,
        method: str | None = None,
        route: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        status: int | None = None,
        retry_after: float | None = None,
        reset: bool = False,
        truncate: int | None = None,
        delay: float = 0.0,
        stale: bool = False,
        applied: bool = False,
    ) -> Fault:
        """Let requests fail. Exactly one of status, reset, truncate, stale; delay may go with it or stand alone.

        Args:
            match: part of path and query, compiled pattern, or function of a ``Request``.
            method: HTTP method, any by default.
            route: name of the endpoint, as in ``Request.route``.
            times: how many requests it strikes; None for all.
            skip: how many matching requests pass before it strikes.
            status: answer with this status; ``retry_after`` seconds go into the Retry-After header.
            reset: break the connection (RST) without an answer.
            truncate: announce the whole body, send this many bytes of it, break the connection.
            delay: wait, in seconds, then answer.
            stale: answer as if the branch's last commit had not happened yet (listings, info, files).
            applied: the request takes effect first, then the answer is lost (status, reset).
        """
        kinds = sum((status is not None, reset, truncate is not None, stale))
        if kinds > 1 or not (kinds or delay):
            raise ValueError("a fault is one of status, reset, truncate, stale, or a delay with at most one of them")
        if applied and status is None and not reset:
            raise ValueError("applied goes with status or reset")
        if retry_after is not None and status is None:
            raise ValueError("retry_after goes with status")
        fault = Fault(match, method, route, times, skip, status, retry_after, reset, truncate, delay, stale, applied)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, request: Request) -> Fault | None:
        """The fault that strikes a request, counted."""
        with self._lock:
            for fault in self._faults:
                if (fault.times is None or fault.hits < fault.times) and matches(
                    request, fault.match, fault.method, fault.route
                ):
                    fault.seen += 1
                    if fault.seen > fault.skip:
                        fault.hits += 1
                        return fault
        return None
