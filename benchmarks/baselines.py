"""Time single-task baselines with several processes, against one process, on the demo tasks.

    python benchmarks/baselines.py                     # about three minutes on two idle cores
    python benchmarks/baselines.py --workers 1 4 --rounds 5

Each round runs training/single_task.py on the same tasks and steps once per number of workers, in random order. The
workers share the cores as in the script: a single worker uses all of them as threads. The ratio of a round is the time
with the first number of workers divided by the time with another one. It includes the start of the processes, but not
the imports of the main process. Measure on idle cores.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "training")]

from metaeval_training.commands import single_task
from metaeval_training.runs.machine import available_cores

from benchmarks.measuring import spread


def run(workers: int, tasks: Sequence[str], steps: int, threads: int) -> float:
    """Return the seconds of one run in a new folder."""
    flags = ["--tasks", *tasks, "--steps", str(steps), "--workers", str(workers), "--threads", str(threads)]
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(printed):
        started = time.perf_counter()
        code = single_task.main([*flags, "--output-dir", folder])
        seconds = time.perf_counter() - started
    if code:
        raise RuntimeError(f"{workers} workers: exit code {code}\n{printed.getvalue()}")
    return seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    cores = available_cores()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, cores], help=f"default: 1 {cores}")
    parser.add_argument("--tasks", nargs="+", default=["demo"], help="tasks and groups (default: demo)")
    parser.add_argument("--steps", type=int, default=60, help="steps per model (default: 60)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    print(
        f"{cores} usable cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}"
    )
    print(", ".join(f"{name} {version(name)}" for name in ("metaeval", "torch", "transformers", "accelerate")))
    seconds: dict[int, list[float]] = {workers: [] for workers in options.workers}
    draw = random.Random(0)
    run(1, options.tasks, 1, 1)  # prepares the tasks and their tokens
    for _ in range(options.rounds):
        for workers in draw.sample(options.workers, k=len(options.workers)):
            seconds[workers].append(run(workers, options.tasks, options.steps, max(cores // workers, 1)))
    first = seconds[options.workers[0]]
    for workers, found in seconds.items():
        ratios = [one / other for one, other in zip(first, found, strict=True)]
        print(
            f"{workers} worker{'s' * (workers > 1)} of {max(cores // workers, 1)} threads: {spread(found, '.1f')} s; "
            f"{spread(ratios)} times as fast as {options.workers[0]}"
        )


if __name__ == "__main__":
    main()
