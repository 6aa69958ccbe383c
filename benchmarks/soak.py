"""Send mixed traffic and faults to a server for minutes, and check every answer and the server's memory.

    python benchmarks/soak.py MODEL
    python benchmarks/soak.py MODEL --minutes 10 --clients 8

Before, `predict` gives the expected probabilities of texts of all tasks. Then clients send requests of one or several
tasks and, now and then, something that is wrong: broken JSON, an unknown task, a pair for a task over single texts, a
body that is too large, or a request whose client hangs up. Each answer has to have the expected status and, within
1e-3, the expected probabilities of its own task. The table shows the server's memory per minute. Exit code 1: an
answer was wrong, or the memory grew by more than a tenth after the first fifth of the time.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from benchmarks.inference import sample
from benchmarks.serving_contenders import resident_mb
from metaeval_hub import ConditionalAdapterModel

TOLERANCE = 1e-3
FAULTS = ("json", "task", "pair", "body", "hang up")  # what clients do wrong; one request in ten
STATUS = {"json": 400, "task": 422, "pair": 422, "body": 413}


@dataclass(frozen=True)
class Expected:
    """One text of a task and the probabilities of its classes."""

    task: str
    text: str | list[str]
    probabilities: dict[str, float]


@dataclass
class Found:
    """What all clients have seen.

    Attributes:
        right: kind of request -> number of right answers.
        wrong: descriptions of wrong answers.
    """

    right: collections.Counter[str] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)


def expected(folder: str, per_task: int) -> list[Expected]:
    """Return texts of all tasks with the probabilities that `predict` gives."""
    model = ConditionalAdapterModel.from_pretrained(folder)
    texts, found = sample(2 * per_task), []
    for name in model.task_names:
        pairs = model.fields.get(name) == 2
        given = list(zip(texts[:per_task], texts[per_task:], strict=True)) if pairs else texts[:per_task]
        predicted = model.predict(name, given)
        for text, row in zip(given, predicted.probabilities.tolist(), strict=True):
            shown = list(text) if pairs else text
            found.append(Expected(name, shown, dict(zip(model.labels[name], row, strict=True))))
    return found


class Client(threading.Thread):
    """Send requests until a time, and record what comes back."""

    def __init__(self, port: int, pool: Sequence[Expected], found: Found, until: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.port, self.pool, self.found, self.until, self.draw = port, pool, found, until, random.Random(seed)

    def run(self) -> None:
        """Send one request after the other."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while time.monotonic() < self.until:
            kind = self.draw.choice(FAULTS) if self.draw.random() < 0.1 else "several"
            try:
                if kind == "hang up":
                    self._hang_up()
                elif kind == "several":
                    self._ask(connection)
                else:
                    self._wrong(connection, kind)
                self.found.right[kind] += 1
            except (AssertionError, OSError, ValueError, KeyError, http.client.HTTPException) as error:
                self.found.wrong.append(f"{kind}: {type(error).__name__}: {error}"[:300])
                connection.close()

    def _post(self, connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes]:
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        chosen = self.draw.choices(self.pool, k=self.draw.choice((1, 1, 1, 2, 5)))
        body = json.dumps({"inputs": [{"task": each.task, "text": each.text} for each in chosen]}).encode()
        status, answer = self._post(connection, body)
        assert status == 200, f"status {status}: {answer[:200]!r}"
        for each, prediction in zip(chosen, json.loads(answer)["predictions"], strict=True):
            given = prediction["probabilities"]
            assert given.keys() == each.probabilities.keys(), f"{each.task}: classes of another task"
            worst = max(abs(given[label] - share) for label, share in each.probabilities.items())
            assert worst < TOLERANCE, f"{each.task}: a probability is off by {worst:.4f}"

    def _wrong(self, connection: http.client.HTTPConnection, kind: str) -> None:
        single = next(each for each in self.pool if isinstance(each.text, str))
        bodies = {
            "json": b'{"task": ',
            "task": b'{"task": "no/such", "texts": ["a"]}',
            "pair": json.dumps({"task": single.task, "texts": [["a", "b"]]}).encode(),
            "body": b" " * 2_000_000,
        }
        status, answer = self._post(connection, bodies[kind])
        assert status == STATUS[kind], f"status {status}, expected {STATUS[kind]}: {answer[:200]!r}"
        if kind == "body":
            connection.close()

    def _hang_up(self) -> None:
        each = self.draw.choice(self.pool)
        body = json.dumps({"inputs": [{"task": each.task, "text": each.text}]}).encode()
        head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}"
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as stream:
            stream.sendall(head.encode() + b"\r\n\r\n" + body[: self.draw.choice((len(body), len(body) // 2))])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server and the clients, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of a trained model")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args(argv)
    pool = expected(options.model, 6)
    command = [sys.executable, "-m", "metaeval_hub", "serve", options.model, "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            port = _port(server)
            return _soak(server, port, pool, options)
        finally:
            server.terminate()


def _port(server: subprocess.Popen[str]) -> int:
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            threading.Thread(target=lambda: [None for _ in server.stdout or ()], daemon=True).start()
            return int(found[1])
    raise SystemExit("the server ended before it listened")


def _soak(server: subprocess.Popen[str], port: int, pool: Sequence[Expected], options: argparse.Namespace) -> int:
    found, begun = Found(), time.monotonic()
    until = begun + 60 * options.minutes
    clients = [Client(port, pool, found, until, seed) for seed in range(options.clients)]
    for client in clients:
        client.start()
    memory = []
    while time.monotonic() < until:
        time.sleep(max(min(60 * options.minutes / 10, until - time.monotonic()), 0.1))
        memory.append(resident_mb(server.pid))
        seconds = time.monotonic() - begun
        print(f"{seconds / 60:.1f} minutes, {memory[-1]:.0f} MB, {sum(found.right.values()):,} right", flush=True)
    for client in clients:
        client.join(timeout=60)
    grew = memory[-1] / memory[min(1, len(memory) - 1)]
    print(f"right: {dict(found.right)}; wrong: {len(found.wrong)}; memory at the end / after a fifth: {grew:.2f}")
    for each in found.wrong[:10]:
        print(f"  {each}")
    return 1 if found.wrong or grew > 1.1 or server.poll() is not None else 0


if __name__ == "__main__":
    sys.exit(main())
