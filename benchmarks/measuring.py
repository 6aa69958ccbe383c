"""Time contenders in turns, by CPU time of the process and by wall-clock time."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

TimedWork = Callable[[int], int]  # does the work of round n, runs the clock, and returns the number of examples


class Clock:
    """Count CPU and wall seconds while it runs, so that set-up is not counted."""

    cpu = wall = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Count the seconds spent in the block."""
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.cpu += time.process_time() - cpu
            self.wall += time.perf_counter() - wall


CLOCK = Clock()


@dataclasses.dataclass
class Rates:
    """Rates of one contender, one per round.

    Attributes:
        cpu: examples per CPU second.
        wall: examples per second of wall-clock time.
        tokens: tokens per example.
    """

    cpu: list[float] = dataclasses.field(default_factory=list)
    wall: list[float] = dataclasses.field(default_factory=list)
    tokens: list[float] = dataclasses.field(default_factory=list)


def measure_in_turns(
    work: Mapping[str, TimedWork],
    rounds: int,
    encoders: Sequence[Any] = (),
    set_up: Mapping[str, Callable[[], None]] = MappingProxyType({}),
) -> dict[str, Rates]:
    """Measure the rates of all contenders in every round, after one round of warm-up.

    Args:
        work: name of a contender -> its work, which runs the clock itself.
        rounds: number of measured rounds.
        encoders: encoders whose input tokens are counted.
        set_up: name of a contender -> function to call before its work, with the clock stopped.
    """
    found = {name: Rates() for name in work}
    names, tokens = list(work), [0]

    @torch.compiler.disable  # compiled code would be compiled again for every sum
    def count(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        tokens[0] += args[0].numel()

    for table in {encoder.get_input_embeddings() for encoder in encoders}:
        table.register_forward_pre_hook(count)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if name in set_up:
                set_up[name]()
            CLOCK.cpu = CLOCK.wall = tokens[0] = 0
            examples = work[name](number)
            if number:
                found[name].cpu.append(examples / CLOCK.cpu)
                found[name].wall.append(examples / CLOCK.wall)
                found[name].tokens.append(tokens[0] / examples)
    return found


def cpu_seconds(work: Mapping[str, Callable[[], object]], rounds: int, warm_up: bool = True) -> dict[str, list[float]]:
    """Return the CPU seconds of each contender in each round, in random order; a first round is the warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number in range(0 if warm_up else 1, rounds + 1):
        for name in random.sample(sorted(work), k=len(work)):
            started = time.process_time()
            work[name]()
            if number:
                seconds[name].append(time.process_time() - started)
    return seconds


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return the median, with quartiles in brackets."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"
