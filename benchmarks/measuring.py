"""Time contenders in turns, by CPU seconds of the process and by wall time."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

Step = Callable[[int], int]  # does the work of round n, runs the clock, and returns the number of examples


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
class Measured:
    """Contain the rates of one contender per round: examples per second by each clock, tokens per example."""

    cpu: list[float] = dataclasses.field(default_factory=list)
    wall: list[float] = dataclasses.field(default_factory=list)
    tokens: list[float] = dataclasses.field(default_factory=list)


def measure(
    steps: Mapping[str, Step],
    rounds: int,
    encoders: Sequence[Any] = (),
    set_up: Mapping[str, Callable[[], None]] = MappingProxyType({}),
) -> dict[str, Measured]:
    """Return the examples per second of every contender in every round, after one round of warm-up.

    Args:
        steps: the work to measure, by name; each runs the clock itself.
        rounds: number of measured rounds.
        encoders: encoders whose input tokens are counted.
        set_up: called before the step of the same name, with the clock stopped.
    """
    found = {name: Measured() for name in steps}
    names, tokens = list(steps), [0]

    def count(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        tokens[0] += args[0].numel()

    for table in {encoder.get_input_embeddings() for encoder in encoders}:
        table.register_forward_pre_hook(count)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if name in set_up:
                set_up[name]()
            CLOCK.cpu = CLOCK.wall = tokens[0] = 0
            examples = steps[name](number)
            if number:
                found[name].cpu.append(examples / CLOCK.cpu)
                found[name].wall.append(examples / CLOCK.wall)
                found[name].tokens.append(tokens[0] / examples)
    return found


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return the median, with quartiles in brackets."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"
