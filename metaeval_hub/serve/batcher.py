"""Answer the texts of many requests together: one thread takes them from a queue and computes them in batches."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.serve.limits import Limits
from metaeval_hub.serve.metrics import Metrics
from metaeval_hub.serve.rows import Engine, Row, passes

_logger = logging.getLogger(__name__)

Answer: TypeAlias = list[NDArray[np.float32]]  # the class probabilities (C,) of each text of a request


class QueueFullError(Exception):
    """Raised if too many texts wait, or if the server is stopping."""


class BatchError(Exception):
    """Raised for every request with a text in a pass that failed."""


class _Job:
    """One request: its texts, and the answers so far."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.future: Future[Answer] = Future()
        self._found: dict[int, NDArray[np.float32]] = {}

    def add(self, place: int, probabilities: NDArray[np.float32]) -> None:
        self._found[place] = probabilities
        if len(self._found) == len(self.rows):
            with suppress(InvalidStateError):  # the client has hung up
                self.future.set_result([self._found[i] for i in range(len(self.rows))])

    def fail(self, error: BatchError) -> None:
        with suppress(InvalidStateError):  # another pass failed too, or the client has hung up
            self.future.set_exception(error)


class Batcher:
    """Compute the texts of requests in passes that mix requests and tasks.

    Only the thread of the batcher calls ``engine.probabilities``. A pass that fails fails the requests that have a text
    in it; the thread continues with the next.

    Args:
        engine: the model.
        limits: length of the queue, texts per batch, and how long a text waits for others.
        metrics: counts the passes.
    """

    def __init__(self, engine: Engine, limits: Limits, metrics: Metrics) -> None:
        self._engine, self._limits, self._metrics = engine, limits, metrics
        self._texts: deque[tuple[_Job, int]] = deque()
        self._reserved = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="metaeval-batcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Accept no more texts, finish those in the queue, and wait for the thread to end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_working(self) -> bool:
        """Whether texts are accepted and computed."""
        return self._thread.is_alive() and not self._closing

    def waiting(self) -> int:
        """Return the number of texts that wait, or that have a place in the queue."""
        return len(self._texts) + self._reserved

    def reserve(self, count: int) -> None:
        """Reserve places in the queue, before texts are tokenized; ``submit`` or ``release`` must follow.

        Raises:
            QueueFullError: fewer places are free, or the batcher is closing.
        """
        with self._changed:
            if self._closing:
                raise QueueFullError("the server is stopping; send the request to another server, or later")
            if self.waiting() + count > self._limits.queue:
                raise QueueFullError(
                    f"{self.waiting():,} texts wait, and the queue has room for {self._limits.queue:,}; send the "
                    "request again later"
                )
            self._reserved += count

    def release(self, count: int) -> None:
        """Give reserved places back."""
        with self._changed:
            self._reserved -= count
            self._changed.notify_all()

    def submit(self, rows: Sequence[Row]) -> Future[Answer]:
        """Put texts into the places that were reserved for them; cancelling the future takes them out again."""
        job = _Job(rows)
        with self._changed:
            self._reserved -= len(rows)
            self._texts.extend((job, place) for place in range(len(rows)))
            self._changed.notify_all()
        return job.future

    def _work(self) -> None:
        while batch := self._take():
            for places in passes([job.rows[place] for job, place in batch], self._limits.batch):
                self._compute([batch[place] for place in places])

    def _take(self) -> list[tuple[_Job, int]]:
        """Wait for texts and take a batch of them; an empty batch means that the batcher is closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._texts or (self._closing and not self._reserved))
                until = time.monotonic() + self._limits.wait_ms / 1000
                while self._texts and len(self._texts) < self._limits.batch and not self._closing:
                    if not self._changed.wait(timeout=max(until - time.monotonic(), 0)):
                        break
                batch: list[tuple[_Job, int]] = []
                while self._texts and len(batch) < self._limits.batch:
                    entry = self._texts.popleft()
                    if not entry[0].future.done():  # the client hung up, or another pass failed
                        batch.append(entry)
                if batch or (self._closing and not self._reserved and not self._texts):
                    return batch

    def _compute(self, entries: Sequence[tuple[_Job, int]]) -> None:
        try:
            found = self._engine.probabilities([job.rows[place] for job, place in entries])
        except Exception as error:
            _logger.exception("a pass over %d texts failed", len(entries))
            self._metrics.batch(len(entries), failed=True)
            reason = BatchError(f"computing this batch failed with {type(error).__name__}; the server's log has more")
            for job, _ in entries:
                job.fail(reason)
            return
        self._metrics.batch(len(entries), failed=False)
        for (job, place), probabilities in zip(entries, found, strict=True):
            job.add(place, probabilities)
