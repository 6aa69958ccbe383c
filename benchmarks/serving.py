"""Measure the server: memory, start, requests per second and latency, against one fine-tuned model per task.

    python benchmarks/serving.py load                      57 tasks, MiniLM, one thread per server
    python benchmarks/serving.py load --separate 5         with fewer fine-tuned models, for little memory
    python benchmarks/serving.py batches                   ONNX float32 and int8 against torch, batches of 1 and 32
    python benchmarks/serving.py accuracy MODEL            accuracy of the exports of a trained model, on real rows

`load` starts five servers, each in a process of its own: our model with all tasks, its exports to ONNX in float32 and
int8, one fine-tuned model per task behind the same server, and a single fine-tuned model. In each round, they take
turns in random order. First, --clients clients send requests of one text each, one after the other, for --seconds
seconds (requests per second). Then requests arrive at random times at the stated rate, --load times what the single
fine-tuned model managed in this round (latency, from the planned time of a request to its answer). Texts have
lognormal lengths with a median of 27 words; tasks are drawn at random, or all requests have the same task. Ratios are
computed within a round; the tables show medians and quartiles. The client runs in this process: give it a core of its
own, with taskset for example.

`batches` calls the models in one process and one thread, without a server, and counts CPU seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

import numpy as np

from benchmarks.inference import sample
from benchmarks.measuring import spread
from benchmarks.serving_client import closed_loop, open_loop
from benchmarks.serving_contenders import (
    Spec,
    engine_of,
    resident_mb,
    temporary_folder,
    write_fine_tuned,
    write_ours,
)
from metaeval_hub.serve.rows import passes

OURS, ONNX, INT8 = "one model", "one model, ONNX", "one model, ONNX int8"
SEPARATE, SINGLE = "one per task", "single model"
MIXED, SAME = "mixed", "one task"


@dataclasses.dataclass
class Running:
    """A server in a process of its own.

    Args:
        process: the process.
        port: its port.
        tasks: its tasks.
        seconds: from the start of the process to its first answer.
        cpu: CPU seconds of that.
        mb: resident memory after a first prediction.
    """

    process: subprocess.Popen[str]
    port: int
    tasks: tuple[str, ...]
    seconds: float
    cpu: float
    mb: float


@contextlib.contextmanager
def started(spec: Spec, tasks: Sequence[str]) -> Iterator[Running]:
    """Start a server, and stop it at the end."""
    script = str(ROOT / "benchmarks" / "serving_contenders.py")
    command = [sys.executable, script, json.dumps(dataclasses.asdict(spec))]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            facts = json.loads(process.stdout.readline())
            seconds = time.perf_counter() - begun
            yield Running(process, facts["port"], tuple(tasks), seconds, facts["cpu"], facts["mb"])
        finally:
            process.terminate()


def machine() -> str:
    """Describe the machine and the versions."""
    names = ("torch", "transformers", "onnxruntime", "fastapi", "uvicorn")
    cpus = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in cpus.splitlines() if line.startswith("model name")), "CPU")
    return f"{model}, {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names)


def measure_load(options: argparse.Namespace) -> None:
    """Print memory and start, then requests per second and latencies."""
    with temporary_folder() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        ours = options.model or str(write_ours(folder / "ours", options.tasks))
        fine_tuned = str(write_fine_tuned(folder / "fine-tuned"))
        tasks = _tasks_of(ours)
        exports = _export(ours, folder / "float32"), _export(ours, folder / "int8", "--int8")
        separate = tuple(f"task/{i}" for i in range(options.separate or len(tasks)))
        specs = {
            OURS: (Spec("ours", ours, (), options.threads), tasks),
            ONNX: (Spec("onnx", exports[0], (), options.threads), tasks),
            INT8: (Spec("onnx", exports[1], (), options.threads), tasks),
            SEPARATE: (Spec("separate", fine_tuned, separate, options.threads), separate),
            SINGLE: (Spec("separate", fine_tuned, ("task/0",), options.threads), ("task/0",)),
        }
        servers = {name: stack.enter_context(started(*each)) for name, each in specs.items()}
        print(f"{machine()}; {len(tasks)} tasks, {options.threads} thread(s) per server, {options.rounds} rounds\n")
        contests = [(name, traffic) for name in servers for traffic in (MIXED, SAME)]
        contests.remove((SINGLE, MIXED))
        rates, p50, p95, loads = _take_turns(servers, contests, options)
        _print_memory(servers)
        base = (SINGLE, SAME)
        stated = f"{statistics.median(loads):.0f}"
        print(f"\nLatencies are at {stated} requests per second.\n")
        print("| server | requests | per second | / single model (quartiles) | p50 ms | p95 ms |")
        print("|---|---|---:|---:|---:|---:|")
        for each in contests:
            ratios = [own / other for own, other in zip(rates[each], rates[base], strict=True)]
            print(
                f"| {each[0]} | {each[1]} | {statistics.median(rates[each]):.0f} | {spread(ratios)} | "
                f"{statistics.median(p50[each]):.0f} | {statistics.median(p95[each]):.0f} |"
            )


def _take_turns(
    servers: dict[str, Running], contests: list[tuple[str, str]], options: argparse.Namespace
) -> tuple[dict[tuple[str, str], list[float]], ...]:
    draw, texts = random.Random(options.seed), sample(2_000)
    rates: dict[tuple[str, str], list[float]] = {each: [] for each in contests}
    p50, p95 = {each: [] for each in contests}, {each: [] for each in contests}
    loads = []
    for number in range(options.rounds + 1):
        for each in draw.sample(contests, k=len(contests)):
            rate = asyncio.run(closed_loop(*_traffic(servers, each, texts, draw), options.clients, options.seconds))
            if number:
                rates[each].append(rate)
        if not number:  # warm-up
            continue
        loads.append(options.load * rates[SINGLE, SAME][-1])
        for each in draw.sample(contests, k=len(contests)):
            found = asyncio.run(open_loop(*_traffic(servers, each, texts, draw), loads[-1], options.seconds, draw))
            p50[each].append(1000 * np.quantile(found, 0.5))
            p95[each].append(1000 * np.quantile(found, 0.95))
    return rates, p50, p95, loads  # type: ignore[return-value]


def _traffic(
    servers: dict[str, Running], contest: tuple[str, str], texts: Sequence[str], draw: random.Random
) -> tuple[int, Iterator[bytes]]:
    """Return the port of a server and an endless series of bodies."""
    server = servers[contest[0]]
    tasks = server.tasks if contest[1] == MIXED else server.tasks[:1]

    def bodies() -> Iterator[bytes]:
        while True:
            yield json.dumps({"task": draw.choice(tasks), "texts": [draw.choice(texts)]}).encode()

    return server.port, bodies()


def _print_memory(servers: dict[str, Running]) -> None:
    print("| server | models | start, seconds | start, CPU seconds | resident MB | resident MB after the load |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, server in servers.items():
        models = len(server.tasks) if name == SEPARATE else 1
        after = resident_mb(server.process.pid)
        print(f"| {name} | {models} | {server.seconds:.1f} | {server.cpu:.1f} | {server.mb:,.0f} | {after:,.0f} |")


def _tasks_of(folder: str) -> tuple[str, ...]:
    tasks = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))["tasks"]
    return tuple(task["name"] for task in tasks if task.get("fields") != 2)  # requests have single texts


def _export(model: str, folder: Path, *flags: str) -> str:
    """Export a model in a process of its own, whose memory does not count here."""
    command = [sys.executable, "-m", "metaeval_hub", "export-onnx", model, "--out", str(folder), *flags]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return str(folder)


def measure_batches(options: argparse.Namespace) -> None:
    """Print texts per CPU second of torch, ONNX float32 and ONNX int8."""
    with temporary_folder() as place:
        folder = Path(place)
        ours = options.model or str(write_ours(folder / "ours", options.tasks))
        specs = {
            "torch": Spec("ours", ours),
            "ONNX float32": Spec("onnx", _export(ours, folder / "float32")),
            "ONNX int8": Spec("onnx", _export(ours, folder / "int8", "--int8")),
        }
        engines, tasks = {name: engine_of(spec) for name, spec in specs.items()}, _tasks_of(ours)
        print(f"{machine()}; {len(tasks)} tasks, 1 thread, {options.rounds} rounds\n")
        print("| batch | model | texts per CPU second | / torch (quartiles) |\n|---:|---|---:|---:|")
        draw, texts = random.Random(options.seed), sample(256)
        for size in options.batches:
            rates = _batch_rates(engines, tasks, texts, size, options.rounds, draw)
            for name, own in rates.items():
                ratios = [one / other for one, other in zip(own, rates["torch"], strict=True)]
                print(f"| {size} | {name} | {statistics.median(own):.0f} | {spread(ratios)} |")


def _batch_rates(
    engines: dict[str, object],
    tasks: Sequence[str],
    texts: Sequence[str],
    size: int,
    rounds: int,
    draw: random.Random,
) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in engines}
    count = max(size, 64) // size  # batches per round
    for number in range(rounds + 1):
        batches = [(draw.choices(tasks, k=size), sorted(draw.choices(texts, k=size), key=len)) for _ in range(count)]
        for name in draw.sample(sorted(engines), k=len(engines)):
            begun = time.process_time()
            for own, given in batches:
                rows = engines[name].rows(own, given)  # type: ignore[attr-defined]
                for places in passes(rows, size):  # as the server divides a batch
                    engines[name].probabilities([rows[i] for i in places])  # type: ignore[attr-defined]
            if number:
                rates[name].append(count * size / (time.process_time() - begun))
    return rates


def measure_accuracy(options: argparse.Namespace) -> None:
    """Print the accuracy of a trained model and of its exports, on the validation rows of its tasks."""
    from metaeval_datasets import load_dataset

    with temporary_folder() as place:
        folder = Path(place)
        engines = {
            "torch": engine_of(Spec("ours", options.model)),
            "ONNX float32": engine_of(Spec("onnx", _export(options.model, folder / "float32"))),
            "ONNX int8": engine_of(Spec("onnx", _export(options.model, folder / "int8", "--int8"))),
        }
        shares: dict[str, list[float]] = {name: [] for name in engines}
        same: dict[str, list[float]] = {name: [] for name in engines}
        farthest = dict.fromkeys(engines, 0.0)
        for task in list(engines["torch"].labels)[:: options.every]:
            data = load_dataset("metaeval", task)["validation"]
            data = data.select(range(min(options.rows, len(data))))
            columns = ("sentence",) if "sentence" in data.column_names else ("sentence1", "sentence2")
            texts = list(data["sentence"]) if len(columns) == 1 else list(zip(*(data[c] for c in columns), strict=True))
            found = {name: _all_probabilities(engine, task, texts) for name, engine in engines.items()}
            for name, probabilities in found.items():
                shares[name].append(float((probabilities.argmax(1) == np.array(data["label"])).mean()))
                same[name].append(float((probabilities.argmax(1) == found["torch"].argmax(1)).mean()))
                farthest[name] = max(farthest[name], float(np.abs(probabilities - found["torch"]).max()))
        print(f"{len(shares['torch'])} tasks, up to {options.rows} validation rows each\n")
        print("| model | mean accuracy | same class as torch | largest difference of a probability |")
        print("|---|---:|---:|---:|")
        for name in engines:
            means = f"{100 * np.mean(shares[name]):.2f} % | {100 * np.mean(same[name]):.2f} %"
            print(f"| {name} | {means} | {farthest[name]:.1e} |")


def _all_probabilities(engine: object, task: str, texts: Sequence[object]) -> np.ndarray:
    found = []
    for start in range(0, len(texts), 32):
        part = texts[start : start + 32]
        found += engine.probabilities(engine.rows([task] * len(part), part))  # type: ignore[attr-defined]
    return np.stack(found)


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    load = kinds.add_parser("load", help="memory, start, requests per second and latency of servers")
    batches = kinds.add_parser("batches", help="torch against ONNX, without a server")
    accuracy = kinds.add_parser("accuracy", help="accuracy of the exports of a trained model")
    for each, measure in ((load, measure_load), (batches, measure_batches), (accuracy, measure_accuracy)):
        each.set_defaults(measure=measure)
        each.add_argument("--seed", type=int, default=0, help="seed of the requests (default: 0)")
    for each in (load, batches):
        each.add_argument("--model", help="folder of a model (default: an untrained MiniLM)")
        each.add_argument("--tasks", type=int, default=57, help="tasks of the untrained model (default: 57)")
        each.add_argument("--rounds", type=int, default=5, help="measured rounds (default: 5)")
    load.add_argument("--separate", type=int, help="number of fine-tuned models (default: one per task)")
    load.add_argument("--threads", type=int, default=1, help="threads per server (default: 1)")
    load.add_argument("--clients", type=int, default=32, help="clients that send requests in turn (default: 32)")
    load.add_argument("--seconds", type=float, default=8.0, help="seconds per measurement (default: 8)")
    load.add_argument("--load", type=float, default=0.5, help="share of the single model's rate (default: 0.5)")
    batches.add_argument("--batches", type=int, nargs="+", default=(1, 32), help="texts per batch (default: 1 32)")
    accuracy.add_argument("model", help="folder of a trained model")
    accuracy.add_argument("--rows", type=int, default=300, help="validation rows per task (default: 300)")
    accuracy.add_argument("--every", type=int, default=1, help="use every Nth task (default: 1)")
    options = parser.parse_args()
    options.measure(options)


if __name__ == "__main__":
    main()
