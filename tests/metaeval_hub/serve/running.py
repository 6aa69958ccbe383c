"""A service that runs in a thread of the test, and a client for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from typing import Any

import numpy as np

from metaeval_hub.serve.app import build_app
from metaeval_hub.serve.rows import Row
from metaeval_hub.serve.server import Server, open_socket

LABELS = {"x/one": ("no", "yes"), "x/pair": ("same", "other", "none"), "x/any": ("a", "b")}
FIELDS = {"x/one": 1, "x/pair": 2}


class LengthEngine:
    """A model without weights: the probability of the first class is 1 / (1 + tokens), the others share the rest.

    Args:
        held: passes wait for this event.
    """

    labels, fields = LABELS, FIELDS

    def __init__(self, held: threading.Event | None = None) -> None:
        self.held, self.sizes, self.started = held, [], threading.Event()

    def rows(self, tasks, texts):
        joined = [text if isinstance(text, str) else " ".join(text) for text in texts]
        if "untokenizable" in joined:
            raise ValueError(f"texts[{joined.index('untokenizable')}] is 'untokenizable', on which the tokenizer fails")
        return [
            Row(task, [len(word) for word in text.split()] or [0]) for task, text in zip(tasks, joined, strict=True)
        ]

    def probabilities(self, rows):
        self.started.set()
        if self.held is not None:
            assert self.held.wait(20)
        self.sizes.append(len(rows))
        if any(666 in map(len, [row.ids]) for row in rows):
            raise MemoryError("no memory for 666 tokens")
        found = []
        for row in rows:
            first, rest = 1 / (1 + len(row.ids)), len(LABELS[row.task]) - 1
            found.append(np.array([first, *[(1 - first) / rest] * rest], np.float32))
        return found


class Client:
    """Sends requests to a port of this machine.

    Args:
        port: the port.
        headers: headers of every request.
    """

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self.port, self.headers = port, headers or {}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
        """Returns the status, the JSON or text of the answer, and its headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None:
            given.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else json.dumps(body)
        with contextlib.closing(connection):
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            text = answer.read().decode()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(text) if is_json else text, answer.headers

    def predict(self, body: Any, **headers: str) -> tuple[int, Any]:
        return self.ask("POST", "/predict", body, **headers)[:2]

    def metric(self, name: str) -> float:
        lines = self.ask("GET", "/metrics")[1].splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)), 0.0)

    def wait_for(self, name: str, value: float) -> None:
        until = time.monotonic() + 10
        while (found := self.metric(name)) != value:
            assert time.monotonic() < until, f"{name} is {found}, not {value}"
            time.sleep(0.005)


@contextlib.contextmanager
def running(engine, limits=None, token=None):
    """Yields a client of a running service, and stops the service."""
    ready = threading.Event()
    with open_socket("127.0.0.1", 0) as socket:
        server = Server(build_app(engine, limits, token), ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        assert ready.wait(20)
        client = Client(socket.getsockname()[1])
        client.server, client.thread = server, thread
        try:
            yield client
        finally:
            server.should_exit = True
            if engine.held is not None:
                engine.held.set()
            thread.join(20)
            assert not thread.is_alive()
