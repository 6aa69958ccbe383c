"""Accuracy against the number of labelled examples, on tasks that a model was not trained on.

    python training/few_shot.py --model runs/zero_shot-1                      # all tasks that the run held out
    python training/few_shot.py --model runs/zero_shot-1 --preset small --tasks glue/sst2 glue/rte --shots 0 8 32 128
    python training/few_shot.py --model runs/multitask-1/model --tasks demo/office_nli --draws 2 --full-steps 30
    python training/few_shot.py --resume runs/few_shot-1

The model is one of training/multitask.py --share-labels --held-out ..., or the one with a table of z of a run of
training/zero_shot.py. Each method gets the same k labelled examples of a task: k in all, not a class, drawn at random
from its training rows, so that rare classes may be missing, as they are where somebody labels k texts. A draw of more
examples holds those of fewer. Test rows report.

zero_shot   z predicted from a description without labels, classes answered by other tasks' label rows (k = 0); from
            there z and the classifier are fitted to the examples
fit         z and the classifier are fitted, from the z expected of any task and a classifier of zeros
probe       logistic regression on the mean over tokens of the frozen encoder, without adapters, C = 1
full        full fine-tuning of the encoder, by training/single_task.py, for --full-steps steps of 16 examples
majority    the most frequent class of the examples

One table over tasks, one of means. Each method and k has its results.json in the form of training/multitask.py, so that
`metaeval compare` takes them; every draw has a line in metrics.jsonl, and is not made again when the run goes on.

Exit codes: 0 done; 1 an error, told in one line; 2 wrong usage; 128 + n stopped by signal n
(130: Ctrl-C).
"""

from __future__ import annotations

import argparse
import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.analysis.distance_from_start import check_start_cosines
from metaeval_hub.model.few_shot import fit_task
from metaeval_hub.model.zero_shot import By, predict_z
from metaeval_hub.report.few_shot import means_table, task_table
from metaeval_hub.results.run_results import read_runs
from metaeval_hub.results.terminal import show_table
from metaeval_training.atomic_files import check_seal, seal, write_text
from metaeval_training.commands import single_task
from metaeval_training.commands.held_out import (
    HeldOut,
    HeldOutModel,
    assign,
    describe,
    encoder_settings,
    find_models,
    score,
)
from metaeval_training.commands.probes import FEATURE_GRID, fit_probe, predict_majority, scaled
from metaeval_training.config import ConfigError
from metaeval_training.data.encoding import TaskData, encode_task
from metaeval_training.data.rows import DataError, TaskRows
from metaeval_training.data.sampling import generator
from metaeval_training.engine.evaluation import scores
from metaeval_training.engine.loop import TrainingError
from metaeval_training.runs import per_task as baselines
from metaeval_training.runs.per_task import Answer, Job, Script, TaskMethod
from metaeval_training.runs.reporter import percent
from metaeval_training.runs.results import task_row
from metaeval_training.vectors.encoder_features import open_encoder, text_features

Method = Literal["zero_shot", "fit", "probe", "full", "majority"]
METHODS: tuple[Method, ...] = get_args(Method)
EXPERIMENT = "few_shot"
SHOTS = (0, 8, 32, 128)
FULL_STEPS = 100  # as many as fit_task makes
HEAD_RATIO = 10.0  # of the classifier's learning rate, as training/single_task.py has it
# The encoder and the length of its texts are those of the model; tasks are what it held out.
SETTINGS = tuple(
    name for name in baselines.SETTINGS if name not in ("tasks", "encoder", "encoder_revision", "max_length")
)
FITTED = "few_shot/fitted"  # names in the model, while they are there
DESCRIBED = "few_shot/described"

Scores = dict[str, float]


class UnansweredError(Exception):
    """A method has no answer for a task; the message says why."""


# --- One task ---


def draw_examples(seed: int, task: str, draw: int, rows: int) -> NDArray[np.int64]:
    """The training rows of a task in the order in which a draw takes them, (rows,): the first k are its k examples."""
    return generator("few-shot examples", seed, task, draw).permutation(rows)


class Bench:
    """One task and the model that was not trained on it: what all draws and methods share is made once.

    Args:
        job: the run; its settings name the model's encoder.
        model: that held the task out.
        task: its rows.

    Raises:
        DataError: the task has no test rows.
    """

    def __init__(self, job: Job, model: ConditionalAdapterModel, task: TaskRows) -> None:
        if "test" not in task.splits:
            raise DataError(f"no test rows; there is {', '.join(task.splits)}")
        self.job, self.model, self.task = job, model, task
        self.train = task.splits["train"]
        self.held_out: HeldOut = describe(task)
        self._encoded: TaskData | None = None
        self._features: dict[str, NDArray[np.float32]] | None = None
        self._described = False

    def examples(self, draw: int, shots: int) -> NDArray[np.int64]:
        """Positions of the examples of a draw among the training rows, (k,)."""
        return draw_examples(self.job.config.seed, self.task.name, draw, len(self.train))[:shots]

    def zero_shot(self, draw: int, shots: int, say: Callable[[str], None]) -> Scores:
        """Scores of the described task, and from it fitted to the examples."""
        self._describe()
        return self._fit(draw, shots, start=DESCRIBED) if shots else self._score(DESCRIBED)

    def fit(self, draw: int, shots: int, say: Callable[[str], None]) -> Scores:
        """Scores of z and a classifier that were fitted to the examples alone."""
        features = None
        if self.model.config.z_from != "table":
            _, features, _, _ = predict_z(self.model, FITTED, self.held_out.description, self.job.options["by"])
        return self._fit(draw, shots, task_features=features)

    def probe(self, draw: int, shots: int, say: Callable[[str], None]) -> Scores:
        """Scores of a logistic regression on what the frozen encoder makes of the examples."""
        features, chosen = self._encoder_features(), self.examples(draw, shots)
        labels = {"train": self.labels("train")[chosen], "test": self.labels("test")}
        found = scaled({"train": features["train"][chosen], "test": features["test"]})
        predicted, _ = fit_probe(found, labels, FEATURE_GRID)
        return self._compare(predicted["test"])

    def full(self, draw: int, shots: int, say: Callable[[str], None]) -> Scores:
        """Scores of an encoder of which all weights were trained on the examples."""
        splits = {"train": self.train.select(self.examples(draw, shots)), "test": self.task.splits["test"]}
        few = replace(
            self.task, splits=splits, available={split: len(rows) for split, rows in splits.items()}, digests={}
        )
        config, options = self.job.config, self.job.options
        config = replace(
            config, steps=options["full_steps"], batch_size=single_task.BATCH_SIZE, seed=config.seed + draw,
            pooling=self.model.config.pooling,
        )  # fmt: skip
        job = replace(self.job, config=config, options={**single_task.SCRIPT.options, "head_ratio": HEAD_RATIO})
        result = single_task.train_one(job, few, "full", options["full_lr"], None, say)
        if "failed" in result:
            raise TrainingError(result["failed"])
        test: Scores = result["row"]["test"]
        return {name: test[name] for name in ("accuracy", "macro_f1", "matthews")}

    def majority(self, draw: int, shots: int, say: Callable[[str], None]) -> Scores:
        """Scores of the most frequent class of the examples."""
        test = self.labels("test")
        return self._compare(predict_majority(self.labels("train")[self.examples(draw, shots)], len(test)))

    def labels(self, split: str) -> NDArray[np.int64]:
        """Labels of a split, (rows,)."""
        return np.asarray(self.task.splits[split]["label"][:], dtype=np.int64)

    def close(self) -> None:
        """Take the described task out of the model again."""
        if self._described:
            self.model.remove_task(DESCRIBED)
            self._described = False

    def _describe(self) -> None:
        """Add the task to the model as a description makes it, where that is not done.

        Raises:
            UnansweredError: it cannot be made.
        """
        if self._described:
            return
        try:
            self.model.zero_shot(DESCRIBED, self.held_out.description, self.held_out.labels, by=self.job.options["by"])
        except ValueError as error:
            raise UnansweredError(str(error)) from error
        self._described = True

    def _fit(self, draw: int, shots: int, **options: Any) -> Scores:
        rows = self.train.select(self.examples(draw, shots))
        seed = self.job.config.seed + draw
        self.model.fit_task(FITTED, rows, self.task.labels, seed=seed, **options)
        try:
            return self._score(FITTED)
        finally:
            self.model.remove_task(FITTED)

    def _score(self, name: str) -> Scores:
        if self._encoded is None:
            test = replace(self.task, splits={"test": self.task.splits["test"]}, digests={})
            self._encoded = encode_task(test, self.model.tokenizer, self.model.config.max_length)
        return score(self.job, self.model, self._encoded, name, ("test",))["test"]

    def _compare(self, predicted: NDArray[np.int64]) -> Scores:
        return scores(confusion_matrix(self.labels("test"), predicted, labels=range(len(self.task.labels))))

    def _encoder_features(self) -> dict[str, NDArray[np.float32]]:
        """Mean over tokens of the test rows, and of those training rows that any draw holds; others are 0."""
        if self._features is None:
            config, options = self.job.config, self.job.options
            drawn = [self.examples(draw, max(options["shots"])) for draw in range(options["draws"])]
            chosen = np.unique(np.concatenate(drawn))
            encoder = open_encoder(config, ())
            of_rows = partial(
                text_features, encoder, max_length=config.max_length, batch_size=config.eval_batch_size,
                device=self.job.accelerator.device,
            )  # fmt: skip
            test = of_rows(self.task.splits["test"]).mean
            train = np.zeros((len(self.train), test.shape[1]), dtype=np.float32)
            train[chosen] = of_rows(self.train.select(chosen)).mean
            self._features = {"train": train, "test": test}
        return self._features


# --- Draws that are done ---


class Draws:
    """The scores of every draw, kept in metrics.jsonl as they come.

    Args:
        job: the run; what it wrote before is read.
    """

    def __init__(self, job: Job) -> None:
        self.run = job.run
        self.done: dict[tuple[str, int, str, int], dict[str, Any]] = {}
        for _, line in self.run.read_metrics(lambda line: bool(check_seal(line))):
            self.done[line["method"], line["shots"], line["task"], line["draw"]] = line
        if self.run.metrics.exists():  # so that the next line does not go on with a torn one
            write_text(self.run.metrics, "".join(json.dumps(line) + "\n" for line in self.done.values()))

    def get(self, method: Method, shots: int, task: str, draw: int, make: Callable[[], Scores]) -> dict[str, Any]:
        """Scores and seconds of a draw; made if it is not done."""
        key = (method, shots, task, draw)
        if key not in self.done:
            started = time.monotonic()
            line = {"kind": "draw", "method": method, "shots": shots, "task": task, "draw": draw, **make()}
            self.done[key] = seal({**line, "seconds": time.monotonic() - started})
            self.run.append_metrics([self.done[key]])
        return self.done[key]


# --- The run ---


def make_methods(job: Job, models: Mapping[str, HeldOutModel]) -> dict[str, TaskMethod]:
    """What answers a task, by the name of a method with its k: "zero_shot-0", "fit-8".

    Args:
        job: the run.
        models: task -> the model that held it out.
    """
    draws = Draws(job)
    newest: dict[str, Any] = {}  # the model that was asked last, and the task

    def bench(task: TaskRows) -> Bench:
        if newest.get("task") != task.name:
            if "bench" in newest:
                newest.pop("bench").close()
            folder = models[task.name].folder
            if newest.get("folder") != folder:
                newest.clear()
                model = ConditionalAdapterModel.from_pretrained(folder).to(job.accelerator.device)
                newest.update(folder=folder, model=model)
            newest.update(task=task.name, bench=Bench(job, newest["model"], task))
        found: Bench = newest["bench"]
        return found

    def answer(method: Method, shots: int, task: TaskRows, say: Callable[[str], None]) -> Answer:
        rows = len(task.splits["train"])
        if shots > rows:
            return {"unanswered": f"{rows} training rows are fewer than {shots}"}, "-"
        found = []
        for draw in range(job.options["draws"] if shots else 1):
            where = f"{task.name}  {method}, {shots} examples, draw {draw + 1}  "
            say(where)
            asked = partial(
                getattr(bench(task), method), draw, shots, lambda note, where=where: say(where + note)  # type: ignore[misc]
            )  # fmt: skip
            try:
                found.append(draws.get(method, shots, task.name, draw, asked))
            except UnansweredError as error:
                return {"unanswered": str(error)}, "-"
        accuracies = [line["accuracy"] for line in found]
        names = ("accuracy", "macro_f1", "matthews")
        labels = {split: bench(task).labels(split) for split in task.splits}
        means = {"test": {name: float(np.mean([line[name] for line in found])) for name in names}}
        row = {
            **task_row(labels, task.available, task.origin, len(task.labels), means), "draws": accuracies,
            "spread": float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None,
        }  # fmt: skip
        return row, percent(means["test"]["accuracy"])

    return {
        f"{method}-{shots}": partial(answer, method, shots)
        for method in job.options["methods"]
        for shots in job.options["shots"]
        if shots or method == "zero_shot"
    }


def work(job: Job) -> int:
    """Ask every method, write and show the results; returns the exit code."""
    models = assign(find_models(job.options["model"]), job.options["tasks"])
    first = next(iter(models.values()))
    config = replace(
        job.config, tasks=tuple(models), max_length=first.record.conditional.max_length,
        **encoder_settings(first, job.run),  # type: ignore[arg-type]
    )  # fmt: skip
    job = replace(job, config=config)
    methods = make_methods(job, models)
    job.reporter.line("test accuracies in %, mean over draws, by method and number of examples:")
    outcome = baselines.run_tasks(job, methods)
    notes = notes_of(job, models)
    for name, answers in outcome.found.items():
        method, _, shots = name.rpartition("-")
        unanswered = {task: row["unanswered"] for task, row in answers.items() if "unanswered" in row}
        rows = {task: row for task, row in answers.items() if task not in unanswered}
        facts = {
            "experiment": EXPERIMENT, "answered_by": method, "shots": int(shots), "unanswered": unanswered,
            "notes": notes, "encoder": first.record.base.to_dict(),
        }  # fmt: skip
        (job.run.path / name).mkdir(exist_ok=True)
        baselines.write_results(job, name, rows, outcome.failed, facts)
    runs = read_runs(job.run.path, "")
    job.reporter.line()
    for table in (task_table(runs), means_table(runs)):
        show_table(job.reporter.console, table)
    job.reporter.line(f"results  {job.run.path}/*/{job.run.results.name}; as a figure: metaeval report")
    return baselines.DONE


def notes_of(job: Job, models: Mapping[str, HeldOutModel]) -> list[str]:
    """What a reader has to know of the examples, the settings and the model."""
    options = job.options
    fitted = {name: entry.default for name, entry in inspect.signature(fit_task).parameters.items()}
    notes = [
        "k labelled examples of a task in all, drawn at random from its training rows, the same for every method; "
        f"{options['draws']} draws, of which a larger one holds the smaller.",
        f"z and classifier: {fitted['steps']} steps of {fitted['batch_size']}, rates {fitted['z_lr']:g} and "
        f"{fitted['head_lr']:g}; full fine-tuning: {options['full_steps']} steps of {single_task.BATCH_SIZE}, rate "
        f"{options['full_lr']:g}, of the classifier {HEAD_RATIO:g} times that; the same for every task and k.",
    ]
    loose = [task for task, model in models.items() if task not in model.held_out]
    kept = [t for t, model in models.items() if t not in loose and model.run and model.run.decontaminate == "no"]
    if loose or kept:
        notes.append(
            "It is not known whether the model was trained on rows that hold evaluation texts of "
            f"{', '.join([*loose, *kept])}."
        )
    for folder in dict.fromkeys(model.folder for model in models.values()):
        features = ConditionalAdapterModel.from_pretrained(folder).features
        warning = check_start_cosines(None if features is None else features.moved, str(folder), force=True)
        notes += [warning] if warning else []
    return notes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that are no settings."""
    parser.add_argument(
        "--model", metavar="DIR", default=argparse.SUPPRESS,
        help="folder of a model, of the run that trained it, or of a run of training/zero_shot.py",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", nargs="+", metavar="TASK", default=argparse.SUPPRESS,
        help="tasks and groups that the model was not trained on (default: those that its run held out)",
    )  # fmt: skip
    parser.add_argument(
        "--shots", nargs="+", type=int, metavar="K", default=argparse.SUPPRESS,
        help=f"labelled examples of a task, in all (default: {' '.join(map(str, SHOTS))})",
    )  # fmt: skip
    parser.add_argument(
        "--draws", type=int, metavar="N", default=argparse.SUPPRESS,
        help="how often examples are drawn anew, for each task and K (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=argparse.SUPPRESS, help="what answers (default: all)"
    )
    parser.add_argument(
        "--by", choices=get_args(By), default=argparse.SUPPRESS,
        help="what zero_shot predicts z from, where the model has a table of z (default: aspects)",
    )  # fmt: skip
    parser.add_argument(
        "--full-steps", type=int, metavar="STEPS", default=argparse.SUPPRESS,
        help=f"optimiser steps of full fine-tuning (default: {FULL_STEPS})",
    )  # fmt: skip
    parser.add_argument(
        "--full-lr", type=float, metavar="RATE", default=argparse.SUPPRESS,
        help=f"learning rate of full fine-tuning (default: {single_task.RATES['full']:g}; docs/recipe.md has the best "
        "one for MiniLM)",
    )  # fmt: skip


def check(options: Mapping[str, Any]) -> None:
    """Check what argparse cannot.

    Raises:
        ConfigError: an option is out of range, or the model cannot be asked for the tasks.
    """
    if not options["model"]:
        raise ConfigError("--model is missing; name the folder of a trained model or of its run")
    for name, least in (("draws", 1), ("full_steps", 1), ("shots", 0)):
        values: Sequence[int] = options[name] if name == "shots" else [options[name]]
        if bad := [value for value in values if value < least]:
            raise ConfigError(f"--{name.replace('_', '-')} must be at least {least}, got {bad[0]}")
    if len(set(options["shots"])) < len(options["shots"]):
        raise ConfigError(f"--shots {' '.join(map(str, options['shots']))}: a number comes twice")
    if not 0 < options["full_lr"] < float("inf"):
        raise ConfigError(f"--full-lr must be above 0, got {options['full_lr']}")
    if set(options["methods"]) != {"zero_shot"} and not any(options["shots"]):
        raise ConfigError("--shots 0: without examples only --methods zero_shot answers")
    models = find_models(options["model"])
    assign(models, options["tasks"])
    for model in models:
        if not model.record.conditional.has_task_embeddings:
            raise ConfigError(
                f"--model {model.folder} is a baseline without task embeddings "
                f"({model.record.conditional.conditioning}); expected a model with z"
            )
        if "zero_shot" in options["methods"] and not model.record.label_rows:
            raise ConfigError(
                f"--model {model.folder}: its tasks share no label rows, which is what answers an unseen task; train "
                "with --share-labels, or leave zero_shot out of --methods"
            )


SCRIPT = Script(
    __doc__,
    SETTINGS,
    {"name": EXPERIMENT},
    {
        "model": "", "tasks": [], "shots": list(SHOTS), "draws": 5, "methods": list(METHODS), "by": "aspects",
        "full_steps": FULL_STEPS, "full_lr": single_task.RATES["full"],
    },
    add_options,
    check,
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Parse, answer, report; returns the exit code."""
    return baselines.launch(baselines.parse(SCRIPT, argv), work)
