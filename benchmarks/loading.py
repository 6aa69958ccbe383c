"""Time the first use of many tasks: loading them from a Hub on loopback that takes some time for each answer.

    python benchmarks/loading.py --mirror FOLDER
    python benchmarks/loading.py --mirror FOLDER --delay 0.1 --rounds 5 --loaders 1 8

All caches are empty. Each measurement runs in a process of its own, and the numbers of loaders take turns. The table
shows seconds, CPU seconds and requests, and the quartiles of the ratio to the first number of loaders in the round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "training")]

from benchmarks.measuring import spread
from tests.hub import Hub

WORK = """
import json, logging, sys, time
logging.disable()
import datasets
datasets.disable_progress_bars()
from metaeval_datasets.sources.revisions import ask_once
from metaeval_training.data import rows
rows.LOADERS = int(sys.argv[1])
started, used = time.perf_counter(), time.process_time()
with ask_once():
    choice = rows.RowChoice(max_train_rows=600, max_eval_rows=300)
    loaded, skipped = rows.load_tasks(rows.expand_tasks(sys.argv[2:]), choice, skip_unavailable=True)
seconds, cpu = time.perf_counter() - started, time.process_time() - used
print(json.dumps({"seconds": seconds, "cpu": cpu, "tasks": len(loaded), "skipped": len(skipped)}))
"""


def measure(hub: Hub, loaders: int, tasks: Sequence[str]) -> dict[str, float]:
    """Return the seconds, the numbers of tasks and the requests of one first use."""
    hub.requests.clear()
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": home,
            "HF_HUB_DISABLE_XET": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "training")]),
        }
        command = [sys.executable, "-c", WORK, str(loaders), *tasks]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"loading failed: {ended.stderr[-2000:]}")
    return {**json.loads(ended.stdout.splitlines()[-1]), "requests": len(hub.requests)}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", type=Path, required=True, help="folder with real sources, as datasets/OWNER/NAME")
    parser.add_argument("--tasks", nargs="+", default=["all"], help="tasks and groups (default: all)")
    parser.add_argument("--delay", type=float, default=0.05, help="seconds that each answer takes (default: 0.05)")
    parser.add_argument("--loaders", type=int, nargs="+", default=[1, 8], help="tasks loaded at the same time")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    found: dict[int, list[dict[str, float]]] = {count: [] for count in options.loaders}
    with Hub() as hub:
        hub.serve_folder(options.mirror)
        hub.faults.add(times=None, delay=options.delay)
        for number in range(options.rounds):
            turn = number % len(options.loaders)
            for count in options.loaders[turn:] + options.loaders[:turn]:
                found[count].append(measure(hub, count, options.tasks))
    print(f"{options.rounds} rounds, {1000 * options.delay:.0f} ms per answer")
    first = found[options.loaders[0]]
    for count, measured in found.items():
        ratios = [one["seconds"] / other["seconds"] for one, other in zip(measured, first, strict=True)]
        print(
            f"loaders {count}: {spread([each['seconds'] for each in measured], '.1f')} s, ratio {spread(ratios)}, "
            f"CPU {spread([each['cpu'] for each in measured], '.1f')} s, {measured[0]['tasks']} tasks "
            f"({measured[0]['skipped']} skipped), {measured[0]['requests']} requests"
        )


if __name__ == "__main__":
    main()
