"""Compare labelling suggested texts with labelling random ones, on tasks with labels.

    python benchmarks/suggest.py runs/multitask-1/model --tasks ag_news/default glue/sst2 --json suggest.json

Texts are suggested as by `metaeval suggest`: at once, without any label ("typical"), or in rounds: typical texts first,
then texts whose class is uncertain for a classifier fitted to the earlier rounds ("rounds"). A classifier is fitted to
all labelled texts, as by ``fit_task``, and scored on test rows. It reads the features of the frozen encoder, which
training does not change, so that the model has seen none of the tasks. The interval is a bootstrap over tasks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_datasets import get_task, load_dataset
from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.model.feature_choice import Candidate, choose, encode_frozen_texts, name_in_words
from metaeval_hub.model.labelled_rows import normal_text, read_rows
from metaeval_hub.model.logistic import Linear, log_softmax
from metaeval_hub.model.suggestion import choose_texts

FROZEN = Candidate("frozen", frozen=True)
ARMS = ("random", "typical", "rounds")


def load_rows(model: ConditionalAdapterModel, task: str, pool: int, test: int, seed: int) -> dict[str, NDArray[Any]]:
    """Return the features and classes of a task: "pool" and "test" rows without repeated texts, and class "names"."""
    splits = load_dataset("metaeval", task)
    names = get_task(task).names
    found: dict[str, NDArray[Any]] = {"names": encode_frozen_texts(model, [name_in_words(name) for name in names])}
    for part, split, count in (("pool", "train", pool), ("test", "test", test)):
        places = np.random.default_rng(seed).permutation(len(splits[split]))[: 2 * count]
        rows = read_rows(task, splits[split].select(places), names)
        first = {normal_text(text): place for place, text in reversed(list(enumerate(rows.texts)))}
        chosen = sorted(first.values())[:count]
        found[part] = encode_frozen_texts(model, [rows.texts[place] for place in chosen])
        found[f"{part}_classes"] = rows.classes[chosen]
    return found


def fit(rows: dict[str, NDArray[Any]], places: NDArray[np.int64], seed: int) -> Linear:
    """Return the classifier that ``fit_task`` fits to rows of the pool with these features."""
    features = np.concatenate([rows["pool"][places], rows["names"]])
    return choose([FROZEN], {"frozen": features}, rows["pool_classes"][places], len(rows["names"]), seed=seed)[1]


def label(
    rows: dict[str, NDArray[Any]], arm: str, pool: NDArray[np.int64], count: int, rounds: int, seed: int
) -> NDArray[np.int64]:
    """Return the places of the rows that are labelled, (count,)."""
    if arm == "random":
        return pool[np.random.default_rng((seed, 1)).permutation(len(pool))[:count]]
    if arm == "typical":
        rounds = 1
    chosen = np.empty(0, np.int64)
    for number in range(rounds):
        rest = np.setdiff1d(pool, chosen)
        probabilities = None
        if len(chosen):
            probabilities = np.exp(log_softmax(fit(rows, chosen, seed).logits(rows["pool"][rest])))
        wanted = count * (number + 1) // rounds - len(chosen)
        found, _ = choose_texts(rows["pool"][rest], wanted, probabilities, seed=seed)
        chosen = np.concatenate([chosen, rest[found]])
    return chosen


def measure(rows: dict[str, NDArray[Any]], options: argparse.Namespace) -> dict[str, float]:
    """Return the mean test accuracy of each arm over seeds; each seed has another pool."""
    found: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for seed in range(options.seeds):
        size = len(rows["pool"])
        pool = np.random.default_rng((seed, 0)).permutation(size)[: round(size * options.share)]
        for arm in ARMS:
            linear = fit(rows, label(rows, arm, pool, options.count, options.rounds, seed), seed)
            correct = linear.logits(rows["test"]).argmax(axis=1) == rows["test_classes"]
            found[arm].append(float(correct.mean()))
    return {arm: float(np.mean(values)) for arm, values in found.items()}


def interval(values: Sequence[float], draws: int = 10_000) -> tuple[float, float]:
    """Return the bootstrap interval of a mean over tasks, 95 %."""
    generator = np.random.default_rng(0)
    means = generator.choice(np.asarray(values), (draws, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    """Measure each task, and print the differences from random texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder or Hub id of any trained model; only its frozen encoder is used")
    parser.add_argument("--tasks", nargs="+", required=True, help="tasks with training and test rows")
    parser.add_argument("--count", type=int, default=40, help="labelled texts (default: 40)")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of labelling (default: 4)")
    parser.add_argument("--seeds", type=int, default=5, help="pools and draws per task (default: 5)")
    parser.add_argument("--pool", type=int, default=600, help="unlabelled rows per task (default: 600)")
    parser.add_argument("--share", type=float, default=2 / 3, help="share of them in each pool (default: 2/3)")
    parser.add_argument("--test", type=int, default=300, help="test rows per task (default: 300)")
    parser.add_argument("--cache", type=Path, help="folder that stores the features of each task")
    parser.add_argument("--json", type=Path, help="file for the accuracies")
    options = parser.parse_args()
    model: ConditionalAdapterModel | None = None
    found: dict[str, dict[str, float]] = {}
    for task in options.tasks:
        stored = options.cache and options.cache / f"{task.replace('/', '__')}-{options.pool}-{options.test}.npz"
        if stored and stored.is_file():
            with np.load(stored) as file:
                rows = dict(file)
        else:
            model = model or ConditionalAdapterModel.from_pretrained(options.model)
            rows = load_rows(model, task, options.pool, options.test, 0)
            if stored:
                options.cache.mkdir(parents=True, exist_ok=True)
                np.savez(stored, **rows)
        found[task] = measure(rows, options)
        print(task, "  ".join(f"{arm} {found[task][arm] * 100:.1f}" for arm in ARMS), flush=True)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for arm in ARMS[1:]:
        values = [each[arm] - each["random"] for each in found.values()]
        low, high = interval(values)
        better = sum(value > 0 for value in values)
        print(
            f"{arm}: {np.mean(values) * 100:+.2f} points ({low * 100:+.2f} to {high * 100:+.2f}) against random, "
            f"better on {better} of {len(values)} tasks"
        )


if __name__ == "__main__":
    main()
