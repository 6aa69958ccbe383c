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
from typing import Any, get_args

import numpy as np

from metaeval_hub import TaskEmbeddings
from metaeval_hub.results.schema import TaskResult
from metaeval_training.commands.learning_rates import RATES, Method, Tried, parse_rates, pick_rates, show_rate
from metaeval_training.config import ConfigError, TrainConfig, read_preset
from metaeval_training.data.cache import data_cache
from metaeval_training.data.encoding import encode_tasks
from metaeval_training.data.plan import make_plan
from metaeval_training.data.rows import TaskRows
from metaeval_training.engine.loop import Trainer, TrainingError
from metaeval_training.runs import per_task
from metaeval_training.runs.lifecycle import DONE
from metaeval_training.runs.new_model import check_model, make_model
from metaeval_training.runs.per_task import Answer, Job, Script, TaskMethod
from metaeval_training.runs.process import Interrupted, Stopped, StopRequest
from metaeval_training.runs.reporter import ProgressDisplay, Reporter, percent
from metaeval_training.runs.results import finish_details, task_result
from metaeval_training.vectors.fisher import fisher_information

METHODS = get_args(Method)
BATCH_SIZE = 16  # for one task; the batch sizes of presets are for many tasks at once
SETTINGS = (
    *per_task.SETTINGS, "epochs", "steps", "batch_size", "bucket_batches", "adapter_size", "layer_norm", "pooling",
    "encoder_dropout", "schedule", "warmup", "weight_decay", "clip_norm", "mixed_precision", "refit",
    "accumulate",
)  # fmt: skip


def model_folder(job: Job, method: str, task: str, rate: float) -> Path:
    """Return the folder of a kept model."""
    return job.run.path / method / "models" / task / show_rate(rate)


def settings_of(config: TrainConfig, method: Method) -> TrainConfig:
    """Return the settings of a method: without those of z, and for "full" also without those of adapters."""
    return replace(config, conditioning=method, layer_norm=config.layer_norm and method == "adapter", dim_table=0)


class _ForwardingReporter(Reporter):
    """Passes the progress of one training to ``show``, which shows it in the bar of the tasks; otherwise silent."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__(main=False)
        self.show = show

    def progress(self, text: str, total: int, done: int = 0, unit: str = "") -> ProgressDisplay:
        display, show = super().progress(text, total, done, unit), self.show

        def update(done: int, note: str = "") -> None:
            show(f"step {done}/{total}  {note}")

        display.update = update  # type: ignore[method-assign]
        return display


def train_one(
    job: Job, task: TaskRows, method: Method, rate: float, vocabulary: list[str] | None, show: Callable[[str], None]
) -> Tried:
    """Fine-tune a model on one task and score it.

    Args:
        job: the run.
        task: its rows.
        method: "full" or "adapter".
        rate: learning rate of the encoder or of the adapter.
        vocabulary: for the encoder "tiny".
        show: shows the progress.
    """
    config = replace(
        settings_of(job.config, method), tasks=(task.name,), adapter_lr=rate,
        head_lr=rate * job.options["head_ratio"], loss_cap=0.0, checkpoint_every=0, evaluate_every=0,
    )  # fmt: skip
    model = make_model(config, [task], vocabulary)
    (data,) = encode_tasks([task], model.tokenizer, config.max_length, data_cache(config))
    plan = make_plan(config, [data])
    model.to(job.accelerator.device)
    try:
        # This StopRequest records no signals: Ctrl-C stops at once, because there is nothing of this task to save.
        trainer = Trainer(model, [data], plan, config, None, job.accelerator, _ForwardingReporter(show), StopRequest())
        trainer.fit()
        finished = trainer.finish_tasks(("validation", "test"))[task.name] if config.refit else None
        found = finished.scores if finished else trainer.evaluate(("validation", "test"))[task.name]
    except TrainingError as error:
        return Tried(failed=str(error))
    except Interrupted as stopped:  # the launcher has ended; this task has no checkpoint to resume from
        raise Stopped(stopped.signal) from stopped
    finally:
        job.accelerator.free_memory()  # otherwise it keeps every model of the run in memory
    labels = {split: rows.labels for split, rows in data.splits.items()}
    result = task_result(labels, data.available, data.origin, len(data.labels), found)
    result = replace(result, more=finish_details(finished))
    fisher = None
    if job.options["fisher"]:
        fisher = fisher_information(model, data.train, 0, config.eval_batch_size).tolist()
    if job.options["keep_models"]:
        model.eval()
        model.save_pretrained(model_folder(job, method, task.name, rate))
    parameters = {str(role): size for role, size in model.trained_numbers().items()}
    return Tried(
        replace(result, parameters=parameters), "", len(plan), trainer.progress.seconds, model.base.to_dict(), fisher
    )


def make_methods(job: Job, rates: Mapping[Method, Sequence[float]]) -> dict[str, TaskMethod]:
    """Return the methods; each trains a task at each of its rates."""
    vocabulary = list(per_task.all_texts(job.config)) if job.config.encoder == "tiny" else None

    def train(method: Method, task: TaskRows, show: Callable[[str], None]) -> Answer:
        tried = {}
        for rate in rates[method]:
            where = f"{task.name}  {method} {show_rate(rate)}  "
            show(where)
            tried[show_rate(rate)] = train_one(
                job, task, method, rate, vocabulary, lambda note, where=where: show(where + note)  # type: ignore[misc]
            )  # fmt: skip
        if all(each.failed for each in tried.values()):
            raise TrainingError("; ".join(f"rate {rate}: {each.failed}" for rate, each in tried.items()))
        shown = " / ".join("failed" if each.failed else percent(each.validation) for each in tried.values())
        return {"tried": {rate: each.to_json() for rate, each in tried.items()}}, shown

    return {method: partial(train, method) for method in rates}


def finish(job: Job, method: str, answers: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str]) -> None:
    """Choose the rates of a method, write its results and Fisher vectors, and delete models of other rates.

    Raises:
        TrainingError: see ``pick_rates``.
    """
    tried = {
        name: {rate: Tried.from_json(each) for rate, each in answer["tried"].items()}
        for name, answer in answers.items()
    }
    picked, by_rate = pick_rates(tried, job.options["pick"])
    chosen = {name: by_task[picked[name]] for name, by_task in tried.items()}
    tasks = {
        name: _result(chosen[name], tried[name], float(picked[name]), answer["seconds"])
        for name, answer in answers.items()
    }
    if job.options["fisher"]:
        vectors = np.array([each.fisher for each in chosen.values()], dtype=np.float32)
        TaskEmbeddings(tuple(chosen), vectors).save(job.run.path / method / "fisher")
    for name, by_task in tried.items():
        for rate in by_task:
            if rate != picked[name]:
                shutil.rmtree(model_folder(job, method, name, float(rate)), ignore_errors=True)
    encoder = next(iter(chosen.values())).encoder
    per_task.write_results(job, method, tasks, failed, encoder=encoder, validation_by_rate=by_rate)
    if len(by_rate) > 1:
        shown = ", ".join(f"{rate}: {percent(value)}" for rate, value in by_rate.items())
        taken = (
            f"chosen: {next(iter(picked.values()))}"
            if job.options["pick"] == "method"
            else "chosen: the best for each task"
        )
        job.reporter.line(f"{method}, mean validation accuracy by learning rate: {shown}; {taken}")


def _result(chosen: Tried, tried: Mapping[str, Tried], rate: float, seconds: float) -> TaskResult:
    assert chosen.result is not None  # noqa: S101 - a training that failed is never chosen
    by_rate = {rate: each.validation for rate, each in tried.items()}
    details = replace(chosen.result.more, steps=chosen.steps, validation_by_rate=by_rate)
    return replace(chosen.result, rate=rate, seconds=seconds, more=details)


def work(job: Job) -> int:
    """Train on all tasks, write and show the results; return the exit code."""
    rates = parse_rates(job.options["rates"], job.options["methods"])
    by_preset = bool(job.config.preset) and read_preset(job.config.preset).get("layer_norm", False)
    if job.config.layer_norm and not by_preset and "adapter" not in rates:
        raise ConfigError("--layer-norm changes adapters, which --methods leaves out; leave one of the two out")
    for each in rates:
        check_model(settings_of(job.config, each))
    job.reporter.line("validation accuracies in %, by learning rate:")
    outcome = per_task.run_tasks(job, list(rates), partial(make_methods, rates=rates))
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
    "single-task",
    __doc__,
    SETTINGS,
    {"name": "single_task", "epochs": 3.0, "steps": 0, "batch_size": BATCH_SIZE},
    {
        "methods": list(METHODS), "rates": [], "pick": "method", "head_ratio": 10.0, "fisher": False,
        "keep_models": False,
    },
    add_options,
    check,
    workers=True,
)  # fmt: skip


def main(argv: Sequence[str] | None = None, command: str = SCRIPT.command) -> int:
    """Parse the command line, train and report; return the exit code.

    Args:
        argv: arguments of the command line; None: those of this process.
        command: name of the training command that resumes the run.
    """
    return per_task.launch(per_task.parse(replace(SCRIPT, command=command), argv), work)
