"""Time ``predict`` on texts of many tasks against pipelines of transformers with one fine-tuned model per task.

    python benchmarks/predict_texts.py
    python benchmarks/predict_texts.py --tasks 57 --texts 10000 --rounds 3

All models have the shape of MiniLM and random weights. A pipeline has a model of its own for each task; "one pipeline"
gives all texts to the first of them. Texts have lognormal lengths with a median of 27 words, like those of the tasks,
and are divided among the tasks. "Medium" multiplies float32 matrices by oneDNN (``metaeval_hub.matmul_precision``), and
"bfloat16" uses autocast, in all contenders of that row. The contenders take turns in random order.
Times are CPU seconds of one thread, so that waiting for other processes does not count. The table shows texts per
second, and the median and quartiles of the ratio to one pipeline in float32 in the same round.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification, pipeline

from benchmarks.inference import make, sample
from benchmarks.measuring import cpu_seconds, spread
from benchmarks.model_step import SHAPES
from metaeval_hub import matmul_precision
from metaeval_hub.encoders.weights import quiet

FIRST = "one pipeline, float32"
KINDS = ("float32", "medium", "bfloat16")


@contextmanager
def arithmetic(kind: str) -> Iterator[None]:
    """Compute in float32 with torch's default products, in float32 with those of oneDNN, or in bfloat16."""
    with (
        matmul_precision("highest" if kind == "float32" else "medium"),
        torch.autocast("cpu", torch.bfloat16, enabled=kind == "bfloat16"),
    ):
        yield


def contenders(tasks: int, texts: Sequence[str], batch: int) -> dict[str, Callable[[], None]]:
    """Return name -> function that classifies all texts, of which every task has an equal share."""
    model, _ = make("pilault", tasks)
    config = AutoConfig.for_model(**SHAPES["minilm"])
    pipelines: list[Any] = []
    for _ in range(tasks):
        with quiet("transformers.modeling_utils"):
            stock = AutoModelForSequenceClassification.from_config(config).eval()
        pipelines.append(pipeline("text-classification", model=stock, tokenizer=model.tokenizer, device="cpu"))
    shares = {name: list(texts[number::tasks]) for number, name in enumerate(model.task_names)}

    def ours() -> None:
        for name, share in shares.items():
            model.predict(name, share, batch_size=batch, progress=False)

    def one() -> None:
        pipelines[0](list(texts), batch_size=batch, truncation=True, max_length=model.config.max_length)

    def many() -> None:
        for stock, share in zip(pipelines, shares.values(), strict=True):
            stock(share, batch_size=batch, truncation=True, max_length=model.config.max_length)

    def at(kind: str, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            with arithmetic(kind):
                work()

        return run

    works = {"one pipeline": one, f"{tasks} pipelines": many, "predict": ours}
    return {f"{name}, {kind}": at(kind, work) for kind in KINDS for name, work in works.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=8, help="number of tasks (default: 8)")
    parser.add_argument("--texts", type=int, default=800, help="number of texts (default: 800)")
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 1], help="texts per batch (default: 32 1)")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default: 5)")
    parser.add_argument(
        "--only",
        nargs="+",
        help="contenders to time, such as 'predict, medium' (default: all); the first pipeline always is",
    )
    parser.add_argument("--no-warm-up", action="store_true", help="time the first round too; for many texts")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    random.seed(0)
    texts = sample(options.texts)
    print(
        f"{options.texts:,} texts for {options.tasks} tasks, {options.rounds} rounds; torch {torch.__version__}, "
        f"transformers {transformers.__version__}\n"
    )
    print("| batch | contender | texts per CPU s | ratio to one pipeline in float32 |")
    print("|---:|---|---:|---:|")
    for batch in options.batches:
        used = texts if batch > 1 else texts[: max(options.tasks, len(texts) // 8)]
        works = contenders(options.tasks, used, batch)
        if options.only:
            works = {name: works[name] for name in dict.fromkeys((FIRST, *options.only))}
        seconds = cpu_seconds(works, options.rounds, not options.no_warm_up)
        for name, own in seconds.items():
            ratios = [other / mine for mine, other in zip(own, seconds[FIRST], strict=True)]
            rate = spread([len(used) / each for each in own], ".0f")
            print(f"| {batch} | {name} | {rate} | {spread(ratios)} |")


if __name__ == "__main__":
    main()
