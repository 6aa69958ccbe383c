"""Measure the time and memory of loading tasks, compared with two alternatives that do not use this package.

    python benchmarks/casting.py                             synthetic sources; takes minutes
    python benchmarks/casting.py --rows 20000 --rounds 1     the same in a minute
    python benchmarks/casting.py --mirror FOLDER             real rows from a folder of source repositories
    python benchmarks/casting.py --large                     memory for up to 4 million rows; needs 3 GB of disk

Three methods are compared. Each measurement runs in its own process with empty caches. The methods take turns, so that
other load on the machine affects all of them alike:

- metaeval: load_dataset("metaeval", task), which downloads, casts, checks and splits the rows.
- source: datasets.load_dataset(repository, config), which loads the same files unchanged.
- map: the same as source; then a function casts each row, a filter removes unusable rows, and missing splits are drawn
  from train at random. Unlike metaeval, this does not keep duplicates together, which saves work.

A local Hub serves the sources. The real one is slower for all methods, so ratios there are closer to 1. Imports are not
timed. Memory is the growth of the largest resident set of the process. On Linux, the private part of the resident set
is sampled as well; the rest consists of memory-mapped files, mostly the result, which the system can reclaim. Ratios
are computed in each round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    import pyarrow as pa

    from metaeval_datasets import TaskSpec

METHODS = ("metaeval", "source", "map")
# Tasks with synthetic sources: pairs with three official splits, a derived validation split, and two derived splits.
SYNTHETIC = ("snli/plain_text", "amazon_polarity/amazon_polarity", "ethos/binary")
REAL = ("emotion/default", "pragmeval/stac", "glue/sst2", "crowdflower/airline-sentiment")
WORDS = {"premise": 14, "hypothesis": 8, "content": 75, "title": 5, "text": 20}  # mean words per text of a column
LARGE_TASK = "amazon_polarity/amazon_polarity"
LARGE_ROWS = (250_000, 1_000_000, 4_000_000)
GROUP_ROWS = 1_000  # rows per Parquet row group, as `datasets` writes them


# --- One measurement, in its own process ------------------------------------------------------------------------


def measure_load(method: str, task: str) -> dict[str, Any]:
    """Load a task with one method.

    Returns:
        Seconds, CPU seconds, growth of the largest resident set and of its private part in bytes, and rows by split.
    """
    import datasets

    import metaeval_datasets.metaeval  # noqa: F401 - as ``datasets`` has imported the builder of the other methods
    from metaeval_datasets import get_task

    datasets.disable_progress_bars()
    load = {"metaeval": _load_task, "source": _load_source, "map": _load_and_map}[method]
    spec = get_task(task)
    with _own_memory() as own:
        before, started, cpu = largest_resident_set(), time.perf_counter(), time.process_time()
        splits = load(spec)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "memory": largest_resident_set() - before,
        "own_memory": max(own) - own[0],
        "rows": {split: len(rows) for split, rows in splits.items()},
    }


def _status(name: str) -> int | None:
    """Return a size from the process status on Linux, in bytes; None on other systems."""
    values = [int(line.split()[1]) * 1024 for line in _lines("/proc/self/status") if line.startswith(f"{name}:")]
    return values[0] if values else None


def largest_resident_set() -> int:
    """Return the largest resident set of this process, in bytes."""
    # rusage is only a fallback, because it also counts memory of the parent process
    other = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return _status("VmHWM") or other


@contextmanager
def _own_memory() -> Iterator[list[int]]:
    """Sample the private part of the resident set, in bytes, at the start and then every 50 ms; 0 if it is unknown."""
    sizes = [_status("RssAnon") or 0]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.05):
            sizes.append(_status("RssAnon") or 0)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield sizes
    finally:
        done.set()
        thread.join()


def _load_task(spec: TaskSpec) -> Mapping[str, Any]:
    from metaeval_datasets import load_dataset

    loaded: Mapping[str, Any] = load_dataset("metaeval", spec.name)
    return loaded


def _load_source(spec: TaskSpec) -> Mapping[str, Any]:
    import datasets

    source: Any = spec.sources[0]
    loaded: Mapping[str, Any] = datasets.load_dataset(source.repo, source.config, revision=source.revision)
    return loaded


def _load_and_map(spec: TaskSpec) -> Mapping[str, Any]:
    from metaeval_datasets.schema import features

    texts, label = spec.texts, spec.label

    def cast_row(row: dict[str, Any], number: int) -> dict[str, Any]:
        return {**{name: row[column] for name, column in texts.items()}, "label": row[label], "idx": number}

    def usable(row: dict[str, Any]) -> bool:
        return row["label"] is not None and row["label"] >= 0 and all((row[name] or "").strip() for name in texts)

    splits = {
        split: rows.map(cast_row, with_indices=True, remove_columns=rows.column_names, features=features(spec)).filter(
            usable
        )
        for split, rows in _load_source(spec).items()
        if split in spec.splits and split not in spec.unlabelled
    }
    if "test" not in splits:
        splits["train"], splits["test"] = splits["train"].train_test_split(0.2, seed=0).values()
    if "validation" not in splits:
        size = min(len(splits["train"]) // 5, 10_000)
        splits["train"], splits["validation"] = splits["train"].train_test_split(size, seed=0).values()
    return splits


# --- Sources ---------------------------------------------------------------------------------------------------------


def make_source(folder: Path, spec: TaskSpec, rows: Mapping[str, int]) -> None:
    """Write a repository with the structure of a task's first source, and texts of random words.

    Args:
        folder: folder of all repositories; this one is written to ``datasets/<owner>/<name>``.
        spec: a task whose texts are plain columns.
        rows: split -> number of rows.
    """
    import datasets
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    source: Any = spec.sources[0]
    rng = np.random.default_rng(0)
    words = _words(rng)
    columns = [text for text in spec.texts.values() if isinstance(text, str)]
    others = ["title"] if "content" in columns else []  # a column that the task does not read
    features = datasets.Features(
        {
            **{name: datasets.Value("string") for name in (*others, *columns)},
            spec.label: datasets.ClassLabel(names=list(spec.names)),
        }
    )
    place = folder / "datasets" / source.repo
    (place / (source.config or "data")).mkdir(parents=True)
    card = ["---", "configs:", f"- config_name: {source.config or 'default'}", "  data_files:"]
    for split, count in rows.items():
        path = f"{source.config or 'data'}/{split}-00000-of-00001.parquet"
        card += [f"  - split: {split}", f"    path: {path}"]
        with pq.ParquetWriter(place / path, features.arrow_schema) as writer:
            for start in range(0, count, 20_000):
                size = min(20_000, count - start)
                labels = rng.integers(0, len(spec.names), size)
                labels[rng.random(size) < 0.002] = -1  # no label
                texts = {name: _texts(rng, words, size, WORDS[name]) for name in (*others, *columns)}
                table = pa.table({**texts, spec.label: labels}).cast(features.arrow_schema)
                writer.write_table(table, row_group_size=GROUP_ROWS)
    (place / "README.md").write_text("\n".join([*card, "---", ""]), encoding="utf-8")


def _words(rng: Any) -> pa.Array:
    import pyarrow as pa

    letters = list("etaoinshrdlucmfwypvbgk")
    return pa.array(["".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(20_000)])


def _texts(rng: Any, words: pa.Array, count: int, mean: int) -> pa.Array:
    """Return texts of words with a skewed distribution: 1 % are copies of other texts, and 0.1 % are empty."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = np.maximum(1, rng.gamma(3, mean / 3, count)).astype(np.int64)
    lengths[rng.random(count) < 0.001] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    chosen = words.take(pa.array((rng.random(offsets[-1]) ** 3 * len(words)).astype(np.int32)))
    texts = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), chosen), " ")
    same = np.where(rng.random(count) < 0.01, rng.integers(0, count, count), np.arange(count))
    return texts.take(pa.array(same))


def synthetic_rows(spec: TaskSpec, train: int) -> dict[str, int]:
    """Return split -> number of rows, for a source with ``train`` training rows."""
    return {split: train if split == "train" else max(train // 10, 100) for split in spec.splits}


# --- Comparison ------------------------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[Callable[[str, str], dict[str, Any]]]:
    """Serve a folder of repositories; yield a function that measures a method on a task with empty caches."""
    from tests.hub import Hub

    with Hub() as hub:
        hub.serve_folder(folder)

        def run(method: str, task: str) -> dict[str, Any]:
            home = tempfile.mkdtemp(prefix="casting-", dir=os.environ.get("TMPDIR"))
            outer = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
            environment = {
                **outer,
                "HF_ENDPOINT": hub.url,
                "HF_TOKEN": hub.token,
                "HF_HOME": home,
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            }
            try:
                done = subprocess.run(
                    [sys.executable, __file__, "--measure", method, task],
                    env=environment, cwd=home, capture_output=True, text=True, check=False,
                )  # fmt: skip
            finally:
                shutil.rmtree(home)
            if done.returncode:
                raise RuntimeError(f"{method} of {task}: exit status {done.returncode}\n{done.stderr}")
            result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return result

        yield run


def compare(tasks: tuple[str, ...], folder: Path, rounds: int) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Measure every method on every task once per round; return task -> method -> measurements."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {task: {method: [] for method in METHODS} for task in tasks}
    with served(folder) as run:
        for task in tasks:
            run("source", task)  # warm-up: the Hub computes its checksums, and the files get into the page cache
        for number in range(rounds):
            for task in tasks:
                for method in METHODS:
                    print(f"round {number + 1} of {rounds}: {task}, {method}", end="\033[K\r", file=sys.stderr)
                    found[task][method].append(run(method, task))
    print(end="\033[K", file=sys.stderr)
    return found


def show(found: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    """Print a table of medians; ratios have their range in brackets."""
    head = (
        *("task", "rows read", "method", "rows/s", "CPU s", "resident MB", "own MB"),
        *("time / source", "CPU / source", "CPU / map"),
    )
    lines = [head]
    for task, methods in found.items():
        read = sum(methods["source"][0]["rows"].values())
        for method, runs in methods.items():
            lines.append(
                (
                    *((task, f"{read:,}") if method == METHODS[0] else ("", "")),
                    method,
                    f"{read / statistics.median(run['seconds'] for run in runs):,.0f}",
                    f"{statistics.median(run['cpu_seconds'] for run in runs):.2f}",
                    *(f"{statistics.median(run[of] for run in runs) / 1e6:.0f}" for of in ("memory", "own_memory")),
                    _ratio(runs, methods["source"], "seconds"),
                    _ratio(runs, methods["source"], "cpu_seconds"),
                    _ratio(runs, methods["map"], "cpu_seconds"),
                )
            )
    print_lines(lines)


def _ratio(runs: list[dict[str, Any]], others: list[dict[str, Any]], of: str) -> str:
    if runs is others:
        return "1"
    ratios = [run[of] / other[of] for run, other in zip(runs, others, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def print_lines(lines: list[tuple[str, ...]]) -> None:
    """Print lines of cells as a Markdown table; the first line is the head."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        cells = [
            f"{cell:{'<' if place in (0, 2) else '>'}{width}}"
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print(f"| {' | '.join(cells)} |")
        if number == 0:
            marks = ["-" * width if place in (0, 2) else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
            print(f"| {' | '.join(marks)} |")


def measure_sizes(sizes: tuple[int, ...], scratch: Path, rounds: int) -> dict[int, dict[str, list[dict[str, Any]]]]:
    """Measure the large task with sources of each size; return training rows -> method -> measurements."""
    from metaeval_datasets import get_task

    found: dict[int, dict[str, list[dict[str, Any]]]] = {}
    for size in sizes:
        folder = scratch / str(size)
        print(f"making {size:,} rows", end="\033[K\r", file=sys.stderr)
        spec = get_task(LARGE_TASK)
        make_source(folder, spec, {"train": size, "test": size // 9})
        found[size] = {"metaeval": [], "source": []}
        with served(folder) as run:
            run("source", LARGE_TASK)
            for number in range(rounds):
                for method, runs in found[size].items():
                    print(f"round {number + 1} of {rounds}: {size:,} rows, {method}", end="\033[K\r", file=sys.stderr)
                    runs.append(run(method, LARGE_TASK))
        shutil.rmtree(folder)
    print(end="\033[K", file=sys.stderr)
    return found


def show_sizes(found: dict[int, dict[str, list[dict[str, Any]]]]) -> None:
    """Print a table of medians by size."""
    lines = [("source", "training rows", "method", "rows/s", "CPU s", "resident MB", "own MB", "CPU / source")]
    for size, methods in found.items():
        for method, runs in methods.items():
            read = sum(methods["source"][0]["rows"].values())
            lines.append(
                (
                    *((LARGE_TASK, f"{size:,}") if method == "metaeval" else ("", "")),
                    method,
                    f"{read / statistics.median(run['seconds'] for run in runs):,.0f}",
                    f"{statistics.median(run['cpu_seconds'] for run in runs):.2f}",
                    *(f"{statistics.median(run[of] for run in runs) / 1e6:.0f}" for of in ("memory", "own_memory")),
                    _ratio(runs, methods["source"], "cpu_seconds"),
                )
            )
    print_lines(lines)


def about() -> dict[str, str]:
    """Return the machine, the versions of the libraries, and the command."""
    libraries = ("metaeval", "datasets", "pyarrow", "numpy", "huggingface_hub")
    processor = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return {
        "machine": f"{os.cpu_count()} x {processor}, {platform.system()}{load}",
        "versions": f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in libraries),
        "command": " ".join(["python", os.path.relpath(__file__, ROOT), *sys.argv[1:]]),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def main() -> None:
    """Read the command line, measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=int, default=300_000, help="training rows of synthetic sources (default: 300000)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="number of measurements (default: 5)")
    parser.add_argument(
        "--mirror", type=Path, metavar="FOLDER", help="folder with real sources, as datasets/OWNER/NAME"
    )
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="tasks whose texts are plain columns, with --mirror")
    parser.add_argument(
        "--large", action="store_true", help=f"measure memory with {' '.join(map(str, LARGE_ROWS))} rows"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all measurements to this file")
    parser.add_argument("--measure", nargs=2, metavar=("METHOD", "TASK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure_load(*options.measure)))
        return
    from metaeval_datasets import get_task

    facts = about()
    for name, text in facts.items():
        print(f"{name}: {text}")
    print()
    found: dict[Any, Any]
    with tempfile.TemporaryDirectory(prefix="casting-") as scratch:
        if options.large:
            found = measure_sizes(LARGE_ROWS, Path(scratch), options.rounds)
            show_sizes(found)
        else:
            tasks = tuple(options.tasks or (REAL if options.mirror else SYNTHETIC))
            for task in tasks:
                if not all(isinstance(text, str) for text in get_task(task).texts.values()):
                    parser.error(f"{task}: its texts are joined from several columns; give tasks with plain columns")
            if not options.mirror:
                for task in tasks:
                    make_source(Path(scratch), get_task(task), synthetic_rows(get_task(task), options.rows))
            found = compare(tasks, options.mirror or Path(scratch), options.rounds)
            show(found)
    if options.json:
        options.json.write_text(json.dumps({**facts, "found": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
