"""Count what a server does, and write it in the text format of Prometheus."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Histogram:
    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str) -> Iterator[str]:
        below = 0
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            below += count
            yield f'{name}_bucket{{le="{bound}"}} {below}'
        yield f"{name}_sum {self.total:.6f}"
        yield f"{name}_count {below}"


class Metrics:
    """Count requests, errors and passes. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._latency, self._batches = _Histogram(SECONDS), _Histogram(SIZES)
        self._failed = self._hang_ups = 0

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request; the latency is recorded for answered requests for predictions.

        Args:
            path: the path as it is declared, of which there are few.
            status: HTTP status.
            seconds: time from the first byte of the request to the last of the answer.
        """
        with self._lock:
            self._requests[path, status] += 1
            if path == "/predict" and status == 200:
                self._latency.observe(seconds)

    def batch(self, size: int, *, failed: bool) -> None:
        """Count a pass of the model over ``size`` texts."""
        with self._lock:
            self._batches.observe(size)
            self._failed += failed

    def hang_up(self) -> None:
        """Count a client that closed the connection before its answer."""
        with self._lock:
            self._hang_ups += 1

    def text(self, waiting: Callable[[], int]) -> str:
        """Return everything in the text format of Prometheus.

        Args:
            waiting: returns the number of texts that wait.
        """
        with self._lock:
            lines = ["# HELP metaeval_requests_total Answered requests.", "# TYPE metaeval_requests_total counter"]
            lines += [
                f'metaeval_requests_total{{path="{path}",status="{status}"}} {count}'
                for (path, status), count in sorted(self._requests.items())
            ]
            errors = sum(count for (_, status), count in self._requests.items() if status >= 400)
            for name, kind, text, value in (
                ("errors_total", "counter", "Requests answered with a status of 400 or more.", errors),
                ("hang_ups_total", "counter", "Clients that closed the connection early.", self._hang_ups),
                ("failed_batches_total", "counter", "Passes of the model that failed.", self._failed),
                ("queue_texts", "gauge", "Texts that wait to be computed.", waiting()),
            ):
                lines += [
                    f"# HELP metaeval_{name} {text}",
                    f"# TYPE metaeval_{name} {kind}",
                    f"metaeval_{name} {value}",
                ]
            for name, text, histogram in (
                ("batch_texts", "Texts per pass of the model.", self._batches),
                ("predict_seconds", "Time of successful requests for predictions.", self._latency),
            ):
                lines += [f"# HELP metaeval_{name} {text}", f"# TYPE metaeval_{name} histogram"]
                lines += histogram.lines(f"metaeval_{name}")
        return "\n".join(lines) + "\n"
