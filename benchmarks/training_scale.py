"""Measure how training scales: the cost of a step by number of tasks, and the seconds until the first step."""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from metaeval_training.config import TrainConfig
from metaeval_training.data.encoding import encode_tasks
from metaeval_training.data.sampling import Batch, generator

from benchmarks import training_setup
from benchmarks.casting import largest_resident_set
from benchmarks.measuring import CLOCK, TimedWork, measure_in_turns, spread

SCRIPT = str(Path(__file__).with_name("training.py"))


def by_number(options: argparse.Namespace) -> None:
    """Print the cost of a step by number of tasks, and the memory of a process that trains on them."""
    from metaeval_training.runs.machine import start_accelerator

    config = training_setup.settings(options)
    accelerator = start_accelerator(config)
    trainers = {count: many_tasks(count, config, accelerator) for count in options.counts}
    batches = [trainers[options.counts[0]].plan[step] for step in range((options.rounds + 1) * options.block)]

    def same(trainer: Any, count: int) -> TimedWork:
        def block(number: int) -> int:
            steps = range(number * options.block, (number + 1) * options.block)
            # same rows, of another task with the same rows
            tasks = [batches[i].tasks % 10 + 10 * generator("task", i).integers(count // 10) for i in steps]
            with CLOCK.running():
                for step, task in zip(steps, tasks, strict=True):
                    trainer.progress.step = step
                    trainer._step(Batch(task, batches[step].rows))
            return sum(len(batches[step].rows) for step in steps)

        return block

    rates = measure_in_turns({str(count): same(trainer, count) for count, trainer in trainers.items()}, options.rounds)
    print(
        "| tasks | CPU ms per step | time relative to the first | parameters without z and heads | z and heads | MB |"
    )
    print("|---:|---:|---:|---:|---:|---:|")
    base = rates[str(options.counts[0])].cpu
    for count, trainer in trainers.items():
        groups = trainer.model.trained_numbers()
        rows_of = groups["task_embedding"] + groups["head"]
        time_ratio = spread([a / b for a, b in zip(base, rates[str(count)].cpu, strict=True)], ".3f")
        ms = 1000 * config.batch_size / statistics.median(rates[str(count)].cpu)
        print(
            f"| {count:,} | {ms:.0f} | {time_ratio} | {sum(groups.values()) - rows_of:,} | {rows_of:,} | "
            f"{resident(options, count):.0f} |"
        )


def many_tasks(count: int, config: TrainConfig, accelerator: Any) -> Any:
    """Return our loop on ``count`` tasks: ten tasks under many names, so that batches have the same lengths."""
    found = training_setup.minilm()
    texts = training_setup.synthetic_rows(10, 200, training_setup.whole_words(found.tokenizer))
    encoded = encode_tasks(texts, found.tokenizer, config.max_length)
    names = [f"synthetic/t{i}" for i in range(count)]
    rows = [dataclasses.replace(texts[i % 10], name=name) for i, name in enumerate(names)]
    return training_setup.our_trainer(
        [dataclasses.replace(encoded[i % 10], name=name) for i, name in enumerate(names)], rows, config, accelerator
    )


def resident(options: argparse.Namespace, count: int) -> float:
    """Return the largest resident set in MB of a process that trains one block on ``count`` tasks."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--resident", str(count), "--block", str(options.block)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def train_alone(options: argparse.Namespace) -> None:
    """Train one block on ``options.resident`` tasks and print the largest resident set in MB."""
    from metaeval_training.runs.machine import start_accelerator

    config = training_setup.settings(options)
    trainer = many_tasks(options.resident, config, start_accelerator(config))
    for step in range(options.block):
        trainer.progress.step = step
        trainer._step(trainer.plan[step])
    print(largest_resident_set() / 1e6)


def startup(options: argparse.Namespace) -> None:
    """Print the seconds until the first step of several runs on the same tasks, each in its own process."""
    with tempfile.TemporaryDirectory() as home:
        for turn in range(options.rounds + 1):
            done = subprocess.run(
                [sys.executable, SCRIPT, "--start", str(options.startup)], text=True, capture_output=True, check=True,
                env={**os.environ, "HF_HOME": home, "HF_HUB_OFFLINE": "1"},
            )  # fmt: skip
            print("first run " if not turn else "later run ", done.stdout.strip().splitlines()[-1])


def start(options: argparse.Namespace) -> None:
    """Load, decontaminate, tokenise and describe ``options.start`` tasks as training does; print the seconds."""
    from metaeval_datasets import catalog, demo, metaeval

    models = [catalog.get_task(name) for name in catalog.list_tasks(group="demo")]
    names = {f"synthetic/t{i:04d}": models[i % len(models)] for i in range(options.start)}
    specs = {name: dataclasses.replace(spec, name=name) for name, spec in names.items()}
    generate = demo.generate
    demo.generate = lambda name, *args: generate(names[name].name if name in names else name, *args)
    catalog.all_tasks = lambda: specs
    metaeval.MetaEval.BUILDER_CONFIGS = [metaeval.MetaEvalConfig(name=name, version=metaeval.VERSION) for name in names]

    import datasets
    from metaeval_training.data.plan import make_plan
    from metaeval_training.runs.machine import start_accelerator
    from metaeval_training.runs.prepare import prepare
    from metaeval_training.runs.provenance import describe_data
    from metaeval_training.runs.reporter import Reporter

    datasets.disable_progress_bars()
    config = dataclasses.replace(training_setup.settings(options), tasks=("synthetic",))
    accelerator = start_accelerator(config)
    with CLOCK.running():
        material = prepare(config, accelerator, Reporter(main=False))
        plan = make_plan(config, material.tasks)
        describe_data(material.tasks, material.skipped, material.model)
    print(
        f"{len(material.tasks):,} tasks: {CLOCK.cpu:.2f} CPU s ({CLOCK.wall:.1f} s of wall time) from settings to the "
        f"first of {len(plan):,} steps; the process took {time.process_time():.2f} CPU s including imports"
    )
