"""Time adding, saving, loading and answering in models with 10, 100 and 1,000 tasks.

    python benchmarks/many_tasks.py                      # packaged MiniLM, or random weights of its shape
    python benchmarks/many_tasks.py --tasks 10 2000 --rounds 9

Each round creates new models and measures them in random order. Times are CPU milliseconds of one thread, so that
waiting for other processes does not count. The table shows medians, and in brackets the quartiles of the ratio to
the first number of tasks, which is computed within a round.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from benchmarks.inference import make
from metaeval_hub import ConditionalAdapterModel

FITTED = [("the movie was good", "good"), ("the movie was bad", "bad")] * 8
WORK = ("add one task", "fit one task to 16 rows", "save", "load", "answer one text")
ADDED, REQUESTS = 20, 20


def measure(count: int) -> dict[str, float]:
    """Return the CPU milliseconds of each kind of work in a model with ``count`` tasks."""
    model, _ = make("pilault", count)
    found: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object], times: int = 1) -> None:
        started = time.process_time()
        for _ in range(times):
            work()
        found[name] = 1000 * (time.process_time() - started) / times

    names = iter(f"own/task{number}" for number in range(2 * ADDED))
    timed(WORK[0], lambda: model.add_task(next(names), ("bad", "good")), ADDED)
    timed(WORK[1], lambda: model.fit_task(next(names), FITTED))
    with tempfile.TemporaryDirectory() as folder:
        timed(WORK[2], lambda: model.save_pretrained(folder))
        timed(WORK[3], lambda: ConditionalAdapterModel.from_pretrained(folder))
        loaded = ConditionalAdapterModel.from_pretrained(folder)
    loaded.predict("task/0", ["warm up"])
    timed(WORK[4], lambda: loaded.predict("task/0", ["the movie was good and moving"]), REQUESTS)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[10, 100, 1000], help="numbers of tasks")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    draw = random.Random(0)
    measure(options.tasks[0])  # warm-up
    rounds: list[dict[int, dict[str, float]]] = []
    for _ in range(options.rounds):
        rounds.append({count: measure(count) for count in draw.sample(options.tasks, k=len(options.tasks))})
    print(f"{make('pilault', 1)[1]}; torch {torch.__version__}; {options.rounds} rounds; CPU ms")
    for name in WORK:
        cells = []
        for count in options.tasks:
            values = np.array([found[count][name] for found in rounds])
            ratios = values / np.array([found[options.tasks[0]][name] for found in rounds])
            low, middle, high = np.percentile(ratios, [25, 50, 75])
            cells.append(f"{count:,} tasks {np.median(values):.1f}, ratio {middle:.2f} ({low:.2f} to {high:.2f})")
        print(f"{name}: " + "; ".join(cells))


if __name__ == "__main__":
    main()
