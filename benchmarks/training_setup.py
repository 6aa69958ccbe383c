"""Settings, encoder, tasks and training loop that all training benchmarks share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, Value
from metaeval_training.config import TrainConfig
from metaeval_training.data.encoding import TaskData
from metaeval_training.data.rows import TaskRows
from metaeval_training.data.sampling import generator
from metaeval_training.flags import parse

WORDS_MEDIAN, WORDS_SPREAD = 24.0, 0.75  # lognormal lengths of synthetic texts, close to those of real tasks
ORIGIN = {"task": "demo/topics", "edition": "careful", "source": "synthetic", "commit": None}
CLASSES = (2, 3, 2, 6, 2, 4, 2, 18)


def synthetic_rows(number: int, rows: int, words: Sequence[str]) -> list[TaskRows]:
    """Return tasks of random words, with 2 to 18 classes and text lengths like those of real tasks."""
    tasks = []
    for task in range(number):
        rng, classes = generator("benchmark", task), CLASSES[task % len(CLASSES)]
        typical = WORDS_MEDIAN * np.exp(0.5 * rng.standard_normal())  # typical lengths differ between tasks
        lengths = rng.lognormal(np.log(typical), WORDS_SPREAD, rows).astype(int).clip(3, 300)
        texts = [" ".join(words[i] for i in rng.integers(len(words), size=length)) for length in lengths]
        names = tuple(f"c{i}" for i in range(classes))
        features = Features({"sentence": Value("string"), "label": ClassLabel(names=list(names))})
        table = Dataset.from_dict({"sentence": texts, "label": rng.integers(classes, size=rows)}, features=features)
        splits = {"train": table, "validation": table.select(range(rows // 2))}
        available = {split: len(part) for split, part in splits.items()}
        tasks.append(TaskRows(f"synthetic/t{task}", names, splits, available, ORIGIN))
    return tasks


def whole_words(tokenizer: Any) -> list[str]:
    """Return words that are one token each."""
    return sorted(word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha() and len(word) > 2)


def settings(options: argparse.Namespace) -> TrainConfig:
    """Return the preset `small` with the requested length, batch size and number of threads."""
    flags = {"--threads": options.threads, "--max-length": options.max_length, "--batch-size": options.batch_size}
    one_task = ("--preset", "small", "--step", "one-task", "--steps", "100000")
    return parse([*one_task, *(str(x) for pair in flags.items() for x in pair)]).config


def minilm() -> Any:
    """Load the packaged MiniLM."""
    from metaeval_hub.encoders.encoder import load_encoder

    return load_encoder("minilm")


def our_trainer(tasks: list[TaskData], rows: list[TaskRows], config: TrainConfig, accelerator: Any) -> Any:
    """Return our training loop, ready for its first step."""
    from metaeval_training.data.plan import make_plan
    from metaeval_training.engine.loop import StopRequest, Trainer
    from metaeval_training.runs.new_model import make_model
    from metaeval_training.runs.reporter import Reporter

    model = make_model(config, rows).train()
    plan = make_plan(config, tasks)
    return Trainer(model, tasks, plan, config, None, accelerator, Reporter(main=False), StopRequest())
