"""Results of runs of every kind that the report knows, written as training writes them."""

import json

import numpy as np

from tests.metaeval_hub.embedded import TASKS, write_results

SOME = TASKS[:20]


RNG = np.random.default_rng(0)


def write_zero_shot(folder, method, tasks, accuracies, held_out="glue"):
    facts = {"method": method, "experiment": "zero_shot", "held_out": held_out}
    return write_results(folder / method, tasks, accuracies, **facts)


def write_few_shot(folder, method, shots, draws, unanswered=(), notes=()):
    """Results of a method at a number of examples; ``draws`` (n, draws) are its accuracies on the first tasks."""
    tasks = SOME[: len(draws)]
    facts = {"experiment": "few_shot", "answered_by": method, "shots": shots, "notes": list(notes)}
    facts |= {"unanswered": dict(unanswered)}
    place = write_results(folder / f"{method}-{shots}", tasks, [np.mean(each) for each in draws], **facts)
    stored = json.loads((place / "results.json").read_text())
    for task, each in zip(tasks, draws, strict=True):
        stored["tasks"][task] |= {"draws": list(each), "spread": float(np.std(each, ddof=1)) if len(each) > 1 else None}
    (place / "results.json").write_text(json.dumps(stored))


def of_each_task(place, **facts):
    """Put facts into the row of every task of written results."""
    stored = json.loads((place / "results.json").read_text())
    for row in stored["tasks"].values():
        row |= facts
    (place / "results.json").write_text(json.dumps(stored))
