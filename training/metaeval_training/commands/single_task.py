"""Fine-tune one model per task: the paper's single-task baselines.

    python training/single_task.py                                         # demo tasks, small encoder: minutes
    python training/single_task.py --preset small --tasks pragmeval glue/cola --methods full adapter
    python training/single_task.py --preset small --methods full --rates 2e-5 5e-5 1e-4      # best on validation
    python training/single_task.py --preset small --rates full=5e-5 adapter=5e-4,1e-3        # rates for each method
    python training/single_task.py --preset small --methods full --fisher                    # Fisher vectors as well
    python training/single_task.py --resume runs/single_task-1

full      trains all weights of the encoder (Sileo & Moens 2022, section 3)
adapter   trains a standard bottleneck adapter

Both train for 3 epochs by default (section 5.1), with the loop of training/multitask.py. With several learning rates,
the rate with the best validation accuracy is chosen: the best mean over all tasks of a method, or the best for each
task with --pick task. The test split is used for the final scores only. The run ends with one table, and each method
writes a results.json that `metaeval compare` reads. A stopped run keeps its finished tasks. Trained models are deleted
unless --keep-models is given.

The values of the paper: --preset paper --batch-size 64 --rates full=2e-5 adapter=2e-5 --head-ratio 1.

Exit codes: 0 done; 1 an error, reported in one line; 2 wrong usage; 128 + n stopped by signal n (130: Ctrl-C).
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from metaeval_hub import TaskEmbeddings
from metaeval_training.config import ConfigError
from metaeval_training.data.encoding import encode_task
from metaeval_training.data.plan import make_plan
from metaeval_training.data.rows import TaskRows
from metaeval_training.engine.loop import Trainer, TrainingError
from metaeval_training.runs import per_task
from metaeval_training.runs.lifecycle import DONE
from metaeval_training.runs.new_model import make_model
from metaeval_training.runs.per_task import Answer, Job, Script, TaskMethod
from metaeval_training.runs.process import Interrupted, Stopped, StopRequest
from metaeval_training.runs.reporter import ProgressDisplay, Reporter, percent
from metaeval_training.runs.results import mean, means, task_result
from metaeval_training.vectors.fisher import fisher_information

Method = Literal["full", "adapter"]
METHODS = get_args(Method)
BATCH_SIZE = 16  # for one task; the batch sizes of presets are for many tasks at once
RATES: dict[Method, float] = {"full": 5e-5, "adapter": 1e-3}  # of the encoder, of the adapter
SETTINGS = (
    *per_task.SETTINGS, "epochs", "steps", "batch_size", "bucket_batches", "adapter_size", "pooling",
    "encoder_dropout", "schedule", "warmup", "weight_decay", "clip_norm", "mixed_precision",
)  # fmt: skip


def parse_rates(words: Sequence[str], methods: Sequence[Method]) -> dict[Method, list[float]]:
    """Parse the learning rates to try, by method.

    Args:
        words: "5e-5" if there is only one method; or "full=2e-5,5e-5".
        methods: to train; methods without a word get the default rate.

    Raises:
        ConfigError: a rate is not a number above 0, or belongs to no method.
    """
    rates: dict[str, list[float]] = {}
    for word in words:
        method, sign, values = word.rpartition("=")
        if not sign and len(methods) > 1:
            raise ConfigError(
                f"--rates {word}: several methods are trained; name the method, such as {methods[0]}={word}"
            )
        method = method or methods[0]
        if method not in methods:
            raise ConfigError(f"--rates {word}: {method!r} is not among the --methods {' '.join(methods)}")
        for value in values.split(","):
            try:
                rate = float(value)
            except ValueError:
                rate = 0.0
            if not 0 < rate < float("inf"):
                raise ConfigError(f"--rates {word}: {value!r} is not a learning rate; expected a number above 0")
            rates.setdefault(method, []).append(rate)
    return {method: rates.get(method, [RATES[method]]) for method in methods}


def show_rate(rate: float) -> str:
    """Format a rate as 5e-5."""
    return np.format_float_scientific(rate, trim="-", exp_digits=1).replace("e+", "e")


def model_folder(job: Job, method: str, task: str, rate: float) -> Path:
    """Return the folder of a kept model."""
    return job.run.path / method / "models" / task / show_rate(rate)


class _ForwardingReporter(Reporter):
    """Passes the progress of one training to ``say``, which shows it in the bar of the tasks; otherwise silent."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(main=False)
        self.say = say

    def progress(self, text: str, total: int, done: int = 0, unit: str = "") -> ProgressDisplay:
        display, say = super().progress(text, total, done, unit), self.say

        def update(done: int, note: str = "") -> None:
            say(f"step {done}/{total}  {note}")

        display.update = update  # type: ignore[method-assign]
        return display


def train_one(
    job: Job, task: TaskRows, method: Method, rate: float, vocabulary: list[str] | None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Fine-tune a model on one task and score it.

    Args:
        job: the run.
        task: its rows.
        method: "full" or "adapter".
        rate: learning rate of the encoder or of the adapter.
        vocabulary: for the encoder "tiny".
        say: shows the progress.

    Returns:
        "row" (of ``metaeval_training.runs.results.task_result``, with the trained "parameters" by role),
        "steps" and "seconds" of training, "encoder", and with --fisher "fisher" (H,);
        or, if training failed, only "failed" with the reason.
    """
    config = replace(
        job.config, tasks=(task.name,), conditioning=method, adapter_lr=rate, head_lr=rate * job.options["head_ratio"],
        loss_cap=0.0, checkpoint_every=0, evaluate_every=0,
    )  # fmt: skip
    model = make_model(config, [task], vocabulary)
    data = encode_task(task, model.tokenizer, config.max_length)
    plan = make_plan(config, [data])
    model.to(job.accelerator.device)
    try:
        # This StopRequest records no signals: Ctrl-C stops at once, because there is nothing of this task to save.
        trainer = Trainer(model, [data], plan, config, None, job.accelerator, _ForwardingReporter(say), StopRequest())
        trainer.fit()
        found = trainer.evaluate(("validation", "test"))[task.name]
    except TrainingError as error:
        return {"failed": str(error)}
    except Interrupted as stopped:  # the launcher has ended; this task has no checkpoint to resume from
        raise Stopped(stopped.signal) from stopped
    finally:
        job.accelerator.free_memory()  # otherwise it keeps every model of the run in memory
    labels = {split: rows.labels for split, rows in data.splits.items()}
    row = task_result(labels, data.available, data.origin, len(data.labels), found)
    result: dict[str, Any] = {
        "row": {**row, "parameters": model.trained_numbers()},
        "steps": len(plan),
        "seconds": trainer.progress.seconds,
        "encoder": model.base.to_dict(),
    }
    if job.options["fisher"]:
        result["fisher"] = fisher_information(model, data.train, 0, config.eval_batch_size).tolist()
    if job.options["keep_models"]:
        model.eval()
        model.save_pretrained(model_folder(job, method, task.name, rate))
    return result


def make_methods(job: Job, rates: Mapping[Method, Sequence[float]]) -> dict[str, TaskMethod]:
    """Return the methods; each trains a task at each of its rates."""
    vocabulary = list(per_task.all_texts(job.config)) if job.config.encoder == "tiny" else None

    def train(method: Method, task: TaskRows, say: Callable[[str], None]) -> Answer:
        tried = {}
        for rate in rates[method]:
            where = f"{task.name}  {method} {show_rate(rate)}  "
            say(where)
            tried[show_rate(rate)] = train_one(
                job, task, method, rate, vocabulary, lambda note, where=where: say(where + note)  # type: ignore[misc]
            )  # fmt: skip
        if all("failed" in result for result in tried.values()):
            raise TrainingError("; ".join(f"rate {rate}: {result['failed']}" for rate, result in tried.items()))
        return {"tried": tried}, " / ".join(_shown_accuracy(result) for result in tried.values())

    return {method: partial(train, method) for method in rates}


def _shown_accuracy(result: Mapping[str, Any]) -> str:
    return "failed" if "failed" in result else percent(_accuracy(result))


def _accuracy(result: Mapping[str, Any]) -> float | None:
    validation = result.get("row", {}).get("validation")
    return float(validation["accuracy"]) if validation else None


def pick_rates(answers: Mapping[str, Mapping[str, Any]], pick: str) -> tuple[dict[str, str], dict[str, float | None]]:
    """Choose the learning rate of each task by validation accuracy.

    Args:
        answers: task -> {"tried": rate -> result}, all with the same rates; see ``train_one``.
        pick: "method": one rate for all tasks, with the best mean over tasks among the rates that trained every task;
            "task": the best rate for each task. In a tie, or without validation scores, the first rate is chosen.

    Returns:
        Task -> rate; and rate -> mean validation accuracy over the tasks that were trained with it.

    Raises:
        TrainingError: with "method", no rate trained every task.
    """
    rates = list(dict.fromkeys(rate for answer in answers.values() for rate in answer["tried"]))
    trained = {
        rate: [answer["tried"][rate] for answer in answers.values() if "failed" not in answer["tried"][rate]]
        for rate in rates
    }
    by_rate = {rate: mean(_accuracy(result) for result in results) for rate, results in trained.items()}
    if pick == "task":
        by_task = {
            name: {rate: _accuracy(result) for rate, result in answer["tried"].items() if "failed" not in result}
            for name, answer in answers.items()
        }
        return {name: _highest(accuracies) for name, accuracies in by_task.items()}, by_rate
    whole = [rate for rate in rates if len(trained[rate]) == len(answers)]
    if not whole:
        listed = ", ".join(f"{rate} failed on {len(answers) - len(results)}" for rate, results in trained.items())
        raise TrainingError(
            f"no learning rate trained all {len(answers)} tasks ({listed}); lower --rates, or use --pick task"
        )
    return dict.fromkeys(answers, _highest({rate: by_rate[rate] for rate in whole})), by_rate


def _highest(accuracies: Mapping[str, float | None]) -> str:
    return max(accuracies, key=lambda rate: -1.0 if (accuracy := accuracies[rate]) is None else accuracy)


def finish(job: Job, method: str, answers: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str]) -> None:
    """Choose the rates of a method, write its results and Fisher vectors, and delete models of other rates.

    Raises:
        TrainingError: see ``pick_rates``.
    """
    picked, by_rate = pick_rates(answers, job.options["pick"])
    chosen = {name: answer["tried"][picked[name]] for name, answer in answers.items()}
    rows = {
        name: {
            **result["row"], "rate": float(picked[name]), "steps": result["steps"], "seconds": answers[name]["seconds"],
            "validation_by_rate": {rate: _accuracy(other) for rate, other in answers[name]["tried"].items()},
        }
        for name, result in chosen.items()
    }  # fmt: skip
    encoder = next(iter(chosen.values()))["encoder"]
    facts = {"mean": means(rows.values()), "encoder": encoder, "validation_by_rate": by_rate}
    if job.options["fisher"]:
        vectors = np.array([result["fisher"] for result in chosen.values()], dtype=np.float32)
        TaskEmbeddings(tuple(chosen), vectors).save(job.run.path / method / "fisher")
    for name, answer in answers.items():
        for rate in answer["tried"]:
            if rate != picked[name]:
                shutil.rmtree(model_folder(job, method, name, float(rate)), ignore_errors=True)
    per_task.write_results(job, method, rows, failed, facts)
    if len(by_rate) > 1:
        shown = ", ".join(f"{rate}: {percent(value)}" for rate, value in by_rate.items())
        taken = (
            f"chosen: {next(iter(picked.values()))}"
            if job.options["pick"] == "method"
            else "chosen: the best for each task"
        )
        job.reporter.line(f"{method}, mean validation accuracy by learning rate: {shown}; {taken}")


def work(job: Job) -> int:
    """Train on all tasks, write and show the results; return the exit code."""
    rates = parse_rates(job.options["rates"], job.options["methods"])
    job.reporter.line("validation accuracies in %, by learning rate:")
    outcome = per_task.run_tasks(job, make_methods(job, rates))
    for method, answers in outcome.found.items():
        finish(job, method, answers, outcome.failed)
    per_task.show_results(job, list(rates))
    return DONE


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that are not settings of TrainConfig."""
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=argparse.SUPPRESS, help="methods to train (default: both)"
    )
    defaults = ", ".join(f"{method}={show_rate(rate)}" for method, rate in RATES.items())
    parser.add_argument(
        "--rates", nargs="+", metavar="[METHOD=]RATE[,RATE]", default=argparse.SUPPRESS,
        help=f"learning rates of the encoder or the adapter to try (default: {defaults})",
    )  # fmt: skip
    parser.add_argument(
        "--pick", choices=("method", "task"), default=argparse.SUPPRESS,
        help="choose the learning rate for all tasks of a method, or for each task (default: method)",
    )  # fmt: skip
    parser.add_argument(
        "--head-ratio", type=float, metavar="RATIO", default=argparse.SUPPRESS,
        help="learning rate of the classifier, divided by that of the other weights (default: 10)",
    )  # fmt: skip
    parser.add_argument(
        "--fisher", action="store_true", default=argparse.SUPPRESS,
        help="write the Fisher vectors of the tasks (appendix A, eq. 4) as task embeddings, in <run>/<method>/fisher",
    )  # fmt: skip
    parser.add_argument(
        "--keep-models", action="store_true", default=argparse.SUPPRESS,
        help="keep the trained models, in <run>/<method>/models (full: all weights of the encoder, for every task)",
    )  # fmt: skip


def check(options: Mapping[str, Any]) -> None:
    """Check what argparse cannot.

    Raises:
        ConfigError: a rate, or the ratio, is out of range.
    """
    parse_rates(options["rates"], options["methods"])
    if not 0 < options["head_ratio"] < float("inf"):
        raise ConfigError(f"--head-ratio must be above 0, got {options['head_ratio']}")


SCRIPT = Script(
    __doc__,
    SETTINGS,
    {"name": "single_task", "epochs": 3.0, "steps": 0, "batch_size": BATCH_SIZE},
    {
        "methods": list(METHODS), "rates": [], "pick": "method", "head_ratio": 10.0, "fisher": False,
        "keep_models": False,
    },
    add_options,
    check,
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, train and report; return the exit code."""
    return per_task.launch(per_task.parse(SCRIPT, argv), work)
