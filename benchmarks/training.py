"""How fast training is from rows to updated weights, beside other ways to train, and by number of tasks.

    python benchmarks/training.py                            synthetic tasks with the lengths of real ones
    python benchmarks/training.py --tasks glue pragmeval     real rows, where their sources can be had
    python benchmarks/training.py --number-of-tasks          what a step costs with 10, 100 and 1,000 tasks
    python benchmarks/training.py --startup 1000             seconds until the first step, of tasks seen before

What is compared, on the packaged MiniLM at the length and batch of the preset `small`. A round is so many of our steps;
the others get the same rows, or as many of the same lengths, in batches of the same size:

- ours: the training loop with that preset, in steps of one task; also with the encoder's dropout on, with mixed steps,
  in bfloat16, and with the products of matrices that torch takes by itself.
- stock: a stock adapter of `adapters` of the same size and one head, in transformers' Trainer, from tokens on. As it
  comes; padded to the maximum, as examples have it; in bfloat16, a flag of the Trainer; and at its best (batches by
  length, the encoder's dropout off, products as ours).
- tasknet: multitask full fine-tuning, which is what it offers, where it is installed (it is no dependency),
  in batches of one task, as it draws them.
- floor: forward of the frozen encoder, and backward through activations to the first adapter's place, on as many tokens
  as our batches have without padding; no adapter, no optimiser; products as ours.

A second table adds what is around the steps: tokenising all texts, which the cache spares our later runs, and scoring
validation and test once (ours by length, the Trainer's `predict` in the order of the rows), at the rates measured.

All take turns in one process, in an order that moves on each round. Ratios are of examples a second, round by round, by
CPU seconds of the process, so that waiting for others does not count. With --threads 1 both clocks agree when idle.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # in the folder of this script `training` is this file
    sys.path[0] = str(ROOT)

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Features, Value
from metaeval_training.config import MatmulPrecision, TrainConfig
from metaeval_training.data.cache import DataCache
from metaeval_training.data.encoding import EncodedRows, TaskData, collate, encode_rows, encode_tasks
from metaeval_training.data.rows import TaskRows
from metaeval_training.data.sampling import Batch, BatchPlan, generator
from metaeval_training.engine.evaluation import count_predictions
from metaeval_training.flags import parse
from metaeval_training.runs.machine import set_arithmetic
from numpy.typing import NDArray

from benchmarks.casting import largest_resident_set

WORDS_MEDIAN, WORDS_SPREAD = 24.0, 0.75  # of the lognormal lengths of synthetic texts, near those of the real tasks
ORIGIN = {"task": "demo/topics", "edition": "careful", "source": "made here", "commit": None}
CLASSES = (2, 3, 2, 6, 2, 4, 2, 18)
OURS, FLOOR = "ours", "floor"
STOCK, BEST = "stock adapter, transformers' Trainer", "stock adapter, at its best"
SYNTHETIC = 24  # tasks
EVALUATED = 128  # validation rows of a task that a round scores
Step = Callable[[int], int]  # does the work of round n, running the clock, and returns how many examples it had


# --- Tasks -----------------------------------------------------------------------------------------------------------


def synthetic_rows(number: int, rows: int, words: Sequence[str]) -> list[TaskRows]:
    """Tasks of random words, of 2 to 18 classes and of lengths like those of real ones."""
    tasks = []
    for task in range(number):
        rng, classes = generator("benchmark", task), CLASSES[task % len(CLASSES)]
        typical = WORDS_MEDIAN * np.exp(0.5 * rng.standard_normal())  # tasks differ in length, too
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
    """Words of one token."""
    return sorted(word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha() and len(word) > 2)


# --- What is compared ------------------------------------------------------------------------------------------------


class Clock:
    """CPU and wall seconds of what is measured; setting up is left out."""

    cpu = wall = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Count what happens within."""
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.cpu += time.process_time() - cpu
            self.wall += time.perf_counter() - wall


CLOCK = Clock()


def settings(options: argparse.Namespace) -> TrainConfig:
    """The preset `small`, at the length and the batch that were asked for."""
    flags = {"--threads": options.threads, "--max-length": options.max_length, "--batch-size": options.batch_size}
    one_task = ("--preset", "small", "--step", "one-task", "--steps", "100000")
    return parse([*one_task, *(str(x) for pair in flags.items() for x in pair)]).config


def minilm() -> Any:
    """The packaged MiniLM."""
    from metaeval_hub.encoders.encoder import load_encoder

    return load_encoder("minilm")


def our_trainer(tasks: list[TaskData], rows: list[TaskRows], config: TrainConfig, accelerator: Any) -> Any:
    """The loop, ready for its first step."""
    from metaeval_training.data.plan import make_plan
    from metaeval_training.engine.loop import Trainer
    from metaeval_training.runs.new_model import make_model
    from metaeval_training.runs.process import StopRequest
    from metaeval_training.runs.reporter import Reporter

    model = make_model(config, rows).train()
    plan = make_plan(config, tasks)
    return Trainer(model, tasks, plan, config, None, accelerator, Reporter(main=False), StopRequest())


@dataclasses.dataclass(frozen=True)
class Contest:
    """What all contenders get: encoded tasks, their texts, the settings, and which rows a round is about.

    The first ``rounds * block`` steps of our plan are dealt out to the rounds by length, so that all rounds have short
    and long ones alike. Round 0 warms up, with a step of round 1.

    Attributes:
        plan: our batches.
        rounds: how many there are.
        block: our steps in a round.
    """

    tasks: list[TaskData]
    rows: list[TaskRows]
    config: TrainConfig
    plan: BatchPlan
    rounds: int
    block: int

    def deal(self, batches: Iterable[Batch], number: int) -> list[Batch]:
        """Those of the batches of all rounds that a round has."""
        ordered = sorted(batches, key=lambda batch: int(self.lengths(batch).max()))
        return ordered[:1] if not number else ordered[number - 1 :: self.rounds]

    def lengths(self, batch: Batch) -> NDArray[np.int64]:
        """Tokens of the rows of a batch."""
        tasks = np.broadcast_to(batch.tasks, batch.rows.shape)
        return np.array([self.tasks[t].train.lengths[r] for t, r in zip(tasks, batch.rows, strict=True)])

    def batches(self, number: int) -> list[Batch]:
        """Our batches of a round, of one task each."""
        return self.deal([self.plan[step] for step in range(self.rounds * self.block)], number)

    def mixed_batches(self, number: int) -> list[Batch]:
        """Those of a round if all rows of all rounds are put into batches by length, whichever task they are of."""
        every = join([self.plan[step] for step in range(self.rounds * self.block)])
        order = np.array_split(np.argsort(self.lengths(every), kind="stable"), self.rounds * self.block)
        return self.deal([Batch(every.tasks[part], every.rows[part]) for part in order], number)

    def splits(self, batch: Batch) -> list[tuple[EncodedRows, int]]:
        """The rows of a batch: the split that each is of, and its place there."""
        tasks = np.broadcast_to(batch.tasks, batch.rows.shape)
        return [(self.tasks[t].train, int(r)) for t, r in zip(tasks, batch.rows, strict=True)]

    def evaluated(self, number: int) -> tuple[int, EncodedRows]:
        """Number of the task whose validation rows a round scores, and the rows."""
        having = [i for i, task in enumerate(self.tasks) if "validation" in task.splits]
        task = having[number % len(having)]
        rows = self.tasks[task].splits["validation"]
        offsets = rows.offsets[: EVALUATED + 1]
        return task, dataclasses.replace(rows, offsets=offsets, labels=rows.labels[:EVALUATED], known_digest="")


def join(batches: Sequence[Batch]) -> Batch:
    """All rows of batches in one: tasks (N,), rows (N,)."""
    tasks = [np.broadcast_to(batch.tasks, batch.rows.shape) for batch in batches]
    return Batch(np.concatenate(tasks), np.concatenate([batch.rows for batch in batches]))


class Contender:
    """One way to train; a method that it does not have is None. Each runs the clock, and returns how many examples."""

    train: Step
    evaluate: Step | None = None
    encoders: Sequence[Any]  # the tokens of which are counted
    matmul_precision: MatmulPrecision = "highest"  # torch's default, with its fused attention

    def set_up(self) -> None:
        """Set for the process how this contender multiplies matrices, and whether its operations are deterministic."""
        set_arithmetic(TrainConfig(matmul_precision=self.matmul_precision), "cpu")
        torch.use_deterministic_algorithms(isinstance(self, Ours))  # our bits need it; others need not pay for it


class Ours(Contender):
    """Our loop, with tasks one by one or mixed."""

    def __init__(self, contest: Contest, accelerator: Any, bf16: bool = False, **changes: Any) -> None:
        self.contest, self.mixed = contest, changes.get("step") == "mixed"
        config = dataclasses.replace(contest.config, **changes)
        self.trainer = our_trainer(contest.tasks, contest.rows, config, accelerator)
        self.encoders, self.matmul_precision = [self.trainer.model.encoder], config.matmul_precision
        if bf16:  # Accelerate, which would do the same, has one precision a process
            self.trainer.wrapped = torch.autocast("cpu", torch.bfloat16)(self.trainer.wrapped)

    def train(self, number: int) -> int:
        """The loop's own steps, with the batches that it makes."""
        batches = self.contest.mixed_batches(number) if self.mixed else self.contest.batches(number)
        with CLOCK.running():
            for place, batch in enumerate(batches):
                self.trainer.progress.step = number * self.contest.block + place
                self.trainer._step(batch)
        return sum(len(batch.rows) for batch in batches)

    def evaluate(self, number: int) -> int:
        """Count right and wrong predictions as the job does."""
        trainer, config = self.trainer, self.contest.config
        task, rows = self.contest.evaluated(number)
        with CLOCK.running():
            trainer.model.eval()
            count_predictions(
                trainer.model, rows, task, len(self.contest.tasks[task].labels),
                batch_size=config.eval_batch_size, pad=trainer.pad, accelerator=trainer.accelerator,
            )  # fmt: skip
            trainer.model.train()
        return len(rows)


class Floor(Contender):
    """Forward of the frozen encoder and backward to the first adapter's place, on tokens without padding."""

    def __init__(self, contest: Contest) -> None:
        self.contest, self.encoder = contest, minilm().module
        self.encoders, self.matmul_precision = [self.encoder], contest.config.matmul_precision
        self.encoder.requires_grad_(False)
        self.encoder.eval()
        self.added = torch.nn.Parameter(torch.zeros(self.encoder.config.hidden_size))
        place = self.encoder.encoder.layer[0].attention.output.dense
        place.register_forward_hook(lambda module, args, out: out + self.added)

    def train(self, number: int) -> int:
        """As many rows as ours, each of the mean length of its batch."""
        splits, examples = [task.train for task in self.contest.tasks], 0
        with CLOCK.running():
            for batch in self.contest.batches(number):
                inputs = collate(splits, batch, 0)
                tokens = max(round(int(inputs["attention_mask"].sum()) / len(batch.rows)), 1)
                ids = inputs["input_ids"][:, :1].repeat(1, tokens)
                hidden = self.encoder(input_ids=ids).last_hidden_state[:, 0]
                torch.autograd.grad(hidden.square().mean(), self.added)
                examples += len(batch.rows)
        return examples


class Stock(Contender):
    """A stock adapter of the same size and one head, in transformers' Trainer, on the same rows.

    Args:
        contest: what is trained on.
        folder: that the Trainer writes to.
        padding: to the longest row of a batch, which is what Trainer's collator does if left alone, or to the maximum,
            as examples have it.
        best: rows grouped by length, the dropout of the frozen encoder off, products of matrices as ours.
        bf16: in bfloat16, as the Trainer does with ``bf16=True``.
    """

    def __init__(
        self, contest: Contest, folder: str, padding: str = "longest", best: bool = False, bf16: bool = False
    ) -> None:
        import adapters
        from transformers import BertForSequenceClassification, DataCollatorWithPadding, TrainingArguments

        from metaeval_hub.conditional.config import reduction_factor
        from metaeval_hub.encoders.weights import quiet

        config, found, self.best, self.contest = contest.config, minilm(), best, contest
        self.matmul_precision = config.matmul_precision if best else "highest"
        model = BertForSequenceClassification(found.module.config)
        model.bert.load_state_dict(found.module.state_dict(), strict=False)
        model.config.num_labels = model.num_labels = max(len(task.labels) for task in contest.tasks)
        model.classifier = torch.nn.Linear(model.config.hidden_size, model.num_labels)
        size = reduction_factor(model.config.hidden_size, config.adapter_size)
        with quiet("adapters.model_mixin"):
            adapters.init(model)
            model.add_adapter("all", config=adapters.DoubleSeqBnConfig(reduction_factor=size, non_linearity="gelu"))
            model.train_adapter("all")
        if best:
            for module in model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            for layer in model.bert.encoder.layer:
                layer.attention.self.dropout_prob = 0.0
        self.model, self.encoders = model, [model.bert]
        self.collator = DataCollatorWithPadding(found.tokenizer, padding=padding, max_length=config.max_length)
        self.arguments = TrainingArguments(**hf_arguments(folder, config))
        if bf16:  # what the Trainer's flag comes to, which would set it for the whole process
            model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)

    def trainer(self, rows: Sequence[tuple[EncodedRows, int]]) -> Any:
        """A Trainer of rows, each named by its split and its place there; at its best it takes them in this order."""
        from torch.utils.data import SequentialSampler
        from transformers import Trainer

        ids = [split.tokens[split.offsets[i] : split.offsets[i + 1]].tolist() for split, i in rows]
        labels = [int(split.labels[i]) for split, i in rows]
        data = Dataset.from_dict({"input_ids": ids, "labels": labels})
        trainer = Trainer(self.model, self.arguments, train_dataset=data, data_collator=self.collator)
        if self.best:  # group_by_length groups some thousand rows, more than a round has
            trainer._get_train_sampler = lambda *args: SequentialSampler(data)
        return trainer

    def train(self, number: int) -> int:
        """One pass over the rows of the round, shuffled; at its best over as many, in batches by length."""
        self.arguments.seed = number
        batches = self.contest.mixed_batches(number) if self.best else self.contest.batches(number)
        rows = self.contest.splits(join(batches))
        return timed_train(self.trainer(rows), len(rows))

    def evaluate(self, number: int) -> int:
        """Predict; at its best the rows come by length."""
        _, rows = self.contest.evaluated(number)
        order = np.argsort(rows.lengths, kind="stable") if self.best else np.arange(len(rows))
        trainer = self.trainer([(rows, int(i)) for i in order])
        with CLOCK.running():
            trainer.predict(trainer.train_dataset)
        return len(rows)


class Tasknet(Contender):
    """Multitask full fine-tuning by tasknet, on the same rows, in batches of one task."""

    def __init__(self, contest: Contest, folder: str) -> None:
        import evaluate

        evaluate.load = lambda *args, **options: None  # its import asks the Hub for two metrics
        import tasknet
        from datasets import DatasetDict

        from metaeval_hub.encoders.find import find_minilm

        # only the tasks that come up: a model of its own for each, texts tokenised once more
        used = np.unique(join([b for number in range(1, contest.rounds + 1) for b in contest.batches(number)]).tasks)
        tasks = []
        for task in [contest.rows[i] for i in used]:
            train = task.splits["train"].rename_column("label", "labels")
            columns = task.text_columns
            splits = DatasetDict(train=train, validation=train.select(range(8)), test=train.select(range(8)))
            second = columns[1] if len(columns) > 1 else "none"
            tasks.append(tasknet.Classification(dataset=splits, s1=columns[0], s2=second, y="labels", name=task.name))
        arguments = hf_arguments(folder, contest.config) | {
            "model_name": str(find_minilm().folder), "max_length": contest.config.max_length, "batched": True,
        }  # fmt: skip
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            model, self.whole = tasknet.Model_Trainer(tasks, arguments)
        self.whole.model_accepts_loss_kwargs = False  # else it passes BERT an argument that BERT does not take
        self.contest, self.encoders = contest, list(model.task_models_list)
        self.data = dict(zip(used.tolist(), self.whole.train_dataset.items(), strict=True))

    def train(self, number: int) -> int:
        """As many rows of the same tasks, drawn at random as it does itself."""
        tasks, random = join(self.contest.batches(number)).tasks, generator("tasknet", number)
        self.whole.train_dataset = {
            task: data.select(random.permutation(len(data))[: (tasks == i).sum()])
            for i, (task, data) in self.data.items()
            if i in tasks
        }
        return timed_train(self.whole, len(tasks))


def hf_arguments(folder: str, config: TrainConfig) -> dict[str, Any]:
    """Arguments of transformers' Trainer that turn off all but one pass of training."""
    return {
        "output_dir": folder, "num_train_epochs": 1, "per_device_train_batch_size": config.batch_size, "report_to": [],
        "per_device_eval_batch_size": config.eval_batch_size, "save_strategy": "no", "eval_strategy": "no",
        "logging_strategy": "no", "disable_tqdm": True, "use_cpu": True, "learning_rate": 3e-4,
    }  # fmt: skip


def timed_train(trainer: Any, examples: int) -> int:
    """Train by transformers' Trainer; the clock runs from its first to its last step, batches included."""
    from transformers import TrainerCallback

    stack = contextlib.ExitStack()

    class Times(TrainerCallback):
        def on_train_begin(self, *args: Any, **options: Any) -> None:
            stack.enter_context(CLOCK.running())

        def on_train_end(self, *args: Any, **options: Any) -> None:
            stack.close()

    trainer.add_callback(Times())
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train()
    finally:
        trainer.pop_callback(Times)
    return examples


def contenders(contest: Contest, folder: str) -> dict[str, Contender]:
    """All that take turns; tasknet where it is installed."""
    from metaeval_training.runs.machine import start_accelerator

    others: dict[str, Contender] = {
        STOCK: Stock(contest, folder),
        "stock adapter, padded to the maximum": Stock(contest, folder, padding="max_length"),
        "stock adapter, bfloat16": Stock(contest, folder, bf16=True),
        BEST: Stock(contest, folder, best=True),
    }
    if importlib.util.find_spec("tasknet"):
        others["tasknet, full fine-tuning"] = Tasknet(contest, folder)
    accelerator = start_accelerator(contest.config)  # last: arguments of a Trainer undo what others have set up
    ours = {
        OURS: Ours(contest, accelerator),
        "ours, the encoder's dropout on": Ours(contest, accelerator, encoder_dropout=True),
        "ours, mixed steps": Ours(contest, accelerator, step="mixed"),
        "ours, bfloat16": Ours(contest, accelerator, bf16=True),
        "ours, products of the highest precision": Ours(contest, accelerator, matmul_precision="highest"),
    }
    return {**ours, **others, FLOOR: Floor(contest)}


# --- Measuring -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Measured:
    """Of one contender, a number a round: examples a second by either clock, tokens an example."""

    cpu: list[float] = dataclasses.field(default_factory=list)
    wall: list[float] = dataclasses.field(default_factory=list)
    tokens: list[float] = dataclasses.field(default_factory=list)


def measure(
    steps: Mapping[str, Step],
    rounds: int,
    encoders: Sequence[Any] = (),
    set_up: Mapping[str, Callable[[], None]] = MappingProxyType({}),
) -> dict[str, Measured]:
    """Examples a second of every contender in every round; a first round warms up. They run the clock.

    Args:
        steps: what is measured, by name.
        rounds: how many.
        encoders: the tokens of which are counted.
        set_up: called before the steps of that name, off the clock.
    """
    found = {name: Measured() for name in steps}
    names, tokens = list(steps), [0]

    def count(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        tokens[0] += args[0].numel()

    for table in {encoder.get_input_embeddings() for encoder in encoders}:
        table.register_forward_pre_hook(count)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if name in set_up:
                set_up[name]()
            CLOCK.cpu = CLOCK.wall = tokens[0] = 0
            examples = steps[name](number)
            if number:
                found[name].cpu.append(examples / CLOCK.cpu)
                found[name].wall.append(examples / CLOCK.wall)
                found[name].tokens.append(tokens[0] / examples)
    return found


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Median, and quartiles in brackets."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def compare(options: argparse.Namespace) -> None:
    """Print the tables of contenders: steps, evaluation and tokenisation, and what a whole run comes to."""
    from metaeval_training.data.cache import data_cache
    from metaeval_training.data.plan import make_plan

    config = settings(options)
    cache = data_cache(config)
    found = minilm()
    if options.tasks == ["synthetic"]:
        rows = synthetic_rows(SYNTHETIC, config.max_train_rows, whole_words(found.tokenizer))
    else:
        rows = real_rows(options.tasks, config, cache)
    tasks = encode_tasks(rows, found.tokenizer, config.max_length, cache)
    plan = make_plan(config, tasks)
    contest = Contest(tasks, rows, config, plan, options.rounds, options.block)
    with tempfile.TemporaryDirectory() as folder:
        each = contenders(contest, folder)
        set_up = {name: contender.set_up for name, contender in each.items()}
        rates = measure(
            {name: contender.train for name, contender in each.items()},
            options.rounds, [encoder for contender in each.values() for encoder in contender.encoders], set_up,
        )  # fmt: skip
        true = contest.lengths(join([plan[step] for step in range(options.rounds * options.block)])).mean()
        show_steps(rates, f"{len(tasks)} tasks; the examples that were timed have {true:.1f} tokens each")
        scored = {name: each[name].evaluate for name in (OURS, STOCK, BEST)}
        found_steps = {name: step for name, step in scored.items() if step is not None}
        evaluation = measure(found_steps, options.rounds, set_up=set_up)
    tokenisation = measure({name: tokenise(contest, name, found.tokenizer) for name in (OURS, STOCK)}, options.rounds)
    show_run(rates, evaluation, tokenisation, contest)


def tokenise(contest: Contest, name: str, tokenizer: Any) -> Step:
    """Tokenise the training rows of a task: ours, or by a function over batches of a data set, as examples have it."""
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


def show_steps(rates: Mapping[str, Measured], head: str) -> None:
    """Print examples a second, and ours against each, paired by round."""
    print(f"{head}\n\n| | examples / CPU s | examples / s | tokens an example | ours / it | it / the floor |")
    print("|---|---:|---:|---:|---:|---:|")
    ours, floor = rates[OURS].cpu, rates[FLOOR].cpu
    for name, found in rates.items():
        against = spread([a / b for a, b in zip(ours, found.cpu, strict=True)])
        share = spread([b / c for b, c in zip(found.cpu, floor, strict=True)])
        cpu, wall, tokens = statistics.median(found.cpu), statistics.median(found.wall), statistics.mean(found.tokens)
        print(f"| {name} | {cpu:.1f} | {wall:.1f} | {tokens:.1f} | {against} | {share} |", flush=True)


def show_run(
    rates: Mapping[str, Measured],
    evaluation: Mapping[str, Measured],
    tokenisation: Mapping[str, Measured],
    contest: Contest,
) -> None:
    """Print what runs of the preset come to by the measured rates: tokenise all, train, score at the end."""
    trained = sum(task.train.labels.size for task in contest.tasks)
    scored = sum(len(rows) for task in contest.tasks for split, rows in task.splits.items() if split != "train")
    epochs = contest.config.epochs
    print(
        f"\n{epochs:g} passes over {trained:,} training rows, {scored:,} rows scored, all tokenised:\n\n"
        "| | tokenise, CPU s | train | score | together | ours / it |\n|---|---:|---:|---:|---:|---:|"
    )
    totals = {}
    for name in (OURS, STOCK, BEST):
        tokens = [(trained + scored) / rate for rate in tokenisation[OURS if name == OURS else STOCK].cpu]
        training = [epochs * trained / rate for rate in rates[name].cpu]
        scoring = [scored / rate for rate in evaluation[name].cpu]
        totals[name] = [sum(parts) for parts in zip(tokens, training, scoring, strict=True)]
        parts = " | ".join(f"{statistics.median(part):,.0f}" for part in (tokens, training, scoring, totals[name]))
        against = spread([b / a for a, b in zip(totals[OURS], totals[name], strict=True)])
        print(f"| {name} | {parts} | {against} |")


def real_rows(names: Sequence[str], config: TrainConfig, cache: DataCache) -> list[TaskRows]:
    """Real tasks, as many as can be had."""
    from metaeval_training.data.rows import expand_tasks, load_tasks, row_choice

    rows, skipped = load_tasks(
        expand_tasks(names), row_choice(config), decontaminate=config.decontaminate, skip_unavailable=True, cache=cache
    )
    print(f"{len(rows)} tasks, {len(skipped)} cannot be had here")
    return rows


# --- By number of tasks ----------------------------------------------------------------------------------------------


def by_number(options: argparse.Namespace) -> None:
    """Print what a step costs with 10, 100 and 1,000 tasks, and the memory of a process that trains on them."""
    from metaeval_training.runs.machine import start_accelerator

    config = settings(options)
    accelerator = start_accelerator(config)
    trainers = {count: many_tasks(count, config, accelerator) for count in options.counts}
    batches = [trainers[options.counts[0]].plan[step] for step in range((options.rounds + 1) * options.block)]

    def same(trainer: Any, count: int) -> Step:
        def block(number: int) -> int:
            steps = range(number * options.block, (number + 1) * options.block)
            # the same rows, of another of the tasks that hold them
            tasks = [batches[i].tasks % 10 + 10 * generator("task", i).integers(count // 10) for i in steps]
            with CLOCK.running():
                for step, task in zip(steps, tasks, strict=True):
                    trainer.progress.step = step
                    trainer._step(Batch(task, batches[step].rows))
            return sum(len(batches[step].rows) for step in steps)

        return block

    rates = measure({str(count): same(trainer, count) for count, trainer in trainers.items()}, options.rounds)
    print("| tasks | CPU ms a step | time against the first | trained, without z and heads | z and heads | MB |")
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
    """Our loop on so many tasks: the same ten under many names, so that batches are of the same lengths for all."""
    found = minilm()
    texts = synthetic_rows(10, 200, whole_words(found.tokenizer))
    encoded = encode_tasks(texts, found.tokenizer, config.max_length)
    names = [f"synthetic/t{i}" for i in range(count)]
    rows = [dataclasses.replace(texts[i % 10], name=name) for i, name in enumerate(names)]
    return our_trainer(
        [dataclasses.replace(encoded[i % 10], name=name) for i, name in enumerate(names)], rows, config, accelerator
    )


def resident(options: argparse.Namespace, count: int) -> float:
    """Largest resident set, MB, of a process that trains one block on so many tasks."""
    done = subprocess.run(
        [sys.executable, __file__, "--resident", str(count), "--block", str(options.block)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def train_alone(options: argparse.Namespace) -> None:
    """Train one block on so many tasks and print the largest resident set in MB."""
    from metaeval_training.runs.machine import start_accelerator

    config = settings(options)
    trainer = many_tasks(options.resident, config, start_accelerator(config))
    for step in range(options.block):
        trainer.progress.step = step
        trainer._step(trainer.plan[step])
    print(largest_resident_set() / 1e6)


# --- Start-up --------------------------------------------------------------------------------------------------------


def startup(options: argparse.Namespace) -> None:
    """Print the seconds until the first step of runs on the same tasks, each in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        for turn in range(options.rounds + 1):
            done = subprocess.run(
                [sys.executable, __file__, "--start", str(options.startup)], text=True, capture_output=True, check=True,
                env={**os.environ, "HF_HOME": home, "HF_HUB_OFFLINE": "1"},
            )  # fmt: skip
            print("first run " if not turn else "later run ", done.stdout.strip().splitlines()[-1])


def start(options: argparse.Namespace) -> None:
    """Load, leave out, tokenise and describe so many tasks, as the main job does; print what it took."""
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
    config = dataclasses.replace(settings(options), tasks=("synthetic",))
    accelerator = start_accelerator(config)
    with CLOCK.running():
        material = prepare(config, accelerator, Reporter(main=False))
        plan = make_plan(config, material.tasks)
        describe_data(material.tasks, material.skipped, material.model)
    print(
        f"{len(material.tasks):,} tasks: {CLOCK.cpu:.2f} CPU s ({CLOCK.wall:.1f} s) from settings to the first of "
        f"{len(plan):,} steps; the process took {time.process_time():.2f} CPU s, imports included"
    )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["synthetic"], help="task names or groups, all, or synthetic")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--block", type=int, default=16, help="our steps in a round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-length", type=int, default=64, help="tokens kept of an example")
    parser.add_argument("--batch-size", type=int, default=16, help="examples a step")
    parser.add_argument("--number-of-tasks", action="store_true")
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000], help="multiples of 10")
    parser.add_argument("--startup", type=int, metavar="TASKS")
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
