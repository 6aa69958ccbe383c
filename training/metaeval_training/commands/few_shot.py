"""Measure accuracy against the number of labelled examples, on tasks that a model was not trained on.

    python training/few_shot.py --model runs/zero_shot-1                      # all tasks that the run held out
    python training/few_shot.py --model runs/zero_shot-1 --preset small --tasks glue/sst2 glue/rte --shots 0 8 32 128
    python training/few_shot.py --model runs/multitask-1/model --tasks demo/office_nli --draws 2 --full-steps 30
    python training/few_shot.py --model runs/fold-1 runs/fold-2 --methods fit probe tfidf majority
    python training/few_shot.py --resume runs/few_shot-1

The model comes from training/multitask.py --share-labels --held-out ..., or from a run of training/zero_shot.py (its
model with a learned z per task). Each method gets the same k labelled examples of a task, scored on its test rows.
k counts all examples of a task, not the examples per class. They are drawn at random from the training rows, so rare
classes may be missing. Within a draw, a larger set of examples contains the smaller ones.

zero_shot   k = 0: z predicted from a description without labels, and the label vectors of other tasks;
            k > 0: fit_task, starting from that prediction
fit         fit_task from the examples alone: logistic regression on frozen or adapted features, by cross-validation
probe       logistic regression on the mean over tokens of the frozen encoder, with C by cross-validation
tfidf       logistic regression (C = 10) on words and pairs of neighbouring words
setfit      SetFit, by the command of --setfit, such as benchmarks/setfit_fit.py in an environment with setfit; slow on
            a CPU, so run it separately with fewer --shots and --draws: a draw has the same examples in every run
full        full fine-tuning of the encoder with training/single_task.py, for --full-steps steps of 16 examples
majority    the most frequent class of the examples

The run ends with a table of tasks and a table of means. Each method and k writes a results.json that `metaeval compare`
reads. Each draw adds a line to metrics.jsonl, with the seconds of the fit without scoring; a resumed run does not
repeat finished draws.

Exit codes: 0 done; 1 an error, reported in one line; 2 wrong usage; 128 + n stopped by signal n (130: Ctrl-C).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.analysis.distance_from_start import check_start_cosines
from metaeval_hub.model.zero_shot import By
from metaeval_hub.report.few_shot import means_table, task_table
from metaeval_hub.results.run_results import read_runs
from metaeval_hub.results.schema import FEW_SHOT, RunFacts, SplitScores
from metaeval_hub.results.terminal import show_table
from metaeval_training.atomic_files import check_seal, seal, write_text
from metaeval_training.commands import single_task
from metaeval_training.commands.answers import Unanswered, answer_to_json, parse_answer, separate
from metaeval_training.commands.few_shot_methods import HEAD_RATIO, FewShotTask, UnansweredError
from metaeval_training.commands.held_out import (
    HeldOutModel,
    assign,
    encoder_settings,
    find_models,
)
from metaeval_training.commands.learning_rates import RATES
from metaeval_training.config import ConfigError
from metaeval_training.data.rows import TaskRows
from metaeval_training.runs import per_task
from metaeval_training.runs.lifecycle import DONE
from metaeval_training.runs.per_task import Answer, Job, Script, TaskMethod
from metaeval_training.runs.reporter import percent
from metaeval_training.runs.results import task_result
from metaeval_training.vectors.encoder_features import open_encoder

Method = Literal["zero_shot", "fit", "probe", "tfidf", "setfit", "full", "majority"]
METHODS: tuple[Method, ...] = get_args(Method)
DEFAULT_METHODS = tuple(method for method in METHODS if method != "setfit")  # which needs an environment of its own
SHOTS = (0, 8, 16, 32, 64, 128)
FULL_STEPS = 100
# The encoder and the maximum length are those of the model; the tasks are those that it held out.
SETTINGS = tuple(
    name for name in per_task.SETTINGS if name not in ("tasks", "encoder", "encoder_revision", "max_length")
)


class Draws:
    """The scores of finished draws, stored in metrics.jsonl one by one.

    Args:
        job: the run; draws that it stored before are read.
    """

    def __init__(self, job: Job) -> None:
        self.run = job.run
        self._done: dict[tuple[str, int, str, int], SplitScores] = {}
        records = {}
        for _, record in self.run.read_metrics(lambda record: bool(check_seal(record))):
            key = record["method"], record["shots"], record["task"], record["draw"]
            self._done[key] = SplitScores(record["accuracy"], record["macro_f1"], record["matthews"])
            records[key] = record
        if self.run.metrics.exists():  # rewritten, so that the next record does not continue a torn line
            write_text(self.run.metrics, "".join(json.dumps(record) + "\n" for record in records.values()))

    def get(
        self,
        method: Method,
        shots: int,
        task: str,
        draw: int,
        compute: Callable[[], tuple[SplitScores, float | None]],
    ) -> SplitScores:
        """Return the scores of a draw; compute and store them, with the seconds of the fit, if they are missing."""
        key = (method, shots, task, draw)
        if key not in self._done:
            started = time.monotonic()
            self._done[key], fit_seconds = compute()
            record = {"kind": "draw", "method": method, "shots": shots, "task": task, "draw": draw}
            scores = asdict(self._done[key])
            times = {"seconds": time.monotonic() - started, "fit_seconds": fit_seconds}
            self.run.append_metrics([seal({**record, **scores, **times})])
        return self._done[key]


class NewestTask:
    """The task that was answered last and its model, kept because the next question is usually about them.

    Args:
        job: the run.
        models: task -> the model that held it out.
    """

    def __init__(self, job: Job, models: Mapping[str, HeldOutModel]) -> None:
        self._job, self._models = job, models
        self._folder: Path | None = None
        self._model: ConditionalAdapterModel | None = None
        self._task: FewShotTask | None = None

    def open(self, task: TaskRows) -> FewShotTask:
        """Return the task with its model; load what differs from the last call."""
        if self._task is None or self._task.task.name != task.name:
            if self._task is not None:
                self._task.close()
                self._task = None
            self._task = FewShotTask(self._job, self._open_model(self._models[task.name].folder), task)
        return self._task

    def _open_model(self, folder: Path) -> ConditionalAdapterModel:
        if self._model is None or self._folder != folder:
            self._model = None  # frees its memory before the next one is loaded
            self._model = ConditionalAdapterModel.from_pretrained(folder).to(self._job.accelerator.device)
            self._folder = folder
        return self._model


def method_names(options: Mapping[str, Any]) -> list[str]:
    """Return the names of the methods with k, such as "zero_shot-0" and "fit-8"."""
    return [
        f"{method}-{shots}"
        for method in options["methods"]
        for shots in options["shots"]
        if shots or method == "zero_shot"
    ]


def make_methods(job: Job, models: Mapping[str, HeldOutModel]) -> dict[str, TaskMethod]:
    """Return the methods by the names of ``method_names``.

    Args:
        job: the run.
        models: task -> the model that held it out.
    """
    draws, newest = Draws(job), NewestTask(job, models)
    found: dict[str, TaskMethod] = {}
    for name in method_names(job.options):
        method, _, shots = name.rpartition("-")
        found[name] = partial(answer, job, draws, newest, method, int(shots))  # type: ignore[arg-type]
    return found


def answer(
    job: Job, draws: Draws, newest: NewestTask, method: Method, shots: int, task: TaskRows, show: Callable[[str], None]
) -> Answer:
    """Answer one task with one method and k; return its task result, or the reason why there is none."""
    available = len(task.splits["train"])
    if shots > available:
        return answer_to_json(Unanswered(f"{available} training rows are fewer than {shots}")), "-"
    found = []
    for draw in range(job.options["draws"] if shots else 1):
        where = f"{task.name}  {method}, {shots} examples, draw {draw + 1}  "
        show(where)
        compute = partial(_compute, newest.open(task), method, draw, shots, lambda note, at=where: show(at + note))  # type: ignore[misc]
        try:
            found.append(draws.get(method, shots, task.name, draw, compute))
        except UnansweredError as error:
            return answer_to_json(Unanswered(str(error))), "-"
    labels = {split: newest.open(task).labels(split) for split in task.splits}
    return _mean_over_draws(task, labels, found)


def _compute(
    task: FewShotTask, method: Method, draw: int, shots: int, show: Callable[[str], None]
) -> tuple[SplitScores, float | None]:
    """Return the scores of a draw and the seconds of its fit; None for a method that fits nothing."""
    task.fit_seconds = None
    scores: SplitScores = getattr(task, method)(draw, shots, show)
    return scores, task.fit_seconds


def _mean_over_draws(task: TaskRows, labels: Mapping[str, NDArray[np.int64]], draws: Sequence[SplitScores]) -> Answer:
    accuracies = [scores.accuracy for scores in draws]
    of_draws = np.array([(each.accuracy, each.macro_f1, each.matthews) for each in draws])
    test = SplitScores(*(float(np.mean(column)) for column in of_draws.T))
    result = task_result(labels, task.available, task.origin, len(task.labels), {"test": test})
    spread = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None
    return answer_to_json(replace(result, draws=tuple(accuracies), spread=spread)), percent(test.accuracy)


def _find_all(places: str | Sequence[str]) -> list[HeldOutModel]:
    """Return the models of one or several folders; runs of earlier releases stored one folder."""
    return [model for place in ([places] if isinstance(places, str) else places) for model in find_models(place)]


def work(job: Job) -> int:
    """Run every method, write and show the results; return the exit code."""
    models = assign(_find_all(job.options["model"]), job.options["tasks"])
    first = next(iter(models.values()))
    config = replace(
        job.config, tasks=tuple(models), max_length=first.record.conditional.max_length,
        **encoder_settings(first, job.run),  # type: ignore[arg-type]
    )  # fmt: skip
    job = replace(job, config=config)
    open_encoder(config, ())  # every task would fail without it
    job.reporter.line("test accuracies in %, mean over draws, by method and number of examples:")
    outcome = per_task.run_tasks(job, method_names(job.options), partial(make_methods, models=models))
    notes = notes_of(job, models)
    for name, answers in outcome.found.items():
        method, _, shots = name.rpartition("-")
        tasks, unanswered = separate({task: parse_answer(values) for task, values in answers.items()})
        facts = RunFacts(
            experiment=FEW_SHOT, answered_by=method, shots=int(shots), unanswered=unanswered, notes=tuple(notes)
        )
        (job.run.path / name).mkdir(exist_ok=True)
        per_task.write_results(job, name, tasks, outcome.failed, facts, encoder=first.record.base.to_dict())
    runs = read_runs(job.run.path, "")
    job.reporter.line()
    for table in (task_table(runs), means_table(runs)):
        show_table(job.reporter.console, table)
    for name, seconds in _fit_times(job).items():
        job.reporter.line(f"seconds to fit, mean over tasks and draws: {name} {seconds:.2f}")
    job.reporter.line(f"results  {job.run.path}/*/{job.run.results.name}; as a figure: metaeval report")
    return DONE


def _fit_times(job: Job) -> dict[str, float]:
    """Return the mean seconds of a fit by method and number of examples, such as "fit-8"."""
    found: dict[str, list[float]] = {}
    for _, record in job.run.read_metrics(lambda record: bool(check_seal(record))):
        if record.get("fit_seconds") is not None:
            found.setdefault(f"{record['method']}-{record['shots']}", []).append(record["fit_seconds"])
    return {name: float(np.mean(seconds)) for name, seconds in found.items()}


def notes_of(job: Job, models: Mapping[str, HeldOutModel]) -> list[str]:
    """Return notes for readers of the results: about the examples, the settings and the model."""
    options = job.options
    notes = [
        "k labelled examples of a task in all, drawn at random from its training rows, the same for every method; "
        f"{options['draws']} draws. Within a draw, a larger set of examples contains the smaller ones.",
        f"Full fine-tuning: {options['full_steps']} steps of {single_task.BATCH_SIZE}, rate "
        f"{options['full_lr']:g}, of the classifier {HEAD_RATIO:g} times that; the same for every task and k.",
    ]
    loose = [task for task, model in models.items() if task not in model.held_out]
    kept = [t for t, model in models.items() if t not in loose and model.run and model.run.decontaminate == "no"]
    if loose or kept:
        notes.append(
            "It is not known whether the model was trained on rows that contain evaluation texts of "
            f"{', '.join([*loose, *kept])}."
        )
    for folder in dict.fromkeys(model.folder for model in models.values()):
        features = ConditionalAdapterModel.from_pretrained(folder).features
        warning = check_start_cosines(None if features is None else features.cosine_with_start, str(folder), force=True)
        notes += [warning] if warning else []
    return notes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that are not settings of TrainConfig."""
    parser.add_argument(
        "--model", nargs="+", metavar="DIR", default=argparse.SUPPRESS,
        help="folders of models, of the runs that trained them, or of a run of training/zero_shot.py; each task is "
        "answered by a model that held it out",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", nargs="+", metavar="TASK", default=argparse.SUPPRESS,
        help="tasks and groups that the model was not trained on (default: those that its run held out)",
    )  # fmt: skip
    parser.add_argument(
        "--shots", nargs="+", type=int, metavar="K", default=argparse.SUPPRESS,
        help=f"numbers of labelled examples per task (default: {' '.join(map(str, SHOTS))})",
    )  # fmt: skip
    parser.add_argument(
        "--draws", type=int, metavar="N", default=argparse.SUPPRESS,
        help="number of random draws of examples per task and K (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=argparse.SUPPRESS,
        help="methods to compare (default: all except setfit)",
    )
    parser.add_argument(
        "--by", choices=get_args(By), default=argparse.SUPPRESS,
        help="features from which zero_shot predicts z, if the model has a learned z per task (default: aspects)",
    )  # fmt: skip
    parser.add_argument(
        "--setfit", metavar="COMMAND", default=argparse.SUPPRESS,
        help="command that fits SetFit, such as 'ENVIRONMENT/bin/python benchmarks/setfit_fit.py ENCODER'",
    )  # fmt: skip
    parser.add_argument(
        "--full-steps", type=int, metavar="STEPS", default=argparse.SUPPRESS,
        help=f"optimizer steps of full fine-tuning (default: {FULL_STEPS})",
    )  # fmt: skip
    parser.add_argument(
        "--full-lr", type=float, metavar="RATE", default=argparse.SUPPRESS,
        help=f"learning rate of full fine-tuning (default: {single_task.RATES['full']:g}; see docs/recipe.md for "
        "MiniLM)",
    )  # fmt: skip


def check(options: Mapping[str, Any]) -> None:
    """Check what argparse cannot.

    Raises:
        ConfigError: an option is out of range, or the model does not fit the tasks.
    """
    if not options["model"]:
        raise ConfigError("--model is missing; name the folder of a trained model or of its run")
    for name, least in (("draws", 1), ("full_steps", 1), ("shots", 0)):
        values: Sequence[int] = options[name] if name == "shots" else [options[name]]
        if bad := [value for value in values if value < least]:
            raise ConfigError(f"--{name.replace('_', '-')} must be at least {least}, got {bad[0]}")
    if len(set(options["shots"])) < len(options["shots"]):
        raise ConfigError(f"--shots {' '.join(map(str, options['shots']))}: expected each number once")
    if not 0 < options["full_lr"] < float("inf"):
        raise ConfigError(f"--full-lr must be above 0, got {options['full_lr']}")
    if set(options["methods"]) != {"zero_shot"} and not any(options["shots"]):
        raise ConfigError("--shots 0: only --methods zero_shot works without examples; add a larger number")
    if "setfit" in options["methods"] and not options["setfit"]:
        raise ConfigError("--methods setfit needs --setfit COMMAND; see benchmarks/setfit_fit.py")
    models = _find_all(options["model"])
    assign(models, options["tasks"])
    for model in models:
        if not model.record.conditional.has_task_embeddings:
            raise ConfigError(
                f"--model {model.folder} is a baseline without task embeddings "
                f"({model.record.conditional.conditioning}); expected a model with z"
            )
        if "zero_shot" in options["methods"] and not model.record.label_vectors:
            raise ConfigError(
                f"--model {model.folder}: its tasks share no label vectors, which zero_shot needs. Train with "
                "--share-labels, or leave zero_shot out of --methods"
            )


SCRIPT = Script(
    "few-shot",
    __doc__,
    SETTINGS,
    {"name": "few_shot"},
    {
        "model": [], "tasks": [], "shots": list(SHOTS), "draws": 5, "methods": list(DEFAULT_METHODS), "by": "aspects",
        "setfit": "",
        "full_steps": FULL_STEPS, "full_lr": RATES["full"],
    },
    add_options,
    check,
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, run the methods and report; return the exit code."""
    return per_task.launch(per_task.parse(SCRIPT, argv), work)
