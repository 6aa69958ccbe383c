"""Measure how fast training is, from rows to updated weights, against other ways to train, and by number of tasks.

    python benchmarks/training.py                            synthetic tasks with the lengths of real ones
    python benchmarks/training.py --tasks glue pragmeval     real rows, where their sources can be loaded
    python benchmarks/training.py --number-of-tasks          cost of a step with 10, 100 and 1,000 tasks
    python benchmarks/training.py --startup 1000             seconds until the first step, for tasks loaded before

All contenders train the packaged MiniLM with the length and batch size of the preset `small`. A round is a fixed
number of our steps; the others get the same rows, or as many rows of the same lengths, in batches of the same size:

- ours: the training loop with that preset, whose batches mix tasks; also compiled (time of compilation not counted), in
  bfloat16, with one task per batch, with the encoder's dropout on, and with torch's default precision of products.
- stock: a stock adapter of `adapters` of the same size with one head, in transformers' Trainer, starting from tokens.
  In its default form; padded to the maximum length, as in many examples; in bfloat16, with the flag of the Trainer;
  and tuned (batches by length, dropout of the encoder off, our precision of matrix products).
- tasknet: multitask fine-tuning of all parameters, in batches of one task as tasknet draws them, if tasknet is
  installed (it is not a dependency).
- floor: the forward pass of the frozen encoder, and the backward pass through activations to the position of the first
  adapter, on as many tokens as our batches have without padding; no adapter, no optimizer; our precision of products;
  also in bfloat16.

A second table adds the work around the steps: tokenising all texts, which the cache saves in later runs of ours, and
scoring validation and test once (ours by length, the Trainer's `predict` in row order), at the measured rates.

All contenders take turns in one process, in an order that rotates with each round. Ratios compare examples per CPU
second of the process, round by round, so that waiting for other processes does not count. With --threads 1 both clocks
agree on an idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # in the folder of this script, `training` is this file
    sys.path[0] = str(ROOT)

from metaeval_training.config import TrainConfig
from metaeval_training.data.cache import DataCache
from metaeval_training.data.encoding import encode_rows, encode_tasks
from metaeval_training.data.rows import TaskRows

from benchmarks import training_setup
from benchmarks.measuring import CLOCK, Rates, TimedWork, measure_in_turns, spread
from benchmarks.training_contenders import FLOOR, OURS, STOCK, TUNED, Contest, contenders, join
from benchmarks.training_scale import by_number, start, startup, train_alone

SYNTHETIC = 24  # number of synthetic tasks


def compare(options: argparse.Namespace) -> None:
    """Print two tables: the rate of each contender per step, and the seconds of a whole run at these rates."""
    from metaeval_training.data.cache import data_cache
    from metaeval_training.data.plan import make_plan

    config = training_setup.settings(options)
    cache = data_cache(config)
    found = training_setup.minilm()
    if options.tasks == ["synthetic"]:
        rows = training_setup.synthetic_rows(
            SYNTHETIC, config.max_train_rows, training_setup.whole_words(found.tokenizer)
        )
    else:
        rows = real_rows(options.tasks, config, cache)
    tasks = encode_tasks(rows, found.tokenizer, config.max_length, cache)
    plan = make_plan(config, tasks)
    contest = Contest(tasks, rows, config, plan, options.rounds, options.block)
    with tempfile.TemporaryDirectory() as folder:
        each = contenders(contest, folder)
        set_up = {name: contender.set_up for name, contender in each.items()}
        rates = measure_in_turns(
            {name: contender.train for name, contender in each.items()},
            options.rounds, [encoder for contender in each.values() for encoder in contender.encoders], set_up,
        )  # fmt: skip
        true = contest.lengths(join([plan[step] for step in range(options.rounds * options.block)])).mean()
        show_steps(rates, f"{len(tasks)} tasks; the timed examples have {true:.1f} tokens each")
        scored = {name: each[name].evaluate for name in (OURS, STOCK, TUNED)}
        found_steps = {name: step for name, step in scored.items() if step is not None}
        evaluation = measure_in_turns(found_steps, options.rounds, set_up=set_up)
    tokenisation = measure_in_turns(
        {name: tokenise(contest, name, found.tokenizer) for name in (OURS, STOCK)}, options.rounds
    )
    show_run(rates, evaluation, tokenisation, contest)


def tokenise(contest: Contest, name: str, tokenizer: Any) -> TimedWork:
    """Return a step that tokenises training rows: with our code, or with ``Dataset.map`` as in many examples."""
    length = contest.config.max_length

    def block(number: int) -> int:
        task = contest.rows[number % len(contest.rows)]
        rows, columns = task.splits["train"], task.text_columns
        with CLOCK.running():
            if name == OURS:
                encode_rows(rows, tokenizer, length)
            else:
                rows.map(
                    lambda batch: tokenizer(*(batch[c] for c in columns), truncation=True, max_length=length),
                    batched=True, load_from_cache_file=False,
                )  # fmt: skip
        return len(rows)

    return block


def show_steps(rates: Mapping[str, Rates], head: str) -> None:
    """Print examples per second, and the ratio of ours to each contender, paired by round."""
    print(
        f"{head}\n\n"
        "| | examples per CPU s | examples per s | tokens per example | ours / contender | contender / floor |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    ours, floor = rates[OURS].cpu, rates[FLOOR].cpu
    for name, found in rates.items():
        against = spread([a / b for a, b in zip(ours, found.cpu, strict=True)])
        share = spread([b / c for b, c in zip(found.cpu, floor, strict=True)])
        cpu, wall, tokens = statistics.median(found.cpu), statistics.median(found.wall), statistics.mean(found.tokens)
        print(f"| {name} | {cpu:.1f} | {wall:.1f} | {tokens:.1f} | {against} | {share} |", flush=True)


def show_run(
    rates: Mapping[str, Rates],
    evaluation: Mapping[str, Rates],
    tokenisation: Mapping[str, Rates],
    contest: Contest,
) -> None:
    """Print the CPU seconds of a run of the preset at the measured rates: tokenise all rows, train, score once."""
    trained = sum(task.train.labels.size for task in contest.tasks)
    scored = sum(len(rows) for task in contest.tasks for split, rows in task.splits.items() if split != "train")
    epochs = contest.config.epochs
    print(
        f"\n{epochs:g} passes over {trained:,} training rows, {scored:,} rows scored, all tokenised:\n\n"
        "| | tokenise, CPU s | train, CPU s | score, CPU s | total, CPU s | contender / ours |\n"
        "|---|---:|---:|---:|---:|---:|"
    )
    totals = {}
    for name in (OURS, STOCK, TUNED):
        tokens = [(trained + scored) / rate for rate in tokenisation[OURS if name == OURS else STOCK].cpu]
        training = [epochs * trained / rate for rate in rates[name].cpu]
        scoring = [scored / rate for rate in evaluation[name].cpu]
        totals[name] = [sum(parts) for parts in zip(tokens, training, scoring, strict=True)]
        parts = " | ".join(f"{statistics.median(part):,.0f}" for part in (tokens, training, scoring, totals[name]))
        against = spread([b / a for a, b in zip(totals[OURS], totals[name], strict=True)])
        print(f"| {name} | {parts} | {against} |")


def real_rows(names: Sequence[str], config: TrainConfig, cache: DataCache) -> list[TaskRows]:
    """Load real tasks, skipping those whose sources cannot be loaded."""
    from metaeval_training.data.rows import expand_tasks, load_tasks, row_choice

    rows, skipped = load_tasks(
        expand_tasks(names), row_choice(config), decontaminate=config.decontaminate, skip_unavailable=True, cache=cache
    )
    print(f"{len(rows)} tasks, {len(skipped)} cannot be loaded")
    return rows


def main() -> None:
    """Read the command line and run the requested measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tasks",
        nargs="+",
        default=["synthetic"],
        help="names of tasks or groups, all, or synthetic (default: synthetic)",
    )
    parser.add_argument("--rounds", type=int, default=8, help="measured rounds (default: 8)")
    parser.add_argument("--block", type=int, default=16, help="our steps per round (default: 16)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: 1)")
    parser.add_argument(
        "--max-length", type=int, default=64, help="tokens per example, longer ones are cut (default: 64)"
    )
    parser.add_argument("--batch-size", type=int, default=32, help="examples per step (default: 32, as in the preset)")
    parser.add_argument("--number-of-tasks", action="store_true", help="measure a step by number of tasks")
    parser.add_argument(
        "--counts",
        type=int,
        nargs="+",
        default=[10, 100, 1000],
        help="numbers of tasks, multiples of 10 (default: 10 100 1000)",
    )
    parser.add_argument(
        "--startup", type=int, metavar="TASKS", help="measure the seconds until the first step with this many tasks"
    )
    parser.add_argument("--start", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--resident", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start:
        start(options)
    elif options.resident:
        train_alone(options)
    elif options.startup:
        startup(options)
    elif options.number_of_tasks:
        by_number(options)
    else:
        compare(options)


if __name__ == "__main__":
    main()
