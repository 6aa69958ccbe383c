"""The ways to train that `benchmarks/training.py` compares, all on the same rows."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from metaeval_training.config import TrainConfig
from metaeval_training.data.encoding import EncodedRows, TaskData, collate
from metaeval_training.data.rows import TaskRows
from metaeval_training.data.sampling import Batch, BatchPlan, generator
from metaeval_training.engine.compiled import not_compiled
from metaeval_training.engine.evaluation import count_predictions
from metaeval_training.runs.machine import set_arithmetic
from numpy.typing import NDArray

from benchmarks import training_setup
from benchmarks.measuring import CLOCK, TimedWork
from metaeval_hub.utils.products import MatmulPrecision

OURS, FLOOR = "ours", "floor"
STOCK, TUNED = "stock adapter, Trainer defaults", "stock adapter, tuned"
EVALUATED = 128  # validation rows that one round scores


@dataclasses.dataclass(frozen=True)
class Contest:
    """Give all contenders the same encoded tasks, texts, settings and rows per round.

    The first ``rounds * block`` steps of our plan are sorted by length and distributed over the rounds, so that every
    round has short and long batches. Round 0 is the warm-up and uses one step of round 1.

    Attributes:
        plan: our batches.
        rounds: number of rounds.
        block: number of our steps per round.
    """

    tasks: list[TaskData]
    rows: list[TaskRows]
    config: TrainConfig
    plan: BatchPlan
    rounds: int
    block: int

    def deal(self, batches: Iterable[Batch], number: int) -> list[Batch]:
        """Return the batches of one round, given those of all rounds."""
        ordered = sorted(batches, key=lambda batch: int(self.lengths(batch).max()))
        return ordered[:1] if not number else ordered[number - 1 :: self.rounds]

    def lengths(self, batch: Batch) -> NDArray[np.int64]:
        """Return the number of tokens of each row of a batch."""
        tasks = np.broadcast_to(batch.tasks, batch.rows.shape)
        return np.array([self.tasks[t].train.lengths[r] for t, r in zip(tasks, batch.rows, strict=True)])

    def batches(self, number: int) -> list[Batch]:
        """Return our batches of one round, each with rows of one task."""
        return self.deal([self.plan[step] for step in range(self.rounds * self.block)], number)

    def mixed_batches(self, number: int) -> list[Batch]:
        """Return the batches of one round when the rows of all rounds are batched by length across tasks."""
        every = join([self.plan[step] for step in range(self.rounds * self.block)])
        order = np.array_split(np.argsort(self.lengths(every), kind="stable"), self.rounds * self.block)
        return self.deal([Batch(every.tasks[part], every.rows[part]) for part in order], number)

    def splits(self, batch: Batch) -> list[tuple[EncodedRows, int]]:
        """Return for each row of a batch its split and its position in the split."""
        tasks = np.broadcast_to(batch.tasks, batch.rows.shape)
        return [(self.tasks[t].train, int(r)) for t, r in zip(tasks, batch.rows, strict=True)]

    def evaluated(self, number: int) -> tuple[int, EncodedRows]:
        """Return the number of the task whose validation rows a round scores, and these rows."""
        having = [i for i, task in enumerate(self.tasks) if "validation" in task.splits]
        task = having[number % len(having)]
        rows = self.tasks[task].splits["validation"]
        offsets = rows.offsets[: EVALUATED + 1]
        return task, dataclasses.replace(rows, offsets=offsets, labels=rows.labels[:EVALUATED], known_digest="")


def join(batches: Sequence[Batch]) -> Batch:
    """Concatenate batches into one: tasks (N,), rows (N,)."""
    tasks = [np.broadcast_to(batch.tasks, batch.rows.shape) for batch in batches]
    return Batch(np.concatenate(tasks), np.concatenate([batch.rows for batch in batches]))


class Contender:
    """Train in one way. Methods run the clock and return the number of examples; an unsupported method is None."""

    train: TimedWork
    evaluate: TimedWork | None = None
    encoders: Sequence[Any]  # encoders whose input tokens are counted
    matmul_precision: MatmulPrecision = "highest"  # torch's default, with its fused attention

    def set_up(self) -> None:
        """Set the precision of matrix products and the determinism of operations for this contender."""
        set_arithmetic(TrainConfig(matmul_precision=self.matmul_precision), "cpu")
        # only our training promises bit-identical results, so the others need not use slower operations
        torch.use_deterministic_algorithms(isinstance(self, Ours))


class Ours(Contender):
    """Train with our loop, with mixed batches, as the preset does, or batches of one task."""

    def __init__(self, contest: Contest, accelerator: Any, bf16: bool = False, **changes: Any) -> None:
        changes = {"step": "mixed", **changes}
        self.contest, self.mixed = contest, changes["step"] == "mixed"
        config = dataclasses.replace(contest.config, **changes)
        self.trainer = training_setup.our_trainer(contest.tasks, contest.rows, config, accelerator)
        self.encoders, self.matmul_precision = [self.trainer.model.encoder], config.matmul_precision
        if bf16:  # Accelerate does the same, but allows only one precision per process
            self.trainer.wrapped = torch.autocast("cpu", torch.bfloat16)(self.trainer.wrapped)
        if config.compile:
            self.trainer.model.encoder.forward = torch.compile(self.trainer.model.encoder.forward, dynamic=True)

    def train(self, number: int) -> int:
        """Run the steps of the loop, including the creation of batches."""
        batches = self.contest.mixed_batches(number) if self.mixed else self.contest.batches(number)
        with CLOCK.running():
            for place, batch in enumerate(batches):
                self.trainer.progress.step = number * self.contest.block + place
                self.trainer._step(batch)
        return sum(len(batch.rows) for batch in batches)

    def evaluate(self, number: int) -> int:
        """Count correct and wrong predictions, as a training run does."""
        trainer, config = self.trainer, self.contest.config
        task, rows = self.contest.evaluated(number)
        with CLOCK.running(), not_compiled(config.compile):
            trainer.model.eval()
            count_predictions(
                trainer.model, rows, task, len(self.contest.tasks[task].labels),
                batch_size=config.eval_batch_size, pad=trainer.pad, accelerator=trainer.accelerator,
            )  # fmt: skip
            trainer.model.train()
        return len(rows)


class Floor(Contender):
    """Run the frozen encoder forward, and backward to the position of the first adapter, without padding."""

    def __init__(self, contest: Contest, bf16: bool = False) -> None:
        self.contest, self.encoder, self.bf16 = contest, training_setup.minilm().module, bf16
        self.encoders, self.matmul_precision = [self.encoder], contest.config.matmul_precision
        self.encoder.requires_grad_(False)
        self.encoder.eval()
        self.added = torch.nn.Parameter(torch.zeros(self.encoder.config.hidden_size))
        place = self.encoder.encoder.layer[0].attention.output.dense
        place.register_forward_hook(lambda module, args, out: out + self.added)

    def train(self, number: int) -> int:
        """Process as many rows as ours, each with the mean length of its batch."""
        splits, examples = [task.train for task in self.contest.tasks], 0
        with CLOCK.running():
            for batch in self.contest.batches(number):
                inputs = collate(splits, batch, 0)
                tokens = max(round(int(inputs["attention_mask"].sum()) / len(batch.rows)), 1)
                ids = inputs["input_ids"][:, :1].repeat(1, tokens)
                with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                    hidden = self.encoder(input_ids=ids).last_hidden_state[:, 0]
                torch.autograd.grad(hidden.square().mean(), self.added)
                examples += len(batch.rows)
        return examples


class Stock(Contender):
    """Train a stock adapter of the same size with one head in transformers' Trainer, on the same rows.

    Args:
        contest: rows to train on.
        folder: output folder of the Trainer.
        padding: ``longest`` pads to the longest row of a batch, the default of Trainer's collator; ``max_length`` pads
            to the maximum length, as many examples do.
        tuned: group rows by length, turn off the dropout of the frozen encoder, and use our precision of products.
        bf16: train in bfloat16, as the Trainer does with ``bf16=True``.
    """

    def __init__(
        self, contest: Contest, folder: str, padding: str = "longest", tuned: bool = False, bf16: bool = False
    ) -> None:
        import adapters
        from transformers import BertForSequenceClassification, DataCollatorWithPadding, TrainingArguments

        from metaeval_hub.conditional.adapters_library import reduction_factor
        from metaeval_hub.encoders.weights import quiet

        config, found, self.tuned, self.contest = contest.config, training_setup.minilm(), tuned, contest
        self.matmul_precision = config.matmul_precision if tuned else "highest"
        model = BertForSequenceClassification(found.module.config)
        model.bert.load_state_dict(found.module.state_dict(), strict=False)
        model.config.num_labels = model.num_labels = max(len(task.labels) for task in contest.tasks)
        model.classifier = torch.nn.Linear(model.config.hidden_size, model.num_labels)
        size = reduction_factor(model.config.hidden_size, config.adapter_size)
        with quiet("adapters.model_mixin"):
            adapters.init(model)
            model.add_adapter("all", config=adapters.DoubleSeqBnConfig(reduction_factor=size, non_linearity="gelu"))
            model.train_adapter("all")
        if tuned:
            for module in model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            for layer in model.bert.encoder.layer:
                layer.attention.self.dropout_prob = 0.0
        self.model, self.encoders = model, [model.bert]
        self.collator = DataCollatorWithPadding(found.tokenizer, padding=padding, max_length=config.max_length)
        self.arguments = TrainingArguments(**hf_arguments(folder, config))
        if bf16:  # same as the flag of the Trainer, which applies to the whole process
            model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)

    def trainer(self, rows: Sequence[tuple[EncodedRows, int]]) -> Any:
        """Return a Trainer of rows, each given by its split and position; with ``tuned`` it keeps their order."""
        from torch.utils.data import SequentialSampler
        from transformers import Trainer

        ids = [split.tokens[split.offsets[i] : split.offsets[i + 1]].tolist() for split, i in rows]
        labels = [int(split.labels[i]) for split, i in rows]
        data = Dataset.from_dict({"input_ids": ids, "labels": labels})
        trainer = Trainer(self.model, self.arguments, train_dataset=data, data_collator=self.collator)
        if self.tuned:  # group_by_length groups thousands of rows, more than a round has
            trainer._get_train_sampler = lambda *args: SequentialSampler(data)
        return trainer

    def train(self, number: int) -> int:
        """Train one pass over the shuffled rows of the round; with ``tuned``, over as many rows batched by length."""
        self.arguments.seed = number
        batches = self.contest.mixed_batches(number) if self.tuned else self.contest.batches(number)
        rows = self.contest.splits(join(batches))
        return timed_train(self.trainer(rows), len(rows))

    def evaluate(self, number: int) -> int:
        """Predict; with ``tuned``, rows are sorted by length."""
        _, rows = self.contest.evaluated(number)
        order = np.argsort(rows.lengths, kind="stable") if self.tuned else np.arange(len(rows))
        trainer = self.trainer([(rows, int(i)) for i in order])
        with CLOCK.running():
            trainer.predict(trainer.train_dataset)
        return len(rows)


class Tasknet(Contender):
    """Fine-tune all parameters with tasknet, on the same rows, in batches of one task."""

    def __init__(self, contest: Contest, folder: str) -> None:
        import evaluate

        evaluate.load = lambda *args, **options: None  # importing tasknet would load two metrics from the Hub
        import tasknet
        from datasets import DatasetDict

        from metaeval_hub.encoders.find import find_minilm

        # only the tasks of these rounds: tasknet creates a model and tokenises the texts for each
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
        # otherwise the Trainer passes an argument that BERT does not accept
        self.whole.model_accepts_loss_kwargs = False
        self.contest, self.encoders = contest, list(model.task_models_list)
        self.data = dict(zip(used.tolist(), self.whole.train_dataset.items(), strict=True))

    def train(self, number: int) -> int:
        """Train on as many rows of the same tasks, drawn at random as tasknet does."""
        tasks, random = join(self.contest.batches(number)).tasks, generator("tasknet", number)
        self.whole.train_dataset = {
            task: data.select(random.permutation(len(data))[: (tasks == i).sum()])
            for i, (task, data) in self.data.items()
            if i in tasks
        }
        return timed_train(self.whole, len(tasks))


def hf_arguments(folder: str, config: TrainConfig) -> dict[str, Any]:
    """Return arguments of transformers' Trainer for one pass of training without saving, logging or evaluation."""
    return {
        "output_dir": folder, "num_train_epochs": 1, "per_device_train_batch_size": config.batch_size, "report_to": [],
        "per_device_eval_batch_size": config.eval_batch_size, "save_strategy": "no", "eval_strategy": "no",
        "logging_strategy": "no", "disable_tqdm": True, "use_cpu": True, "learning_rate": 3e-4,
    }  # fmt: skip


def timed_train(trainer: Any, examples: int) -> int:
    """Train with transformers' Trainer; the clock runs from the first to the last step, including batching."""
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
    """Return all contenders; tasknet only if it is installed."""
    from metaeval_training.runs.machine import start_accelerator

    others: dict[str, Contender] = {
        STOCK: Stock(contest, folder),
        "stock adapter, padded to the maximum": Stock(contest, folder, padding="max_length"),
        "stock adapter, bfloat16": Stock(contest, folder, bf16=True),
        TUNED: Stock(contest, folder, tuned=True),
    }
    if importlib.util.find_spec("tasknet"):
        others["tasknet, full fine-tuning"] = Tasknet(contest, folder)
    # last, because creating a Trainer resets the state of the accelerator
    accelerator = start_accelerator(contest.config)
    ours = {
        OURS: Ours(contest, accelerator),
        "ours, compiled": Ours(contest, accelerator, compile=True),
        "ours, bfloat16": Ours(contest, accelerator, bf16=True),
        "ours, bfloat16, compiled": Ours(contest, accelerator, bf16=True, compile=True),
        "ours, one task per step": Ours(contest, accelerator, step="one-task"),
        "ours, encoder dropout on": Ours(contest, accelerator, encoder_dropout=True),
        "ours, highest matmul precision": Ours(contest, accelerator, matmul_precision="highest"),
    }
    return {**ours, **others, "floor in bfloat16": Floor(contest, bf16=True), FLOOR: Floor(contest)}
