"""Compare a few ratios of speed with stored ones, in two minutes, and fail if one has fallen.

    python benchmarks/quick.py            # or: make bench-quick
    python benchmarks/quick.py --store    # after a change that is meant to change them

Each ratio divides the speed of this package by that of a stock contender in the same round, in CPU seconds of one
thread, so that neither the machine nor its load matters much. Absolute times are neither stored nor compared. Exit
code 1: a median is more than 10 % below the stored one.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks import inference, model_step, predict_texts
from benchmarks.measuring import cpu_seconds, spread

STORED = Path(__file__).with_suffix(".json")
ALLOWED = 0.9  # lowest share of a stored ratio that passes


def of_steps(rounds: int) -> dict[str, list[float]]:
    """Return the speed of a training step of `pilault` relative to a stock adapter of the same size."""
    options = argparse.Namespace(encoder="minilm", batch=16, length=48, methods=("pilault",), dropout=False)
    variants = model_step.make(options)
    seconds = model_step.time_steps(variants, rounds)
    return {
        f"training step, {each.name}, relative to {each.against}": [
            stock / own for own, stock in zip(seconds[each.name], seconds[each.against], strict=True)
        ]
        for each in variants
        if each.name.startswith("pilault")
    }


def of_tasks_together(rounds: int) -> dict[str, list[float]]:
    """Return the speed of ``predict_tasks`` relative to one call of ``predict`` per task."""
    model, _ = inference.make("pilault", 8)
    seconds = inference.time_calls(model, inference.sample(16), rounds)
    return {
        "predict_tasks, 8 tasks and 16 texts, relative to predict": [
            separate / together for separate, together in zip(seconds["separate"], seconds["together"], strict=True)
        ]
    }


def of_texts(rounds: int) -> dict[str, list[float]]:
    """Return the speed of ``predict`` relative to a pipeline of transformers with its default arithmetic."""
    found = {}
    for batch, count in ((32, 128), (1, 24)):
        work = predict_texts.contenders(1, inference.sample(count), batch)
        kept = {kind: work[f"predict, {kind}"] for kind in ("float32", "medium")}
        seconds = cpu_seconds({predict_texts.FIRST: work[predict_texts.FIRST], **kept}, rounds)
        for kind in kept:
            pairs = zip(seconds[kind], seconds[predict_texts.FIRST], strict=True)
            name = f"predict of {count} texts in {kind}, batches of {batch}, relative to a pipeline"
            found[name] = [stock / own for own, stock in pairs]
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="store_true", help=f"write the measured ratios to {STORED.name}")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    random.seed(0)
    measured: dict[str, list[float]] = {}
    for measure in (of_steps, of_tasks_together, of_texts):
        measured |= measure(options.rounds)
    if options.store:
        medians = {name: round(statistics.median(ratios), 3) for name, ratios in measured.items()}
        STORED.write_text(json.dumps(medians, indent=2) + "\n", encoding="utf-8")
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    return report(measured, stored)


def report(measured: dict[str, list[float]], stored: dict[str, float]) -> int:
    """Print each ratio next to the stored one; return 1 if one has fallen too far or has no stored value, else 0."""
    fallen = 0
    for name, ratios in measured.items():
        known = stored.get(name)
        passes = known is not None and statistics.median(ratios) >= ALLOWED * known
        fallen += not passes
        print(f"{'ok  ' if passes else 'FAIL'}  {name}: {spread(ratios)}, stored {known}")
    if fallen:
        print(f"{fallen} of {len(measured)} ratios are more than 10 % below the stored ones, or not stored")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
