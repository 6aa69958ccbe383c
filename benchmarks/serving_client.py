"""Send requests to a server, one connection per client, and measure how long they take."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator


class Connection:
    """A connection that stays open for several requests.

    Args:
        port: port of a server on this machine.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes) -> None:
        """Send a request for predictions, and wait for its answer.

        Raises:
            RuntimeError: the status is not 200.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
        writer.write(head + str(len(body)).encode() + b"\r\n\r\n" + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"the server answered {answer.splitlines()[0].decode()}")
        length = next(line for line in answer.lower().splitlines() if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()


async def closed_loop(port: int, bodies: Iterator[bytes], clients: int, seconds: float) -> float:
    """Return the requests per second of clients that each send the next request after the last answer."""
    until, count = time.perf_counter() + seconds, 0

    async def client() -> None:
        nonlocal count
        connection = Connection(port)
        while time.perf_counter() < until:
            await connection.ask(next(bodies))
            count += 1
        connection.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return count / (time.perf_counter() - begun)


async def open_loop(
    port: int, bodies: Iterator[bytes], rate: float, seconds: float, draw: random.Random
) -> list[float]:
    """Return the seconds of each of the requests that are sent at random times, whether or not others are answered.

    Args:
        port: port of the server.
        bodies: the requests.
        rate: mean number of requests per second; the times between them are exponential.
        seconds: for how long requests are sent.
        draw: draws the times.
    """
    free: list[Connection] = []
    found: list[float] = []

    async def ask(planned: float) -> None:
        connection = free.pop() if free else Connection(port)
        await connection.ask(next(bodies))
        found.append(time.perf_counter() - planned)
        free.append(connection)

    begun, planned, sent = time.perf_counter(), 0.0, []
    while (planned := planned + draw.expovariate(rate)) < seconds:
        await asyncio.sleep(max(begun + planned - time.perf_counter(), 0))
        sent.append(asyncio.create_task(ask(begun + planned)))
    await asyncio.gather(*sent)
    for connection in free:
        connection.close()
    return found
