"""The limits of a server, so that no request can use up its memory or its time."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

MAX_WAIT_MS = 1000.0
OPTIONS = {  # limit -> option of `metaeval serve`
    "batch": "--batch-size",
    "wait_ms": "--wait-ms",
    "characters": "--max-characters",
    "texts": "--max-texts",
    "body": "--max-body",
    "queue": "--max-queue",
}


@dataclass(frozen=True)
class Limits:
    """Describe what a server accepts; a request beyond a limit gets an error and is not computed.

    Args:
        characters: longest text, in characters; both texts of a pair together.
        texts: largest number of texts per request.
        body: largest body of a request, in bytes.
        queue: largest number of texts that wait at the same time, in all requests together.
        batch: largest number of texts per pass of the model.
        wait_ms: how long the first text of a batch waits for more texts, in milliseconds.
        body_seconds: how long a client may take to send a body, in seconds.

    Raises:
        ValueError: a limit is out of range; the message names it.
    """

    characters: int = 20_000
    texts: int = 256
    body: int = 1_048_576
    queue: int = 2_048
    batch: int = 32
    wait_ms: float = 2.0
    body_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.type == "int"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} ({OPTIONS[name]}) is {value!r}; expected a whole number of at least 1")
        if not (_is_number(self.wait_ms) and 0 <= self.wait_ms <= MAX_WAIT_MS):
            raise ValueError(f"wait_ms (--wait-ms) is {self.wait_ms!r}; expected 0 to {MAX_WAIT_MS:.0f} milliseconds")
        if not (_is_number(self.body_seconds) and 0 < self.body_seconds < math.inf):
            raise ValueError(f"body_seconds is {self.body_seconds!r}; expected more than 0 seconds")
        if self.queue < self.texts:
            raise ValueError(
                f"the queue takes {self.queue} texts, fewer than the {self.texts} that one request may have; give a "
                "longer queue (--max-queue), or allow fewer texts per request (--max-texts)"
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
